"""Gangs and moves on the real control plane: pods that start together, run together, and move."""

from collections.abc import Iterator

import pytest

from tests.cluster.pods import Room, pod
from tests.cluster.tenants import installation, rooms_of
from tests.support.controlplane.api import JSON
from tests.support.controlplane.installed import USER, Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually, stays

GPUS = 4
PATIENCE, BROKEN = 2.0, 3.0
SETTINGS = {
    "reclaim": {
        "patience_seconds": PATIENCE,
        "min_runtime_seconds": 1,
        "grace_seconds": 2,
        "broken_gang_seconds": BROKEN,
    },
    "packing": {"consolidate_seconds": PATIENCE},
}
ONE, OTHER = "gangs-one", "gangs-other"


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    with installation(plane, "gangs", (ONE, OTHER), gpus=GPUS, settings=SETTINGS) as ours:
        yield ours


@pytest.fixture
def rooms(plane: ControlPlane, installed: Installation) -> Iterator[tuple[Room, Room]]:
    """Those of two tenants."""
    with rooms_of(plane, (ONE, OTHER)) as (first, second):
        yield first, second


def template(fraction: str, app: str, notes: dict[str, str]) -> JSON:
    body = pod("", fraction)
    del body["metadata"]["name"]
    body["metadata"]["labels"] = {"app": app}
    ours = {f"equipoise.dev/{key.replace('_', '-')}": text for key, text in notes.items()}
    body["metadata"]["annotations"] |= ours
    return body


def deploy(room: Room, name: str, fraction: str, replicas: int = 1, **notes: str) -> None:
    """So many pods that run on and on, and are made again; kwok ends those of Jobs at once."""
    selector: JSON = {"matchLabels": {"app": name}}
    body = template(fraction, name, notes)
    spec = {"replicas": replicas, "selector": selector, "template": body}
    path = f"/apis/apps/v1/namespaces/{room.namespace}/deployments"
    room.api.post(path, {"metadata": {"name": name}, "spec": spec})


def gang(room: Room, name: str, members: int, *, size: int = 0) -> None:
    """So many pods with a GPU each that start together."""
    deploy(room, name, "1", members, gang=name, gang_size=str(size or members))


def drop(room: Room, name: str) -> None:
    path = f"/apis/apps/v1/namespaces/{room.namespace}/deployments/{name}"
    room.api.delete(path, {"propagationPolicy": "Background"})


def members(room: Room, app: str) -> list[JSON]:
    listed: list[JSON] = room.api.items(room.path, {"labelSelector": f"app={app}"})
    return [each for each in listed if "deletionTimestamp" not in each["metadata"]]


def running(room: Room, app: str) -> int:
    return sum(each["status"].get("phase") == "Running" for each in members(room, app))


def bound(room: Room, app: str) -> int:
    return sum("nodeName" in each["spec"] for each in members(room, app))


def card(room: Room, app: str) -> str:
    """Which card its one pod holds."""
    (one,) = members(room, app)
    return str(one["metadata"]["annotations"]["equipoise.dev/devices"])


def spread_halves(room: Room) -> list[str]:
    """Leave two halves on two cards, all others taken; return what they are called."""
    deploy(room, "rest", "1", GPUS - 2)
    eventually(lambda: running(room, "rest") == GPUS - 2, 20, what="the rest is taken")
    halves = ("a", "b", "c")
    for name in halves:
        deploy(room, name, "0.5")
        eventually(lambda name=name: running(room, name) == 1, 20, what=f"{name} runs")  # type: ignore[misc]
    cards = [card(room, name) for name in halves]
    shared = next(name for name, at in zip(halves, cards, strict=True) if cards.count(at) == 2)
    drop(room, shared)
    eventually(lambda: not members(room, shared), 20, what="two halves are left, on two cards")
    return [name for name in halves if name != shared]


def told(room: Room, reason: str) -> list[str]:
    """What events of that reason say."""
    events = room.api.items(f"/apis/events.k8s.io/v1/namespaces/{room.namespace}/events")
    return [each["note"] for each in events if each["reason"] == reason]


def test_a_gang_starts_when_there_is_room_for_all_of_it(rooms: tuple[Room, Room]) -> None:
    room, _ = rooms
    deploy(room, "before", "1")
    eventually(lambda: running(room, "before") == 1, 20, what="the one before runs")
    gang(room, "train", GPUS)
    eventually(lambda: len(members(room, "train")) == GPUS, 20, what="all of the gang is there")
    stays(lambda: bound(room, "train") == 0, PATIENCE + 2, every=0.1, what="none of it starts")
    assert set(told(room, "NoRoom")) == {"no GPU that it may use has enough free now"}
    drop(room, "before")
    eventually(lambda: running(room, "train") == GPUS, 20, what="all of it runs")


def test_a_gang_that_is_not_all_there_is_told_so_and_keeps_nobody_waiting(
    rooms: tuple[Room, Room],
) -> None:
    room, _ = rooms
    gang(room, "train", 2, size=3)
    eventually(lambda: len(told(room, "GangIncomplete")) == 2, 20, what="both are told")
    deploy(room, "later", "1", GPUS)
    eventually(lambda: running(room, "later") == GPUS, 20, what="others take what is free")
    assert bound(room, "train") == 0


def test_others_are_stopped_for_a_gang_that_is_due_its_place(rooms: tuple[Room, Room]) -> None:
    large, small = rooms
    deploy(large, "greedy", "1", 2 * GPUS)
    eventually(lambda: running(large, "greedy") == GPUS, 20, what="the large one has everything")
    gang(small, "train", 2)
    eventually(lambda: running(small, "train") == 2, PATIENCE + 15, what="the gang runs")
    eventually(lambda: running(large, "greedy") == GPUS - 2, 10, what="the large one has its half")


def test_what_is_left_of_a_gang_that_lost_a_member_makes_room(rooms: tuple[Room, Room]) -> None:
    room, other = rooms
    gang(room, "train", GPUS)
    eventually(lambda: running(room, "train") == GPUS, 20, what="the gang runs")
    first, *_ = members(room, "train")
    deploy(other, "waits", "1", 3)
    # It gets the place of the member that is killed, as its tenant has nothing yet.
    stays(lambda: running(room, "train") == GPUS, 1, what="nobody is stopped for it at once")
    room.api.delete(f"{room.path}/{first['metadata']['name']}")
    eventually(lambda: running(other, "waits") >= 1, 20, what="who waited has its place")
    eventually(lambda: running(other, "waits") == 3, BROKEN + 25, what="and the rest of it")
    assert running(room, "train") == 0


def test_a_pod_is_moved_so_that_another_one_fits(
    rooms: tuple[Room, Room], plane: ControlPlane
) -> None:
    room, _ = rooms
    left = spread_halves(room)
    deploy(room, "large", "1")
    eventually(lambda: running(room, "large") == 1, PATIENCE + 15, what="the large one runs")
    eventually(
        lambda: [running(room, name) for name in left] == [1, 1],
        20,
        what="so does the one that was moved",
    )
    assert card(room, left[0]) == card(room, left[1])
    eventually(lambda: told(room, "Moved") or None, 10, what="who was moved is told why")
    (note,) = told(room, "Moved")
    assert note.startswith("makes room where another pod fits, and has its place kept elsewhere")
    evictions = [
        entry.raw["objectRef"]["name"]
        for entry in plane.audit.entries(user=USER)
        if (entry.resource, entry.verb) == ("pods/eviction", "create")
    ]
    assert len(evictions) == 1
