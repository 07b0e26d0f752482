"""Parts of the node and of Equipoise end and come back: nobody loses a running pod or a GPU.

That nothing was sold twice meanwhile is looked at after every test, see conftest.py.
"""

from collections.abc import Callable

import pytest

from tests.support.controlplane.api import JSON
from tests.support.controlplane.waiting import eventually, stays
from tests.support.node.release import AGENTS, NAMESPACE, Release
from tests.support.node.rooms import Room
from tests.support.node.workloads import deployment, pod, template

NAMES = ("one", "two", "three")


def start_three(room: Room) -> None:
    for name in NAMES:
        room.create(pod(name, "0.75"))
    room.running(*NAMES)


def started(room: Room) -> dict[str, str]:
    """When the container of each running pod started, and under which ID."""
    found = {}
    for each in room.pods():
        for state in each["status"].get("containerStatuses", ()):
            found[each["metadata"]["name"]] = f"{state.get('containerID')} {state['state']}"
    return found


def ready(pods: list[JSON], count: int) -> bool:
    """Whether there are so many, all of them ready."""
    states = [each["status"].get("containerStatuses") or [{}] for each in pods]
    return len(pods) == count and all(each.get("ready") for pod in states for each in pod)


def test_the_kubelet_stops_and_starts(room: Room, release: Release) -> None:
    start_three(room)
    before, held = started(room), room.ledger()
    release.machine.stop_kubelet()
    room.create(pod("meanwhile", "0.5"))
    eventually(lambda: room.devices("meanwhile"), what="it is bound while no kubelet works")
    assert room.ledger().items() >= held.items()
    release.machine.start_kubelet()
    room.running("meanwhile")
    assert started(room).items() >= before.items()
    assert room.printed("meanwhile") == room.devices("meanwhile")


def kill_agent(release: Release) -> None:
    (agent,) = release.pods("agent", AGENTS)
    uid = agent["metadata"]["uid"]
    path = f"/api/v1/namespaces/{AGENTS}/pods/{agent['metadata']['name']}"
    release.machine.api.delete(path, {"gracePeriodSeconds": 0})
    eventually(
        lambda: (
            ready(release.pods("agent", AGENTS), 1)
            and release.pods("agent", AGENTS)[0]["metadata"]["uid"] != uid
        ),
        60,
        what="another agent is ready",
    )


def delete_serve(release: Release) -> None:
    """Delete the pod that leads; another one has to take over, and a third is made."""
    lease = release.machine.api.get(
        f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/equipoise-scheduler"
    )
    leader = lease["spec"]["holderIdentity"].partition("_")[0]
    release.machine.api.delete(f"/api/v1/namespaces/{NAMESPACE}/pods/{leader}")
    eventually(
        lambda: (
            leader not in {each["metadata"]["name"] for each in release.pods("scheduler")}
            and ready(release.pods("scheduler"), 2)
        ),
        60,
        what="two others are ready",
    )


@pytest.mark.parametrize("fault", [kill_agent, delete_serve], ids=["agent", "serve"])
def test_a_part_of_equipoise_ends(
    room: Room, release: Release, fault: Callable[[Release], None]
) -> None:
    start_three(room)
    before, held = started(room), room.ledger()
    fault(release)
    assert started(room) == before
    eventually(lambda: room.ledger() == held, 30, what="the ledger is what it was")
    room.create(pod("after", "0.5"))
    room.running("after")
    assert room.printed("after") == room.devices("after") == ",".join(room.ledger()["after"])


def test_containerd_is_killed_and_comes_back(room: Room, release: Release) -> None:
    start_three(room)
    before = started(room)
    release.machine.containerd.restart()
    room.create(pod("after", "0.5"))
    room.running("after")
    assert started(room).items() >= before.items()


def test_a_node_is_deleted_and_its_pods_are_made_again(room: Room, release: Release) -> None:
    start_three(room)
    before = started(room)
    release.machine.plane.nodes(1, prefix="other-", gpus=1, memory_mib=16_384, model="T4")
    pods = template("mobile", "1")
    pods["metadata"]["annotations"]["equipoise.dev/gpu-models"] = "T4"
    room.create_of("apps/deployments", deployment("mobile", 1, pods))
    first = eventually(lambda: on(room, "mobile", "other-0"), 30, what="it runs on the other node")
    release.machine.api.delete("/api/v1/nodes/other-0")
    eventually(lambda: made_again(room, first), 90, what="it is made again")
    stays(lambda: room.ledger().keys() == set(NAMES), 3)
    assert started(room) == before


def on(room: Room, app: str, node: str) -> str | None:
    """Return the UID of the one pod of an app once it runs on that node."""
    for each in room.pods(app):
        if each["spec"].get("nodeName") == node and each["status"].get("phase") == "Running":
            return str(each["metadata"]["uid"])
    return None


def made_again(room: Room, first: str) -> bool:
    """Whether there is another pod in its place, which waits."""
    pods = room.pods("mobile")
    return [each["metadata"]["uid"] == first for each in pods] == [False] and bool(
        pods[0]["spec"].get("schedulingGates")
    )
