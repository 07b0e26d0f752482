"""Owners of pods as with any scheduler: Deployments roll, Jobs retry, StatefulSets come back."""

import pytest

from tests.support.controlplane.waiting import eventually, stays
from tests.support.node.rooms import START_SECONDS, Room, RoomFor
from tests.support.node.workloads import (
    SHOW,
    SHOW_AND_WAIT,
    deployment,
    job,
    pod,
    stateful_set,
    template,
)

CRASH_SECONDS = 40.0
"""Two restarts, and the back-off before the third."""


def running(room: Room, app: str) -> set[str] | None:
    """Return the UIDs of an app's pods if all of them run."""
    pods = room.pods(app)
    if any(each["status"].get("phase") != "Running" for each in pods):
        return None
    return {each["metadata"]["uid"] for each in pods}


def until_run(room: Room, app: str, count: int, *, but: set[str] | None = None) -> set[str]:
    """Wait until so many of an app run, none of them one of `but`; return their UIDs."""

    def look() -> set[str] | None:
        found = running(room, app)
        return found if found and len(found) == count and not found & (but or set()) else None

    return eventually(look, 2 * START_SECONDS, what=f"{count} pods of {app} run")


def test_a_deployment_rolls(room: Room) -> None:
    room.create_of("apps/deployments", deployment("web", 2, template("web", "0.5")))
    before = until_run(room, "web", 2)
    newer = {"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}}
    path = f"/apis/apps/v1/namespaces/{room.name}/deployments/web"
    room.api.patch(path, newer)
    until_run(room, "web", 2, but=before)
    eventually(lambda: room.api.get(path)["status"].get("replicas") == 2, what="the old are gone")
    eventually(lambda: total(room) == 1000, what="what they held is free")


def total(room: Room) -> int:
    """How many milli-GPU the pods of the namespace hold together."""
    return sum(sum(held.values()) for held in room.ledger().values())


@pytest.mark.usefixtures("release")
def test_a_deployment_rolls_at_its_tenants_limit(room_for: RoomFor) -> None:
    """With maxSurge 1 and maxUnavailable 0 the old and the new would wait for each other."""
    room = room_for("limited", limit=1)
    room.create_of("apps/deployments", deployment("web", 2, template("web", "0.5")))
    before = until_run(room, "web", 2)
    path = f"/apis/apps/v1/namespaces/{room.name}/deployments/web"
    room.api.patch(path, {"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}})
    until_run(room, "web", 2, but=before)
    assert total(room) == 1000


def test_a_job_tries_again_and_each_try_sees_its_gpu(room: Room) -> None:
    pods = template("train", "0.5", f"{SHOW}; exit 1", restartPolicy="Never")
    room.create_of("batch/jobs", job("train", pods, retries=1))
    path = f"/apis/batch/v1/namespaces/{room.name}/jobs/train"
    eventually(lambda: room.api.get(path)["status"].get("failed") == 2, 60, what="it tried twice")
    tries = [each["metadata"]["name"] for each in room.pods("train")]
    assert len(tries) == 2
    for name in tries:
        assert room.printed(name) == room.devices(name) != ""
    eventually(lambda: room.ledger() == {}, what="no try holds anything")


def test_a_stateful_set_comes_back_by_its_names(room: Room) -> None:
    room.create_of("apps/statefulsets", stateful_set("db", 2, template("db", "0.5")))
    until_run(room, "db", 2)
    first = room.uid("db-0")
    room.delete("db-0")
    eventually(lambda: came_back(room, "db-0", first), 60, what="another db-0 runs")
    assert room.printed("db-0") == room.devices("db-0") == ",".join(room.ledger()["db-0"])


def came_back(room: Room, name: str, first: str) -> bool:
    """Whether another pod of that name runs."""
    pods = {each["metadata"]["name"]: each for each in room.pods()}
    found = pods.get(name)
    return (
        found is not None
        and found["metadata"]["uid"] != first
        and found["status"].get("phase") == "Running"
    )


def test_a_finished_pod_frees_its_gpu(room: Room) -> None:
    room.create(pod("short", "4", SHOW, restartPolicy="Never"))
    eventually(lambda: room.phase("short") == "Succeeded", 30, what="it has finished")
    eventually(lambda: room.holds("short") == 0, what="it holds nothing")
    room.create(pod("next", "4"))
    room.running("next")
    assert room.holds("next") == 4000


def test_a_pod_that_crashes_again_and_again_keeps_its_gpu(room: Room) -> None:
    room.create(pod("crash", "0.5", f"{SHOW}; exit 1"))
    eventually(lambda: room.restarts("crash") >= 2, CRASH_SECONDS, what="it was restarted twice")
    state = eventually(lambda: waiting(room, "crash"), CRASH_SECONDS, what="it waits to be started")
    assert state == "CrashLoopBackOff"
    assert room.holds("crash") == 500
    stays(lambda: room.holds("crash") == 500, 3)
    assert room.printed("crash") == room.devices("crash")


def waiting(room: Room, name: str) -> str | None:
    """Return why the pod's container isn't running, None if it runs."""
    (state,) = room.get(name)["status"]["containerStatuses"]
    reason: str | None = state["state"].get("waiting", {}).get("reason")
    return reason


def test_a_pod_that_is_told_to_end_holds_its_gpu_until_it_has_ended(room: Room) -> None:
    slow = pod("slow", "4", SHOW_AND_WAIT.replace("exit 0", "sleep 6; exit 0"))
    slow["spec"]["terminationGracePeriodSeconds"] = 20
    room.create(slow)
    room.running("slow")
    room.printed("slow")
    room.create(pod("next", "4"))
    room.delete("slow")
    stays(lambda: room.phase("next") == "Pending" and room.holds("slow") == 4000, 3)
    room.running("next")
    # The kubelet tells that its containers have ended a moment before it takes the pod away.
    left = room.api.find(f"{room.path}/slow")
    assert left is None or left["status"]["phase"] in {"Succeeded", "Failed"}
