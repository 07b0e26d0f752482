"""Whatever happens in whatever order: the ledger is the fold over its claims, and never oversold.

The fold here is written anew, one claim and one device at a time.
"""

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from scheduler.core.ledger.columns import hosted_kind
from scheduler.core.ledger.holdings import Holding
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.ledger.snapshot import Held
from scheduler.core.model.constraints import NO_CONSTRAINTS
from scheduler.core.model.errors import AlreadyBound, LedgerError
from scheduler.core.model.ids import DeviceUUID, NodeName, PodUID
from scheduler.core.model.nodes import Node
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.pods import Pod
from scheduler.core.packing.packer import Packer
from tests.support import builders
from tests.support.builders import described

NAMES = ("n0", "n1", "n2")
SOME_NAME = st.sampled_from(NAMES)
SOME_POD = builders.pods(st.sampled_from([f"p{number}" for number in range(8)]))
SOME_SLOTS = st.lists(
    st.builds(
        Slot,
        st.integers(0, 4),
        st.sampled_from([DeviceUUID(f"{name}/{index}") for name in NAMES for index in range(5)]),
        st.sampled_from([100, 500, 1000]),
        st.sampled_from([0, 4_000, 16_000]),
    ),
    max_size=3,
    unique_by=lambda slot: slot.uuid,
)


