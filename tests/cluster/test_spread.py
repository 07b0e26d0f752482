"""Topology spread that must be kept is kept, though packing would fill one node first."""

from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest

from tests.cluster.pods import Room, pod
from tests.support.controlplane.api import JSON, Api
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually, stays

LABELS = {"app": "spread"}
SPREAD = {
    "maxSkew": 1,
    "topologyKey": "zone",
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": LABELS},
}
EVEN = {"spread-a-0": 2, "spread-b-0": 2}


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    ours = Installation(plane)
    ours.apply()
    for zone in "ab":
        plane.nodes(1, gpus=2, prefix=f"spread-{zone}-", labels={"zone": zone})
    ours.start("spread")
    yield ours
    ours.close()


@pytest.fixture
def room(api: Api, namespace: str, installed: Installation) -> Room:
    return Room(api, namespace)


def spread(room: Room, name: str) -> JSON:
    """Half a GPU, of a controller's: but for the constraint it would be pinned."""
    body = pod(name, "0.5", owner=room.owner(), topologySpreadConstraints=[SPREAD])
    body["metadata"]["labels"] = LABELS
    return room.create(body)


def spread_out(room: Room) -> Counter[str]:
    """How many of them are on each node, waiting ones left out."""
    listed = room.api.items(room.path, {"labelSelector": "app=spread"})
    return Counter(each["spec"]["nodeName"] for each in listed if each["spec"].get("nodeName"))


def worst_skew(room: Room, since: JSON) -> int:
    """The greatest difference that there ever was, from the first pod's creation on.

    Only of pods that came one after another: kube-scheduler binds side by side, so the order in
    which the API server takes Bindings needn't be the order in which it decided.
    """
    params = {"resourceVersion": since["metadata"]["resourceVersion"], "timeoutSeconds": "1"}
    params["labelSelector"] = "app=spread"
    nodes, worst = dict[str, str](), 0
    for event in room.api.watch(room.path, params):
        found = event["object"]
        nodes[found["metadata"]["uid"]] = found["spec"].get("nodeName", "")
        counts = Counter(nodes.values())
        worst = max(worst, abs(counts["spread-a-0"] - counts["spread-b-0"]))
    return worst


def test_pods_that_nothing_spreads_share_one_node(room: Room) -> None:
    for number in range(4):
        room.create(pod(f"p{number}", "0.5", owner=room.owner()))
    eventually(lambda: room.all_run(4), what="all run")
    assert len({each["spec"]["nodeName"] for each in room.api.items(room.path)}) == 1


def one_by_one(room: Room, names: list[str]) -> JSON:
    """They run, each before the next is created; the first as it was created."""
    created = []
    for name in names:
        created.append(spread(room, name))
        eventually(partial(room.runs, name), what=f"{name} runs")
    return created[0]


def test_pods_that_must_be_spread_are_and_none_is_pinned(room: Room) -> None:
    for number in range(4):
        spread(room, f"p{number}")
    eventually(lambda: room.all_run(4), what="all run")
    assert spread_out(room) == EVEN
    assert not any("affinity" in each["spec"] for each in room.api.items(room.path))


def test_the_skew_is_never_greater_than_allowed(room: Room) -> None:
    first = one_by_one(room, ["p0", "p1", "p2", "p3"])
    assert spread_out(room) == EVEN
    assert worst_skew(room, first) == 1


def test_where_only_an_uneven_place_is_left_a_pod_waits(room: Room) -> None:
    room.create(pod("filler", "1", owner=room.owner(), nodeSelector={"zone": "b"}))
    eventually(lambda: room.runs("filler"), what="the other zone is half full")
    first = one_by_one(room, ["p0", "p1", "p2", "p3"])
    assert spread_out(room) == EVEN, "zone b is full"
    one_by_one(room, ["fifth"])
    sixth = spread(room, "sixth")
    eventually(lambda: room.turned_down("sixth"), what="kube-scheduler has looked at it")
    # Longer than a pinned pod would be left stuck.
    stays(lambda: not room.runs("sixth"), 8, what="it waits")
    room.delete("filler")
    eventually(lambda: room.runs("sixth"), what="it runs in the other zone")
    found = room.get("sixth")
    assert found["metadata"]["uid"] == sixth["metadata"]["uid"]
    assert found["spec"]["nodeName"] == "spread-b-0"
    assert "affinity" not in found["spec"]
    assert worst_skew(room, first) == 1
