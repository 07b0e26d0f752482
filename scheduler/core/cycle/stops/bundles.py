"""Bundles: running pods of which none can be stopped without the others.

A pod by itself is one. Of a gang those beyond its size are one each, the youngest of them first to
go; all of it together is another one, as fewer than its size are of no use.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.cycle.gangs import NOBODY, Present, size_of
from scheduler.core.cycle.rounds import Round
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.running import Running

Cost = tuple[float, int, float, str]
"""GPU-seconds lost, pods, seconds that the youngest has run for, and the first by UID."""

MayStop = Callable[[Running], bool]


@dataclass(frozen=True, slots=True)
class Bundle:
    """They go together, at that cost."""

    pods: tuple[Running, ...]
    cost: Cost

    @classmethod
    def of(cls, now: float, pods: Iterable[Running]) -> "Bundle":
        """Return the bundle of these."""
        pods = tuple(pods)
        return cls(pods, cost_of(now, pods))

    @property
    def nodes(self) -> set[NodeName]:
        """Where they run."""
        return {each.placement.node for each in self.pods}

    @property
    def milli(self) -> int:
        """Milli-GPU in all."""
        return sum(each.placement.milli for each in self.pods)

    def milli_on(self, node: NodeName) -> int:
        """Milli-GPU of those that run on the node."""
        return sum(each.placement.milli for each in self.pods if each.placement.node == node)

    @property
    def since(self) -> float:
        """When the first of them began to run (seconds)."""
        return min(each.since for each in self.pods)


def cost_of(now: float, pods: Iterable[Running]) -> Cost:
    """Return what it costs to stop these."""
    pods = tuple(pods)
    lost = math.fsum(each.placement.milli / MILLI * max(0.0, now - each.since) for each in pods)
    youngest = max(0.0, min(now - each.since for each in pods))
    # Of equal ones the same in every run, whatever the order in which pods are known.
    return lost, len(pods), youngest, min(each.pod.uid for each in pods)


def those_who_run(work: Allocation) -> Iterator[Running]:
    """Yield running pods of tenants that are there, with their devices where they are now."""
    for known in work.this.snapshot.running:
        each = work.located(known)
        if each is not None and each.pod.tenant in work.this.tree:
            yield each


def may_stop(this: Round, each: Running) -> bool:
    """Whether a pod may be stopped for others at all, and has had its time undisturbed."""
    return each.pod.preemptible and this.now - each.since >= this.profile.min_runtime


class Bundles:
    """Who may be stopped, by node: `on`. Of gangs `present` says how many have a place at all."""

    def __init__(
        self,
        now: float,
        running: Iterable[Running],
        present: Mapping[str, Present],
        may_stop: MayStop,
    ) -> None:
        self._now, self._present, self._may_stop = now, present, may_stop
        self._gangs: dict[str, list[Running]] = {}
        self.on: dict[NodeName, list[Bundle]] = {}
        gangs = defaultdict[str, list[Running]](list)
        for each in running:
            if each.pod.gang is not None:
                gangs[each.pod.gang.name].append(each)
            elif may_stop(each):
                self._add((each,))
        for name, members in gangs.items():
            # One of which some are on their way, or about to go, is let alone.
            known = present.get(name, NOBODY)
            if len(members) == known.held and not known.going:
                self._add_gang(name, sorted(members, key=lambda each: each.pod.uid))

    def copy(self) -> "Bundles":
        """Return the same, to try something."""
        twin = Bundles(self._now, (), self._present, self._may_stop)
        twin._gangs = dict(self._gangs)
        twin.on = {node: list(bundles) for node, bundles in self.on.items()}
        return twin

    def drop(self, gone: Iterable[Running]) -> set[NodeName]:
        """Leave these out from now on; return the nodes where something is otherwise by that."""
        uids, nodes, names = set[PodUID](), set[NodeName](), set[str]()
        for each in gone:
            uids.add(each.pod.uid)
            nodes.add(each.placement.node)
            if each.pod.gang is not None:
                names.add(each.pod.gang.name)
        for name in sorted(names & self._gangs.keys()):
            members = self._gangs.pop(name)
            there = {each.placement.node for each in members}
            self._remove({each.pod.uid for each in members}, there)
            nodes |= there
            self._add_gang(name, [each for each in members if each.pod.uid not in uids])
        self._remove(uids, nodes)
        return nodes

    def _remove(self, uids: set[PodUID], nodes: Iterable[NodeName]) -> None:
        for node in nodes:
            self.on[node] = [
                bundle
                for bundle in self.on.get(node, ())
                if not any(each.pod.uid in uids for each in bundle.pods)
            ]

    def _add_gang(self, name: str, members: list[Running]) -> None:
        if not members:
            return
        self._gangs[name] = members
        finished = self._present.get(name, NOBODY).finished
        beyond = len(members) + finished - size_of(each.pod for each in members)
        youngest = sorted(members, key=lambda each: each.pod.turn, reverse=True)
        for each in youngest[: max(beyond, 0)]:
            self._add((each,))
        if len(members) > 1 or beyond <= 0:
            self._add(members)

    def _add(self, pods: Sequence[Running]) -> None:
        if all(map(self._may_stop, pods)):
            bundle = Bundle.of(self._now, pods)
            for node in sorted(bundle.nodes):
                self.on.setdefault(node, []).append(bundle)
