"""Kinds of pods: those that agree in what they ask for are looked at once in a round."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from scheduler.core.cycle.capacity import Capacity
from scheduler.core.ledger.block import Ints
from scheduler.core.ledger.eligibility import Selector
from scheduler.core.model.constraints import Constraints
from scheduler.core.model.gangs import Topology
from scheduler.core.model.ids import PodUID
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What decides where a pod finds room. There is one of each in a round.

    `milli` is what such a pod counts while it waits (milli-GPU), None if no empty node could hold
    it. `parts`: of those that start together the kind of each, () for a pod by itself; request and
    constraints are those of the first one then. `topology`: how near they sit.
    """

    request: Request
    constraints: Constraints
    milli: int | None
    parts: tuple["Kind", ...] = ()
    topology: Topology | None = None

    @property
    def by_memory(self) -> bool:
        """Whether what it counts is known only once it has its place."""
        parts = self.parts or (self,)
        return any(part.request.memory_mib for part in parts)


class Kinds:
    """The kinds of the pods of one round.

    Members of a gang may be narrowed to where the others are; nothing else of a pod is changed.
    """

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._by_pod: dict[PodUID, Kind] = {}
        self._by_asked: dict[tuple[Request, Constraints], Kind] = {}
        self._together: dict[tuple[tuple[Kind, ...], Topology | None], Kind] = {}
        self._most: dict[Kind, int] = {}
        self._most_on_each: dict[Kind, Ints] = {}
        self._narrowed: dict[PodUID, Constraints] = {}

    def of(self, pod: Pod) -> Kind:
        """Return the kind that the pod is of."""
        kind = self._by_pod.get(pod.uid)
        if kind is None:
            asked = pod.request, self.constraints(pod)
            kind = self._by_asked.get(asked)
            if kind is None:
                kind = self._by_asked[asked] = Kind(*asked, self._capacity.counts(*asked))
            self._by_pod[pod.uid] = kind
        return kind

    def of_all(self, pods: Sequence[Pod]) -> Kind:
        """Return the kind of pods that start together; all of them fit somewhere."""
        parts, gang = tuple(map(self.of, pods)), pods[0].gang
        topology = gang.topology if gang else None
        kind = self._together.get((parts, topology))
        if kind is None:
            first, milli = parts[0], sum(part.milli or 0 for part in parts)
            kind = Kind(first.request, first.constraints, milli, parts, topology)
            self._together[parts, topology] = kind
        return kind

    def milli_for(self, pods: Sequence[Pod]) -> int | None:
        """Return milli-GPU of all nodes together, if the pods take more at once; None: enough."""
        return self._capacity.milli_for([pod.request for pod in pods])

    def constraints(self, pod: Pod) -> Constraints:
        """Return what narrows the choice of nodes for the pod in this round."""
        return self._narrowed.get(pod.uid, pod.constraints)

    def narrow(self, pod: Pod, domain: Selector) -> None:
        """Let the pod go nowhere else from now on."""
        self._narrowed[pod.uid] = pod.constraints.narrowed(domain)
        self._by_pod.pop(pod.uid, None)

    @contextmanager
    def within(self, pods: Sequence[Pod], domain: Selector) -> Iterator[None]:
        """Let these go nowhere else for a while."""
        if not domain:
            yield
            return
        before = {pod.uid: self._narrowed.get(pod.uid) for pod in pods}
        for pod in pods:
            self._narrowed[pod.uid] = self.constraints(pod).narrowed(domain)
            self._by_pod.pop(pod.uid, None)
        try:
            yield
        finally:
            self._restore(before)

    def _restore(self, before: Mapping[PodUID, Constraints | None]) -> None:
        for uid, constraints in before.items():
            self._by_pod.pop(uid, None)
            if constraints is None:
                del self._narrowed[uid]
            else:
                self._narrowed[uid] = constraints

    def most(self, kind: Kind, enough: int) -> int:
        """Return how many such pods all nodes would hold at once were they empty, or `enough`."""
        if kind not in self._most:
            self._most[kind] = self._capacity.most(kind.request, kind.constraints)
        return min(self._most[kind], enough)

    def most_on_each(self, kind: Kind) -> Ints:
        """Return how many such pods each row [N] would hold were it empty."""
        if kind not in self._most_on_each:
            found = self._capacity.most_on_each(kind.request, kind.constraints)
            self._most_on_each[kind] = found
        return self._most_on_each[kind]
