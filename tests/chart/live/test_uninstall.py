"""What `helm uninstall` runs last: whom it has make its pods again, and whom it leaves alone."""

from functools import partial
from pathlib import Path

import pytest
from kubernetes import client, config

from tests.chart.live.hooks import grant, script
from tests.chart.scripts import uninstall
from tests.support.controlplane import namespaces
from tests.support.controlplane.api import JSON, Api
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually

GATE = "equipoise.dev/fair-share"
FOREIGN = "example.com/quota"
BARE = {"containers": [{"name": "main", "image": "none"}]}
IGNORED = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}


@pytest.fixture
def space(plane: ControlPlane, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A namespace, where the hook has its rights."""
    grant(plane, "uninstall", tmp_path)
    name: str = request.node.name.removeprefix("test_").replace("_", "-")[:50].strip("-")
    namespaces.create(plane.api, name)
    return name


def waiting(*gates: str) -> JSON:
    return {
        **BARE,
        "schedulerName": "equipoise",
        "schedulingGates": [{"name": gate} for gate in gates],
    }


def bare(name: str, *gates: str) -> JSON:
    return {"metadata": {"name": name}, "spec": waiting(*gates)}


def pods(api: Api, space: str, count: int) -> list[JSON] | None:
    """Those that are not going, if there are so many."""
    found = api.items(f"/api/v1/namespaces/{space}/pods")
    there = [each for each in found if "deletionTimestamp" not in each["metadata"]]
    return there if len(there) == count else None


def uids(found: list[JSON]) -> set[str]:
    return {each["metadata"]["uid"] for each in found}


def replica_set(api: Api, space: str, *gates: str) -> str:
    """Make one of two pods; return its path."""
    labels = {"app": "owned"}
    template = {"metadata": {"labels": labels}, "spec": waiting(*gates)}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    sets = f"/apis/apps/v1/namespaces/{space}/replicasets"
    api.post(sets, {"metadata": {"name": "owned"}, "spec": spec})
    return f"{sets}/owned"


def job(api: Api, space: str, **more: object) -> str:
    """Make one of two pods at once, which no failure is allowed; return its path."""
    template = {"spec": {**waiting(GATE), "restartPolicy": "Never"}}
    size = {"parallelism": 2, "completions": 2, "backoffLimit": 0}
    jobs = f"/apis/batch/v1/namespaces/{space}/jobs"
    api.post(jobs, {"metadata": {"name": "train"}, "spec": {**size, "template": template, **more}})
    return f"{jobs}/train"


def test_pods_that_are_made_again_are_evicted(plane: ControlPlane, api: Api, space: str) -> None:
    owner = replica_set(api, space, GATE)
    before = eventually(partial(pods, api, space, 2), what="the owner makes its pods")
    # Without the webhook its template would make pods without gate and scheduler.
    plain = {"spec": {"template": {"spec": {"schedulingGates": None, "schedulerName": None}}}}
    api.patch(owner, plain)

    done = script(plane, "uninstall")

    assert done.status == 0, done.err
    assert f"{space}: ReplicaSet owned: evicted" in done.out
    after = eventually(partial(pods, api, space, 2), what="the owner makes other pods")
    assert not uids(before) & uids(after)
    assert {each["spec"]["schedulerName"] for each in after} == {"default-scheduler"}


def test_what_nobody_makes_again_and_what_runs_is_left(
    plane: ControlPlane, api: Api, space: str
) -> None:
    running = {**BARE, "nodeName": "gpu-0", "schedulerName": "equipoise"}
    api.post(f"/api/v1/namespaces/{space}/pods", {"metadata": {"name": "on"}, "spec": running})
    api.post(f"/api/v1/namespaces/{space}/pods", bare("alone", FOREIGN, GATE))
    before = eventually(partial(pods, api, space, 2), what="both are there")

    done = script(plane, "uninstall")

    assert done.status == 0, done.err
    assert f"{space}: Pod alone (nobody would make it again): 1 waiting" in done.out
    assert f"{space}: Pod on" not in done.out
    after = pods(api, space, 2) or []
    assert uids(before) == uids(after)
    gates = [each["name"] for each in after[0]["spec"]["schedulingGates"]]
    assert gates == [FOREIGN, GATE]


def test_templates_that_name_our_scheduler_are_asked_once(
    plane: ControlPlane, api: Api, space: str
) -> None:
    replica_set(api, space)
    before = eventually(partial(pods, api, space, 2), what="the owner makes its pods")

    done = script(plane, "uninstall")

    assert done.status == 0, done.err
    assert done.out.count(f"{space}: ReplicaSet owned: evicted") == 1
    reason = "names Equipoise's scheduler itself"
    assert f"{space}: ReplicaSet owned ({reason}): 2 waiting" in done.out
    after = eventually(partial(pods, api, space, 2), what="the owner makes other pods")
    assert not uids(before) & uids(after)


def test_jobs_that_count_evictions_keep_their_pods(
    plane: ControlPlane, api: Api, space: str
) -> None:
    path = job(api, space)
    before = eventually(partial(pods, api, space, 2), what="the Job makes its pods")

    done = script(plane, "uninstall")

    assert done.status == 0, done.err
    reason = "would count an eviction as a failure"
    assert f"{space}: Job train ({reason}): 2 waiting" in done.out
    assert uids(before) == uids(pods(api, space, 2) or [])
    assert not api.get(path)["status"].get("conditions")


def test_jobs_that_ignore_evictions_make_their_pods_again(
    plane: ControlPlane, api: Api, space: str
) -> None:
    path = job(api, space, podFailurePolicy={"rules": [IGNORED]})
    before = eventually(partial(pods, api, space, 2), what="the Job makes its pods")

    done = script(plane, "uninstall")

    assert done.status == 0, done.err
    assert f"{space}: Job train: evicted" in done.out
    after = eventually(partial(pods, api, space, 2), 90, what="the Job makes other pods")
    assert not uids(before) & uids(after)
    status = api.get(path)["status"]
    assert (status.get("failed", 0), status.get("conditions")) == (0, None)


def test_pods_are_read_page_by_page(
    plane: ControlPlane, api: Api, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        api.post(f"/api/v1/namespaces/{space}/pods", bare(name, GATE))
    monkeypatch.setattr(uninstall, "PAGE", 1)
    config.load_kube_config(str(plane.kubeconfig()))  # type: ignore[no-untyped-call] # no types
    core = client.CoreV1Api()
    found = [each.name for each in uninstall.waiting(core) if each.namespace == space]
    assert found == ["a", "b", "c"]
