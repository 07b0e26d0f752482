"""The ledger: who holds what. One writer, synchronous, never awaits.

It is a fold over bound pods, plus reservations of pods on their way. A pod frees its devices when
it is gone or finished, not when it is asked to go. Pods that use no GPU count, too: they take CPU,
memory and one of the pods that a node runs.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from scheduler.core.ledger.columns import Columns
from scheduler.core.ledger.contributions import Contributions
from scheduler.core.ledger.eligibility import Eligibility
from scheduler.core.ledger.holdings import Holding
from scheduler.core.ledger.snapshot import Held, Snapshot
from scheduler.core.model.errors import AlreadyBound, Oversold, UnknownPlace
from scheduler.core.model.gangs import Gathered
from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.nodes import Node
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.tenants import Brought, Tenant

Slots = tuple[Slot, ...]


class Ledger:
    """Nodes, holdings and columns that say what is free. `generation` grows with every change."""

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self.columns = Columns()
        self.generation = 0
        self._nodes: dict[NodeName, Node] = {}
        self._holdings: dict[PodUID, Holding] = {}
        self._on_node: dict[NodeName, dict[PodUID, Holding]] = {}
        self._held: dict[TenantName, Held] = {}
        self._members: dict[str, set[PodUID]] = {}
        self._undecodable: dict[NodeName, str] = {}
        # Asked at every filter, so it must not look at every holding.
        self._limits: list[tuple[float, PodUID]] = []
        self._strange: dict[NodeName, str] = {}
        self._told: dict[NodeName, str] = {}
        self._eligibility: Eligibility | None = None
        self._owned = Contributions()
        self.put_nodes(nodes)

    @property
    def nodes(self) -> Mapping[NodeName, Node]:
        """Nodes as last reported."""
        return self._nodes

    @property
    def holdings(self) -> Mapping[PodUID, Holding]:
        """Every claim, by pod."""
        return self._holdings

    @property
    def held(self) -> Mapping[TenantName, Held]:
        """What each tenant holds, reservations included; tenants without a GPU are left out."""
        return self._held

    @property
    def closed(self) -> Mapping[NodeName, str]:
        """Nodes that take no new pod, and why: they say so, or a claim can't be understood."""
        return {**self._told, **self._undecodable, **self._strange}

    @property
    def brought(self) -> Mapping[TenantName, Brought]:
        """What the nodes of each owner come to now."""
        return self._owned.brought(self.closed)

    @property
    def eligibility(self) -> Eligibility:
        """Which rows the constraints of a pod leave; a new object once labels or taints change."""
        if self._eligibility is None:
            self._eligibility = Eligibility(self.columns.names, self._nodes)
        return self._eligibility

    def put_nodes(self, nodes: Iterable[Node]) -> None:
        """Add nodes, or describe known ones anew; what is held on them stays held."""
        # Of two descriptions of one node the later counts: two rows would sell it twice.
        reported = {node.name: node for node in nodes}
        latest = {name: node for name, node in reported.items() if self._nodes.get(name) != node}
        if any(_is_chosen_anew(self._nodes.get(node.name), node) for node in latest.values()):
            self._eligibility = None
        # What is only told, as measured memory is, comes in without a change of anything held.
        self._nodes.update(reported)
        if not latest:
            return
        for name, node in latest.items():
            self._tell(name, node.closed)
            self._owned.put(node)
        known = latest.keys() & self.columns.row.keys()
        self.columns.add([node for name, node in latest.items() if name not in known])
        for name in latest:
            # A pod may be heard of before its node.
            if name in known or name in self._on_node or self._is_closed(name):
                self._refold(name)
        self.generation += 1

    def drop_node(self, name: NodeName) -> None:
        """Forget a node. Claims on it last until their pods are gone; nothing new goes there."""
        if self._nodes.pop(name, None) is not None:
            self._eligibility = None
            self._tell(name, "")
            self._owned.drop(name)
            self._refold(name)
            self.generation += 1

    def reserve(self, pod: Pod, placement: Placement, *, expires: float | None = None) -> None:
        """Claim a place for a pod that isn't bound yet; replaces its earlier reservation.

        Raises AlreadyBound, UnknownPlace or Oversold; then nothing has changed.
        """
        before = self._holdings.get(pod.uid)
        if before is not None and before.bound:
            raise AlreadyBound(f"pod {pod.key} is bound to {before.placement.node} already")
        if before is not None:
            self._remove(before)
        problem = self._misfit(pod, placement)
        if problem is None:
            self._insert(Holding(pod, placement, bound=False, expires=expires))
        elif before is not None:
            self._insert(before)
        if problem is not None:
            raise problem
        self.generation += 1

    def hand_over(self, uid: PodUID, pod: Pod, *, expires: float | None = None) -> bool:
        """Let a reservation be that pod's, which asks for the same; no number changes.

        Whether it is the pod's now; if not, nothing has changed.
        """
        before = self._holdings.get(uid)
        free = before is not None and not before.bound and pod.uid not in self._holdings
        if before is None or not free or not _same_claim(before.pod, pod):
            return False
        del self._holdings[uid]
        del self._on_node[before.placement.node][uid]
        self._store(Holding(pod, before.placement, bound=False, expires=expires))
        self.generation += 1
        return True

    def bind(self, pod: Pod, placement: Placement) -> None:
        """Record that the pod is bound there. This is the truth: it is never refused.

        A claim on a device that its node doesn't have closes the node for new pods.
        """
        before = self._holdings.get(pod.uid)
        if before is not None and before.placement == placement and _same_claim(before.pod, pod):
            # The common case: a reservation is confirmed, and no number changes.
            if not before.bound or before.pod != pod:
                self._store(Holding(pod, placement, bound=True))
                self.generation += 1
            return
        if before is not None:
            self._remove(before)
        self._insert(Holding(pod, placement, bound=True))
        self.generation += 1

    def release(self, uid: PodUID) -> Holding | None:
        """Free what the pod holds: it is gone, finished, or its reservation is given up."""
        holding = self._holdings.get(uid)
        if holding is not None:
            self._remove(holding)
            self.generation += 1
        return holding

    def expire(self, now: float) -> list[Holding]:
        """Release reservations whose time is over, and return them."""
        over = []
        while self._limits and self._limits[0][0] <= now:
            limit, uid = heapq.heappop(self._limits)
            holding = self._holdings.get(uid)
            # Confirmed, moved or prolonged since: then this limit no longer counts.
            if holding is not None and not holding.bound and holding.expires == limit:
                self.release(uid)
                over.append(holding)
        return over

    def close_node(self, name: NodeName, why: str) -> None:
        """Let the node take no new pod: a claim on it can't be understood. See `open_node`."""
        self._undecodable[name] = why
        self._refold(name)
        self.generation += 1

    def open_node(self, name: NodeName) -> None:
        """Undo `close_node`: the claim is gone, or understood now."""
        if self._undecodable.pop(name, None) is not None:
            self._refold(name)
            self.generation += 1

    def snapshot(
        self, *, tenants: Iterable[Tenant] = (), lags: Mapping[TenantName, float] | None = None
    ) -> Snapshot:
        """Return a read-only copy for one round, with what the round needs beside it."""
        columns = self.columns.copy()
        columns.freeze()
        return Snapshot(
            columns=columns,
            generation=self.generation,
            held=dict(self._held),
            tenants=tuple(tenants),
            lags=dict(lags or {}),
            eligibility=self.eligibility,
            gathered={name: Gathered(frozenset(uids)) for name, uids in self._members.items()},
        )

    def rebuilt(self) -> "Ledger":
        """Return a ledger folded anew from nodes and bound pods, as after a restart.

        What `close_node` said is told to it again, as the pods that can't be understood would.
        """
        twin = Ledger(self._nodes.values())
        for name, why in self._undecodable.items():
            twin.close_node(name, why)
        for holding in self._holdings.values():
            if holding.bound:
                twin.bind(holding.pod, holding.placement)
        return twin

    def _misfit(self, pod: Pod, placement: Placement) -> UnknownPlace | Oversold | None:
        node = self._nodes.get(placement.node)
        if node is None:
            return UnknownPlace(f"node {placement.node} is not known")
        if not node.open or self._is_closed(node.name):
            return Oversold(f"node {node.name} takes no new pod at present")
        columns, row = self.columns, self.columns.row[node.name]
        request = pod.request
        if columns.free_cpu[row] < request.cpu_milli or columns.free_ram[row] < request.ram_mib:
            return Oversold(f"node {node.name} has too little CPU or memory left for {pod.key}")
        if columns.free_pods[row] < 1:
            return Oversold(f"node {node.name} takes no more pods beside those that it has")
        if len({slot.uuid for slot in placement.slots}) != len(placement.slots):
            return Oversold(f"the placement of pod {pod.key} names a device twice")
        located = _located(node, placement)
        if located is None:
            return UnknownPlace(f"node {node.name} has no such device as pod {pod.key} was given")
        for slot in located:
            place = (row, slot.index)
            if columns.room[place] < slot.milli or columns.room_mib[place] < slot.memory_mib:
                return Oversold(f"device {slot.uuid} has too little left for pod {pod.key}")
        return None

    def _insert(self, holding: Holding) -> None:
        self._store(holding)
        self._count(holding, 1)
        self._change(holding, self.columns.take)

    def _remove(self, holding: Holding) -> None:
        uid, name = holding.pod.uid, holding.placement.node
        del self._holdings[uid]
        del self._on_node[name][uid]
        self._count(holding, -1)
        self._change(holding, self.columns.give)

    def _store(self, holding: Holding) -> None:
        if holding.expires is not None:
            heapq.heappush(self._limits, (holding.expires, holding.pod.uid))
        self._holdings[holding.pod.uid] = holding
        self._on_node.setdefault(holding.placement.node, {})[holding.pod.uid] = holding

    def _count(self, holding: Holding, sign: int) -> None:
        if not holding.placement.slots:
            return
        tenant, milli = holding.pod.tenant, sign * holding.placement.milli
        before = self._held.get(tenant, Held())
        after = Held(
            milli=before.milli + milli,
            fixed_milli=before.fixed_milli + (0 if holding.pod.preemptible else milli),
            pods=before.pods + sign,
        )
        if after.pods:
            self._held[tenant] = after
        else:
            self._held.pop(tenant, None)
        gang = holding.pod.gang
        if gang is not None:
            members = self._members.setdefault(gang.name, set())
            (members.add if sign > 0 else members.discard)(holding.pod.uid)
            if not members:
                del self._members[gang.name]

    def _change(self, holding: Holding, change: Callable[[int, Slots, Request], None]) -> None:
        """Book one claim, or where it isn't that simple, work the whole row out again."""
        name = holding.placement.node
        node = self._nodes.get(name)
        located = None if node is None else _located(node, holding.placement)
        if located is None:
            self._refold(name)
        else:
            change(self.columns.row[name], located, holding.pod.request)

    def _refold(self, name: NodeName) -> None:
        """Work the node's row out from its claims alone: whatever came before, it is right now."""
        row = self.columns.row.get(name)
        if row is None:
            return
        node = self._nodes.get(name) or Node(name, (), 0, 0, open=False)
        claims = [(claim, _located(node, claim.placement)) for claim in self._claims(name)]
        unknown = [claim.pod.key for claim, slots in claims if slots is None]
        self._strange.pop(name, None)
        if unknown and name in self._nodes:
            self._strange[name] = f"pod {unknown[0]} holds a device that the node doesn't have"
        self.columns.reset(row, replace(node, open=False) if self._is_closed(name) else node)
        for claim, slots in claims:
            self.columns.take(row, slots or (), claim.pod.request)

    def _claims(self, name: NodeName) -> Iterable[Holding]:
        return self._on_node.get(name, {}).values()

    def _is_closed(self, name: NodeName) -> bool:
        return name in self._told or name in self._undecodable or name in self._strange

    def _tell(self, name: NodeName, why: str) -> None:
        if why:
            self._told[name] = why
        else:
            self._told.pop(name, None)


def _is_chosen_anew(before: Node | None, node: Node) -> bool:
    """Whether constraints may lead to another answer about the node."""
    return before is None or (before.labels, before.taints) != (node.labels, node.taints)


def _same_claim(before: Pod, pod: Pod) -> bool:
    """Whether both hold the same at the same place; where it might have gone instead is over."""
    holds = (before.tenant, before.request, before.preemptible, before.gang)
    return holds == (pod.tenant, pod.request, pod.preemptible, pod.gang)


def _located(node: Node, placement: Placement) -> Slots | None:
    return placement.slots_at(tuple(device.uuid for device in node.devices))
