"""A Deployment that rolls while its tenant is at the limit gets there, forwards and backwards."""

from collections.abc import Iterator

import pytest

from tests.cluster.pods import Room, pod
from tests.support.controlplane import namespaces
from tests.support.controlplane.api import JSON, MERGE, Api
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.sweeping import drop_namespace
from tests.support.controlplane.waiting import eventually, stays

SPACE, REPLICAS, ROLLOUT_SECONDS = "rollouts", 2, 2
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{SPACE}/deployments"
TENANTS = "/apis/equipoise.dev/v1alpha1/tenants"


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    ours = Installation(plane)
    ours.apply()
    plane.nodes(1, gpus=4, prefix="rollouts-")
    plane.api.post(TENANTS, {**_KIND, "metadata": {"name": "web"}, "spec": {"limit": 1}})
    ours.start("rollouts", settings={"kube": {"rollout_seconds": ROLLOUT_SECONDS}})
    yield ours
    ours.close()


_KIND = {"apiVersion": "equipoise.dev/v1alpha1", "kind": "Tenant"}


@pytest.fixture
def room(plane: ControlPlane, installed: Installation) -> Iterator[Room]:
    namespaces.create(plane.api, SPACE, labels={"equipoise.dev/tenant": "web"})
    yield Room(plane.api, SPACE)
    drop_namespace(plane.api, SPACE)


def deployment() -> JSON:
    """Two halves of a GPU, all that the tenant may have; maxUnavailable is 0 by default."""
    template = pod("", "0.5")
    template["metadata"] = {**template["metadata"], "labels": {"app": "web"}}
    del template["metadata"]["name"]
    selector = {"matchLabels": {"app": "web"}}
    spec = {"replicas": REPLICAS, "selector": selector, "template": template}
    return {"metadata": {"name": "web"}, "spec": spec}


def roll(api: Api, image: str) -> None:
    """Give the Deployment another image, as `kubectl set image` does."""
    path = "/spec/template/spec/containers/0/image"
    change = [{"op": "replace", "path": path, "value": image}]
    api.patch(f"{DEPLOYMENTS}/web", change, "application/json-patch+json")


def images(room: Room) -> list[str]:
    """Of the pods that run."""
    listed = room.api.items(room.path)
    runs = (each for each in listed if each["status"].get("phase") == "Running")
    return sorted(each["spec"]["containers"][0]["image"] for each in runs)


def done(room: Room) -> bool:
    """Whether the rollout is complete, as `kubectl rollout status` sees it."""
    found = room.api.get(f"{DEPLOYMENTS}/web")
    status, seen = found["status"], found["status"].get("observedGeneration")
    counts = [status.get(key) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    return seen == found["metadata"]["generation"] and counts == [REPLICAS] * 3


def test_a_rollout_at_the_limit_gets_there_and_back(room: Room, api: Api) -> None:
    api.post(DEPLOYMENTS, deployment())
    eventually(lambda: done(room), 30, what="it runs")
    roll(api, "other")
    eventually(lambda: done(room) and images(room) == ["other"] * REPLICAS, 60, what="it rolled")
    # A rollback brings the older ReplicaSet back as the newest revision.
    roll(api, "none")
    eventually(
        lambda: done(room) and images(room) == ["none"] * REPLICAS, 60, what="it rolled back"
    )


def test_a_disruption_budget_has_the_last_word(room: Room, api: Api) -> None:
    api.post(DEPLOYMENTS, deployment())
    eventually(lambda: done(room), 30, what="it runs")
    budgets = f"/apis/policy/v1/namespaces/{SPACE}/poddisruptionbudgets"
    spec = {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "web"}}}
    api.post(budgets, {"metadata": {"name": "web"}, "spec": spec})
    eventually(lambda: api.get(f"{budgets}/web")["status"].get("expectedPods"), what="it counts")
    roll(api, "other")
    eventually(lambda: len(room.phases()) == REPLICAS + 1, what="the next revision waits")
    stays(lambda: images(room) == ["none"] * REPLICAS, 3 * ROLLOUT_SECONDS, what="nobody ends")
    api.patch(f"{budgets}/web", {"spec": {"maxUnavailable": 1}}, MERGE)
    eventually(lambda: done(room) and images(room) == ["other"] * REPLICAS, 60, what="it rolled")