class LedgerInAnyOrder(RuleBasedStateMachine):
    """Random events; `loose` are nodes whose claims were told, or that changed below them."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.nodes: dict[NodeName, Node] = {}
        self.closed: set[NodeName] = set()
        self.claims: dict[PodUID, Holding] = {}
        self.loose: set[NodeName] = set()
        self.generation = -1

    @initialize(nodes=builders.clusters(most=3))
    def begin(self, nodes: list[Node]) -> None:
        self.ledger.put_nodes(nodes)
        self.nodes = {node.name: node for node in nodes}

    @rule(pod=SOME_POD, policy=st.sampled_from(["best-fit", "spread", "gpu-packing"]))
    def reserve_the_best_place(self, pod: Pod, policy: str) -> None:
        placement = Packer(self.ledger.columns, policy).place(pod.request)
        before = self.claims.get(pod.uid)
        if placement is None or (before is not None and before.bound):
            return
        # Found on a ledger that may hold the pod's earlier reservation: without it there is more.
        self.ledger.reserve(pod, placement, expires=10.0)
        self.claims[pod.uid] = Holding(pod, placement, bound=False, expires=10.0)

    @rule(pod=SOME_POD, name=SOME_NAME, slots=SOME_SLOTS, expires=st.sampled_from([None, 5.0]))
    def reserve_anywhere(
        self, pod: Pod, name: NodeName, slots: list[Slot], expires: float | None
    ) -> None:
        before = self._all()
        placement = Placement(name, tuple(slots))
        problem = self._reserve(pod, placement, expires)
        if problem is None:
            self.claims[pod.uid] = Holding(pod, placement, bound=False, expires=expires)
        else:
            bound = pod.uid in self.claims and self.claims[pod.uid].bound
            assert isinstance(problem, AlreadyBound) == bound
            assert self._all() == before

    def _reserve(self, pod: Pod, placement: Placement, expires: float | None) -> LedgerError | None:
        try:
            self.ledger.reserve(pod, placement, expires=expires)
        except LedgerError as problem:
            return problem
        return None

    def _all(self) -> tuple[object, ...]:
        ledger = self.ledger
        holdings, held = dict(ledger.holdings), dict(ledger.held)
        return described(ledger.columns), holdings, held, ledger.generation

    @rule(pod=SOME_POD, name=SOME_NAME, slots=SOME_SLOTS)
    def bind_as_told(self, pod: Pod, name: NodeName, slots: list[Slot]) -> None:
        self._bind(pod, Placement(name, tuple(slots)))
        self.loose.add(name)

    @rule(data=st.data())
    def bind_what_is_reserved(self, data: st.DataObject) -> None:
        if self.claims:
            claim = self.claims[data.draw(st.sampled_from(sorted(self.claims)))]
            self._bind(claim.pod, claim.placement)

    def _bind(self, pod: Pod, placement: Placement) -> None:
        self.ledger.bind(pod, placement)
        after = described(self.ledger.columns), self.ledger.generation
        self.ledger.bind(pod, placement)
        assert (described(self.ledger.columns), self.ledger.generation) == after
        self.claims[pod.uid] = Holding(pod, placement, bound=True)

    @rule(pod=SOME_POD, uid=st.sampled_from([PodUID(f"p{number}") for number in range(8)]))
    def hand_over(self, pod: Pod, uid: PodUID) -> None:
        before, room = self.claims.get(uid), described(self.ledger.columns)
        free = before is not None and not before.bound and pod.uid not in self.claims
        if not free or before is None:
            assert not self.ledger.hand_over(uid, pod)
            return
        asked = (pod.tenant, pod.request, pod.preemptible)
        same = asked == (before.pod.tenant, before.pod.request, before.pod.preemptible)
        assert self.ledger.hand_over(uid, pod) == same
        if same:
            del self.claims[uid]
            self.claims[pod.uid] = Holding(pod, before.placement, bound=False)
            assert described(self.ledger.columns) == room

    @rule(uid=st.sampled_from([PodUID(f"p{number}") for number in range(8)]))
    def release(self, uid: PodUID) -> None:
        assert self.ledger.release(uid) == self.claims.pop(uid, None)

    @rule(now=st.sampled_from([4.0, 6.0, 11.0]))
    def expire(self, now: float) -> None:
        over = {
            uid
            for uid, claim in self.claims.items()
            if not claim.bound and claim.expires is not None and claim.expires <= now
        }
        assert {holding.pod.uid for holding in self.ledger.expire(now)} == over
        for uid in over:
            del self.claims[uid]

    @rule(data=st.data(), name=SOME_NAME)
    def put_another_node(self, data: st.DataObject, name: NodeName) -> None:
        self._put(data.draw(builders.nodes(name)))

    @rule(data=st.data(), name=SOME_NAME)
    def tell_other_labels_and_taints(self, data: st.DataObject, name: NodeName) -> None:
        if name in self.nodes:
            labelled = data.draw(builders.labelled(self.nodes[name]))
            self.ledger.put_nodes([labelled])
            self.nodes[name] = labelled

    @rule(data=st.data(), name=SOME_NAME)
    def renumber_devices(self, data: st.DataObject, name: NodeName) -> None:
        if name in self.nodes:
            node = self.nodes[name]
            self._put(replace(node, devices=tuple(data.draw(st.permutations(node.devices)))))

    @rule(data=st.data(), name=SOME_NAME)
    def lose_a_device(self, data: st.DataObject, name: NodeName) -> None:
        if name in self.nodes and self.nodes[name].devices:
            node = self.nodes[name]
            lost = data.draw(st.sampled_from(node.devices))
            self._put(replace(node, devices=tuple(d for d in node.devices if d != lost)))

    def _put(self, node: Node) -> None:
        self.ledger.put_nodes([node])
        self.nodes[node.name] = node
        self.loose.add(node.name)

    @rule(name=SOME_NAME)
    def drop_node(self, name: NodeName) -> None:
        self.ledger.drop_node(name)
        self.nodes.pop(name, None)
        self.loose.add(name)

    @rule(name=SOME_NAME)
    def close_node(self, name: NodeName) -> None:
        self.ledger.close_node(name, "its pod x can't be understood")
        self.closed.add(name)

    @rule(name=SOME_NAME)
    def open_node(self, name: NodeName) -> None:
        self.ledger.open_node(name)
        self.closed.discard(name)

    @invariant()
    def the_ledger_is_the_fold_over_its_claims(self) -> None:
        told = described(self.ledger.columns)
        for name, node in self.nodes.items():
            closed = name in self.closed or self._strange(node) or bool(node.closed)
            assert told[name] == fold(node, self._on(name), closed=closed)
            assert (name in self.ledger.closed) == closed
        assert self.ledger.closed.keys() - self.nodes.keys() <= self.closed
        for gone in told.keys() - self.nodes.keys():
            assert told[gone]["uuids"] == ()

    @invariant()
    def claims_and_sums_by_tenant_are_right(self) -> None:
        assert self.ledger.holdings == self.claims
        milli: Counter[str] = Counter()
        fixed: Counter[str] = Counter()
        pods: Counter[str] = Counter()
        for claim in self.claims.values():
            if not claim.placement.slots:
                continue
            pods[claim.pod.tenant] += 1
            milli[claim.pod.tenant] += claim.placement.milli
            fixed[claim.pod.tenant] += 0 if claim.pod.preemptible else claim.placement.milli
        assert self.ledger.held == {t: Held(milli[t], fixed[t], pods[t]) for t in pods}

    @invariant()
    def a_restart_gives_the_same(self) -> None:
        if all(claim.bound for claim in self.claims.values()):
            told = described(self.ledger.columns)
            twin = self.ledger.rebuilt()
            assert described(twin.columns) == {name: told[name] for name in self.nodes}
            assert (twin.held, twin.closed.keys()) == (self.ledger.held, self.ledger.closed.keys())

    @invariant()
    def nothing_is_oversold_unless_it_was_told(self) -> None:
        self.loose = {name for name in self.loose if self._on(name)}
        columns = self.ledger.columns
        for sound in self.nodes.keys() - self.loose:
            row = columns.row[sound]
            for column in (columns.free, columns.free_mib, columns.free_cpu, columns.free_ram):
                assert (column[row] >= 0).all()
            assert columns.free_pods[row] >= 0

    @invariant()
    def it_knows_which_nodes_constraints_leave(self) -> None:
        rows = self.ledger.eligibility.now(NO_CONSTRAINTS)
        columns = self.ledger.columns
        allowed = columns.row.values() if rows is None else set(rows.tolist())
        for name, node in self.nodes.items():
            assert (columns.row[name] in allowed) == NO_CONSTRAINTS.allow(node)

    @invariant()
    def the_generation_never_falls(self) -> None:
        assert self.ledger.generation >= self.generation
        self.generation = self.ledger.generation

    def _on(self, name: NodeName) -> list[Holding]:
        return [claim for claim in self.claims.values() if claim.placement.node == name]

    def _strange(self, node: Node) -> bool:
        return any(not known(node, claim) for claim in self._on(node.name))


def known(node: Node, claim: Holding) -> bool:
    uuids = {device.uuid for device in node.devices}
    return all(slot.uuid in uuids for slot in claim.placement.slots)


def fold(node: Node, claims: list[Holding], *, closed: bool) -> dict[str, Any]:
    """Return what `described` should say of the node, by adding up its claims."""
    hosted: Counter[int] = Counter(
        hosted_kind(claim.pod.request)
        for claim in claims
        if claim.placement.slots and known(node, claim)
    )
    booked = [
        [
            slot
            for claim in claims
            if known(node, claim)
            for slot in claim.placement.slots
            if slot.uuid == device.uuid
        ]
        for device in node.devices
    ]
    shut = [closed or not node.open or not device.healthy for device in node.devices]
    free = [d.milli - sum(s.milli for s in on) for d, on in zip(node.devices, booked, strict=True)]
    free_mib = [
        d.memory_mib - sum(s.memory_mib for s in on)
        for d, on in zip(node.devices, booked, strict=True)
    ]
    return {
        "cpu": node.cpu_milli - sum(claim.pod.request.cpu_milli for claim in claims),
        "ram": node.ram_mib - sum(claim.pod.request.ram_mib for claim in claims),
        "pods": node.pods - len(claims),
        "hosted": [hosted[kind] for kind in range(18)],
        "uuids": tuple(device.uuid for device in node.devices),
        "models": [device.model for device in node.devices],
        "cap": [device.milli for device in node.devices],
        "free": free,
        "room": [-1 if no else left for no, left in zip(shut, free, strict=True)],
        "mib_cap": [device.memory_mib for device in node.devices],
        "free_mib": free_mib,
        "room_mib": [
            -1 if no else left - device.foreign_mib
            for no, left, device in zip(shut, free_mib, node.devices, strict=True)
        ],
        "shut": shut,
    }


TestLedgerInAnyOrder = LedgerInAnyOrder.TestCase
TestLedgerInAnyOrder.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None
)  # fmt: skip
