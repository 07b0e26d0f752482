"""Books of namespaces, nodes and volumes: told once, of what matters, and never for long."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.nodes import Node
from scheduler.kube.batches import Batch
from scheduler.kube.namespacebook import NamespaceBook
from scheduler.kube.nodebook import NodeBook
from scheduler.kube.slowshelf import SlowShelf
from scheduler.kube.times import stamp
from scheduler.kube.volumebook import VolumeBook
from tests.kube.stored import JSON, NOW, FastClock, gated_json, gpunode_json, node_json, stored, use


@dataclass
class Told:
    """What a NodeBook told, and its clock."""

    clock: FastClock = field(default_factory=FastClock)
    batches: list[list[str]] = field(default_factory=list)
    nodes: dict[str, Node] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)

    def book(self) -> NodeBook:
        return NodeBook(self.put, self.dropped.append, clock=self.clock)

    def put(self, nodes: list[Node]) -> None:
        self.batches.append([node.name for node in nodes])
        self.nodes |= {node.name: node for node in nodes}


async def test_a_batch_tells_each_key_once_and_not_many_at_a_time() -> None:
    told: list[list[str]] = []
    batch = Batch(told.append, most=2)
    for key in ("a", "b", "a", "c"):
        batch.note(key)
    assert not told
    await batch.told()
    assert told == [["a", "b"], ["c"]]


async def test_others_get_their_turn_between_two_slices_of_a_batch() -> None:
    seen: list[str] = []
    batch = Batch(seen.extend, most=1)
    batch.note("a")
    batch.note("b")
    asyncio.get_running_loop().call_soon(seen.append, "another")
    await batch.told()
    assert seen == ["a", "another", "b"]


async def test_one_bad_key_does_not_keep_the_others_from_being_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[str] = []

    def tell(keys: list[str]) -> None:
        if keys == ["bad"]:
            raise ValueError("bad")
        told.extend(keys)

    batch = Batch(tell, most=1)
    for key in ("bad", "good"):
        batch.note(key)
    await batch.told()
    assert told == ["good"]
    assert "could not be taken in" in caplog.text


async def test_of_what_is_seen_before_it_is_looked_at_the_newest_counts() -> None:
    told: list[str] = []
    shelf: SlowShelf[int] = SlowShelf(lambda item: item["spec"]["size"], told.append)
    for event, name, size in [
        *(("ADDED", "a", 1), ("MODIFIED", "a", 2), ("ADDED", "b", 1), ("DELETED", "b", 1)),
        *(("ADDED", "c", 1), ("MODIFIED", "d", 1)),
    ]:
        shelf.see(event, stored(name, spec={"size": size}))
    # A list has the last word on what isn't in it, be it kept already or only seen.
    shelf.replace([stored("a", spec={"size": 2}), stored("e", spec={"size": 5})])
    assert not shelf.kept
    await shelf.told()
    assert (shelf.kept, sorted(told)) == ({"a": 2, "e": 5}, ["a", "e"])
    shelf.replace([stored("a", spec={"size": 2})])
    await shelf.told()
    assert (shelf.kept, told[-1]) == ({"a": 2}, "e")


def test_a_namespace_belongs_to_the_tenant_of_its_label() -> None:
    moved: list[str] = []
    book = NamespaceBook(moved.append)
    label = {"labels": {"equipoise.dev/tenant": "vision"}}
    book.replace([stored("lab", metadata=label), stored("plain")])
    assert [book.tenant_of(name) for name in ("lab", "plain", "unknown")] == [
        *("vision", "default", "default")
    ]
    book.see("MODIFIED", stored("lab", metadata={**label, "resourceVersion": "8"}))
    assert moved == ["lab"]
    book.see("MODIFIED", stored("lab"))
    assert (book.tenant_of("lab"), moved) == ("default", ["lab", "lab"])


def test_a_namespace_that_is_gone_from_the_list_is_forgotten() -> None:
    moved: list[str] = []
    book = NamespaceBook(moved.append)
    book.see("ADDED", stored("lab", metadata={"labels": {"equipoise.dev/tenant": "vision"}}))
    book.replace([])
    assert (book.tenant_of("lab"), moved) == ("default", ["lab", "lab"])


async def test_nodes_of_a_list_are_told_at_once_joined_with_their_devices() -> None:
    told = Told()
    book = told.book()
    book.nodes.replace([node_json("a"), node_json("b")])
    book.gpunodes.replace([gpunode_json("a"), gpunode_json("ghost")])
    assert not told.batches
    await book.told()
    assert told.batches == [["a", "b"]]
    assert [len(told.nodes[name].devices) for name in ("a", "b")] == [2, 0]
    assert not told.dropped


async def test_a_heartbeat_is_no_news() -> None:
    told = Told()
    book = told.book()
    book.nodes.see("ADDED", node_json("a"))
    await book.told()
    beat = node_json("a")
    beat["metadata"]["resourceVersion"] = "8"
    beat["status"]["conditions"] = [{"type": "Ready", "lastHeartbeatTime": "now"}]
    book.nodes.see("MODIFIED", beat)
    await book.told()
    assert told.batches == [["a"]]


async def test_measured_use_is_told_although_nothing_is_decided_by_it() -> None:
    told = Told()
    book = told.book()
    book.nodes.see("ADDED", node_json("a"))
    for used in (100, 200):
        report = gpunode_json("a", use=[use("a/0", used=used)], usedAt=stamp(NOW))
        book.gpunodes.see("MODIFIED", report)
        await book.told()
    assert told.batches == [["a"], ["a"]]
    assert told.nodes["a"].devices[0].used_mib == 200


async def test_a_node_that_is_gone_is_dropped_once() -> None:
    told = Told()
    book = told.book()
    book.nodes.replace([node_json("a"), node_json("b")])
    await book.told()
    book.nodes.see("DELETED", node_json("a"))
    book.nodes.replace([])
    await book.told()
    assert sorted(told.dropped) == ["a", "b"]


async def test_a_node_that_can_not_be_read_takes_no_pod(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    book = told.book()
    book.nodes.see("ADDED", node_json("a"))
    await book.told()
    broken = node_json("a")
    broken["status"]["allocatable"]["cpu"] = "many"
    book.nodes.see("MODIFIED", broken)
    await book.told()
    assert told.dropped == ["a"]
    assert "node a can't be used" in caplog.text


async def test_a_node_is_closed_while_a_pod_on_it_uses_gpus_beside_us() -> None:
    told, pods = Told(), [PodUID("p"), PodUID("q")]
    book = told.book()
    book.nodes.see("ADDED", node_json("a"))
    closed = []
    for uid, uses in [(pods[0], True), (pods[1], True), (pods[0], False), (pods[1], False)]:
        book.uses_nvidia(NodeName("a"), uid, uses)
        await book.told()
        closed.append(bool(told.nodes["a"].closed))
    assert closed == [True, True, True, False]
    # The second pod, and the first one's end, changed nothing.
    assert len(told.batches) == 2


async def test_measured_load_grows_old_by_itself() -> None:
    told = Told()
    book = told.book()
    book.nodes.see("ADDED", node_json("a"))
    report = gpunode_json("a", use=[use("a/0", used=1, load=500)], usedAt=stamp(NOW))
    book.gpunodes.see("ADDED", report)
    await book.told()
    loads = [told.nodes["a"].devices[0].load]
    running = asyncio.create_task(book.run())
    while len(told.batches) < 2:
        await asyncio.sleep(0)
    running.cancel()
    loads.append(told.nodes["a"].devices[0].load)
    assert loads == [500, 0]
    assert told.clock.now() > NOW + 120


def _claim(name: str, volume: str = "", *, phase: str = "Bound") -> JSON:
    return stored(name, namespace="lab", spec={"volumeName": volume}, status={"phase": phase})


def _volume(name: str, zone: str) -> JSON:
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]}
    return stored(
        name,
        spec={
            "claimRef": {"namespace": "lab", "name": "data"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
        },
    )


def _using(**volume: Any) -> JSON:
    return gated_json("p", volumes=[{"name": "v", **volume}])


DATA = {"persistentVolumeClaim": {"claimName": "data"}}


def test_a_bound_volume_says_where_its_pod_may_go() -> None:
    book = VolumeBook(lambda _namespace: None)
    book.claims.replace([_claim("data", "pv"), _claim("p-v", "pv")])
    book.volumes.replace([_volume("pv", "a")])
    for pod in (_using(**DATA), _using(ephemeral={})):
        groups = book.terms_of(pod)
        assert groups is not None
        ((term,),) = groups
        assert [term.holds({"zone": zone}, "n") for zone in ("a", "b")] == [True, False]


@pytest.mark.parametrize(
    ("claims", "volumes"),
    [
        ([], [_volume("pv", "a")]),
        ([_claim("data")], [_volume("pv", "a")]),
        ([_claim("data", "pv", phase="Pending")], [_volume("pv", "a")]),
        ([_claim("data", "pv")], []),
    ],
    ids=["no claim", "unbound", "not bound yet", "no volume"],
)
def test_nobody_knows_where_a_pod_may_go_whose_volume_is_not_there(
    claims: list[JSON], volumes: list[JSON]
) -> None:
    book = VolumeBook(lambda _namespace: None)
    book.claims.replace(claims)
    book.volumes.replace(volumes)
    assert book.terms_of(_using(**DATA)) is None


def test_other_volumes_ask_nothing_of_a_node() -> None:
    assert VolumeBook(lambda _namespace: None).terms_of(_using(emptyDir={})) == ()


def test_a_namespace_is_named_whenever_one_of_its_volumes_is_bound_or_changes() -> None:
    moved: list[str] = []
    book = VolumeBook(moved.append)
    book.claims.see("ADDED", _claim("data"))
    assert not moved
    book.volumes.see("ADDED", _volume("pv", "a"))
    book.claims.see("MODIFIED", _claim("data", "pv"))
    book.volumes.see("MODIFIED", _volume("pv", "a"))
    book.volumes.see("DELETED", _volume("pv", "a"))
    assert moved == ["lab"] * 3
