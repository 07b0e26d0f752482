"""Racks on the real control plane: a gang that has to be in one, by labels of nodes."""

from collections.abc import Iterator

import pytest

from tests.cluster.pods import Room, pod
from tests.cluster.tenants import installation, rooms_of
from tests.cluster.test_gangs import bound, deploy, drop, members, running, told
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually, stays

RACK = "topology.kubernetes.io/rack"
ONE, OTHER = "racks-one", "racks-other"
SETTINGS = {"reclaim": {"patience_seconds": None}}


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    with installation(plane, "rack-a", (ONE, OTHER), gpus=2, settings=SETTINGS) as ours:
        for prefix in ("rack-aa-", "rack-b-", "rack-bb-"):
            plane.nodes(1, gpus=2, prefix=prefix)
        for node, rack in (("a-0", "a"), ("aa-0", "a"), ("b-0", "b"), ("bb-0", "b")):
            label = {"metadata": {"labels": {RACK: rack}}}
            plane.api.patch(f"/api/v1/nodes/rack-{node}", label)
        yield ours


@pytest.fixture
def room(plane: ControlPlane, installed: Installation) -> Iterator[Room]:
    with rooms_of(plane, (ONE,)) as (only,):
        yield only


def racks(room: Room, app: str) -> set[str]:
    return {each["spec"]["nodeName"].removeprefix("rack-")[0] for each in members(room, app)}


def test_a_gang_that_has_to_be_in_one_rack_waits_for_one(room: Room) -> None:
    for rack in ("a", "b"):
        room.create(pod(f"in-{rack}", "1", owner=room.owner(), nodeSelector={RACK: rack}))
    eventually(
        lambda: all("nodeName" in room.get(f"in-{rack}")["spec"] for rack in "ab"),
        20,
        what="a card of each rack is taken",
    )
    # Six are free, and in no rack as many as four.
    deploy(room, "near", "1", 4, gang="near", gang_size="4", required_topology=RACK)
    eventually(lambda: len(members(room, "near")) == 4, 20, what="all of it is there")
    stays(lambda: bound(room, "near") == 0, 3, every=0.2, what="no rack has room for it")
    eventually(lambda: told(room, "NoRoom") or None, 10, what="it is told so")
    room.api.delete(f"{room.path}/in-b", {"gracePeriodSeconds": 0})
    eventually(lambda: running(room, "near") == 4, 20, what="it has one rack")
    assert racks(room, "near") == {"b"}
    drop(room, "near")
    eventually(lambda: not members(room, "near"), 20, what="it is gone")
    # Seven are free, and it only prefers to be in one rack.
    deploy(room, "far", "1", 5, gang="far", gang_size="5", preferred_topology=RACK)
    eventually(lambda: running(room, "far") == 5, 20, what="it starts in two racks")
    assert racks(room, "far") == {"a", "b"}
