"""Pods that no node takes after their release: who is evicted for it, how often, and who isn't."""

from collections.abc import Iterator

import pytest

from tests.cluster.pods import Room, pod
from tests.support.controlplane.api import JSON, MERGE, Api
from tests.support.controlplane.installed import USER, Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.replicas import Replica
from tests.support.controlplane.waiting import eventually, stays

NODE, STUCK_SECONDS = "stuck-0", 2
REFUSED = {"refused": "yes"}


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    ours = Installation(plane)
    ours.apply()
    plane.nodes(1, gpus=4, prefix="stuck-")
    ours.start("stuck", settings={"kube": {"stuck_seconds": STUCK_SECONDS}})
    yield ours
    ours.close()


@pytest.fixture
def replica(installed: Installation) -> Replica:
    return installed.replicas["stuck"]


@pytest.fixture
def room(plane: ControlPlane, api: Api, namespace: str, installed: Installation) -> Room:
    plane.audit.mark()
    return Room(api, namespace)


def guard(room: Room) -> None:
    """A pod beside which kube-scheduler puts none of REFUSED: no planner knows that."""
    near = {"labelSelector": {"matchLabels": REFUSED}, "topologyKey": "kubernetes.io/hostname"}
    never = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [near]}}
    plain = pod("guard", "1")["spec"]
    spec = {**plain, "affinity": never, "nodeName": NODE}
    room.create({"metadata": {"name": "guard"}, "spec": spec})
    eventually(lambda: room.runs("guard"), what="the guard runs")


def alone(room: Room) -> str:
    """A pod that nothing would make again; return its UID."""
    body = pod("alone", "0.5")
    body["metadata"]["labels"] = REFUSED
    return str(room.create(body)["metadata"]["uid"])


def made(room: Room) -> list[JSON]:
    """Pods of the controller's, but for those that are going."""
    listed = room.api.items(room.path, {"labelSelector": "app=made"})
    return [each for each in listed if "deletionTimestamp" not in each["metadata"]]


def replica_set(room: Room) -> None:
    """Something that makes its pod again at once."""
    made_pod = pod("made", "0.5")
    labels = {"app": "made", **REFUSED}
    template = {
        "metadata": {"labels": labels, "annotations": made_pod["metadata"]["annotations"]},
        "spec": made_pod["spec"],
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "made"}}, "template": template}
    path = f"/apis/apps/v1/namespaces/{room.namespace}/replicasets"
    room.api.post(path, {"metadata": {"name": "made"}, "spec": spec})


def job(room: Room) -> None:
    """One that forgives an eviction, as our samples do."""
    made_pod = pod("made", "0.5")
    template = {
        "metadata": {"labels": {"app": "made"}, **made_pod["metadata"]},
        "spec": {**made_pod["spec"], "restartPolicy": "Never"},
    }
    template["metadata"].pop("name")
    forgiving = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    spec = {"template": template, "backoffLimit": 0, "podFailurePolicy": {"rules": [forgiving]}}
    path = f"/apis/batch/v1/namespaces/{room.namespace}/jobs"
    room.api.post(path, {"metadata": {"name": "made"}, "spec": spec})


def pinned(room: Room, *, other_than: str = "") -> JSON | None:
    """The controller's pod once its gate is off."""
    found = [each for each in made(room) if each["metadata"]["uid"] != other_than]
    return found[0] if found and "schedulingGates" not in found[0]["spec"] else None


def evicted(plane: ControlPlane, room: Room) -> list[str]:
    """Names of the pods of which Equipoise asked the API server to evict them."""
    return [
        entry.raw["objectRef"]["name"]
        for entry in plane.audit.entries(user=USER, status=201)
        if entry.resource == "pods/eviction"
        and entry.raw["objectRef"]["namespace"] == room.namespace
    ]


def told(room: Room) -> list[tuple[str, str, str]]:
    """What events say about evictions."""
    events = f"/apis/events.k8s.io/v1/namespaces/{room.namespace}/events"
    return [
        (each["regarding"]["uid"], each["action"], each["note"])
        for each in room.api.items(events)
        if each["reason"] == "Stuck"
    ]


def test_one_eviction_an_owner_and_none_of_a_pod_without(room: Room, plane: ControlPlane) -> None:
    guard(room)
    lonely = alone(room)
    replica_set(room)
    first = eventually(lambda: pinned(room), what="it is released")
    name, uid = first["metadata"]["name"], first["metadata"]["uid"]
    assert "affinity" in first["spec"]
    second = eventually(lambda: pinned(room, other_than=uid), 30, what="another one is released")
    eventually(lambda: evicted(plane, room) == [name], what="the first was evicted")
    assert "affinity" not in second["spec"]
    again = second["metadata"]["name"]
    eventually(lambda: room.turned_down("alone") and room.turned_down(again), what="looked at")
    eventually(lambda: bool(told(room)), what="an event says so")
    numbers = iter(range(1000))

    def as_it_was() -> bool:
        # News, so that it is decided again and again.
        labels = {"metadata": {"labels": {"news": str(next(numbers))}}}
        room.api.patch(f"/api/v1/nodes/{NODE}", labels, MERGE)
        return evicted(plane, room) == [name]

    stays(as_it_was, 5 * STUCK_SECONDS, every=0.5, what="nobody else is evicted")
    assert told(room) == [
        (uid, "Evict", "none of the nodes that it was pinned to took it"),
    ]
    assert [each["metadata"]["name"] for each in made(room)] == [again]
    assert room.get("alone")["metadata"]["uid"] == lonely
    room.delete("guard")
    eventually(lambda: room.runs(again) and room.runs("alone"), 30, what="both run")


def test_nodes_that_are_cordoned_right_after_a_release(
    room: Room, plane: ControlPlane, replica: Replica
) -> None:
    replica.stop_scheduler()
    try:
        lonely = alone(room)
        job(room)
        first = eventually(lambda: pinned(room), what="it is released")
        eventually(lambda: not room.gated("alone"), what="so is the other")
        plane.kubectl("cordon", NODE)
    finally:
        replica.kill_scheduler()  # the next one knows of the cordon before it looks at any pod
    name, uid = first["metadata"]["name"], first["metadata"]["uid"]
    assert "affinity" in first["spec"]
    eventually(lambda: evicted(plane, room) == [name], 30, what="it is evicted")
    eventually(lambda: any(each["metadata"]["uid"] != uid for each in made(room)), 30)
    stays(lambda: evicted(plane, room) == [name], 3 * STUCK_SECONDS, what="no other is evicted")
    plane.kubectl("uncordon", NODE)
    second = eventually(lambda: pinned(room, other_than=uid), what="another one is released")
    assert "affinity" not in second["spec"]
    job_path = f"/apis/batch/v1/namespaces/{room.namespace}/jobs/made"
    eventually(lambda: room.api.get(job_path)["status"].get("succeeded") == 1, 30)
    eventually(lambda: room.runs("alone"), 30, what="the other runs")
    assert room.get("alone")["metadata"]["uid"] == lonely
    assert evicted(plane, room) == [name]
