"""Kinds of pods: those that agree in what they ask for are looked at once in a round."""

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.core.cycle.capacity import Capacity
from scheduler.core.model.constraints import Constraints
from scheduler.core.model.ids import PodUID
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What decides where a pod finds room. There is one of each in a round.

    `milli` is what such a pod counts while it waits (milli-GPU), None if no empty node could hold
    it. `parts`: of those that start together the kind of each, () for a pod by itself; request and
    constraints are those of the first one then.
    """

    request: Request
    constraints: Constraints
    milli: int | None
    parts: tuple["Kind", ...] = ()

    @property
    def by_memory(self) -> bool:
        """Whether what it counts is known only once it has its place."""
        parts = self.parts or (self,)
        return any(part.request.memory_mib for part in parts)


class Kinds:
    """The kinds of the pods of one round."""

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._by_pod: dict[PodUID, Kind] = {}
        self._by_asked: dict[tuple[Request, Constraints], Kind] = {}
        self._together: dict[tuple[Kind, ...], Kind] = {}
        self._most: dict[Kind, int] = {}

    def of(self, pod: Pod) -> Kind:
        """Return the kind that the pod is of."""
        kind = self._by_pod.get(pod.uid)
        if kind is None:
            asked = pod.request, pod.constraints
            kind = self._by_asked.get(asked)
            if kind is None:
                kind = self._by_asked[asked] = Kind(*asked, self._capacity.counts(*asked))
            self._by_pod[pod.uid] = kind
        return kind

    def of_all(self, pods: Sequence[Pod]) -> Kind:
        """Return the kind of pods that start together; all of them fit somewhere."""
        parts = tuple(map(self.of, pods))
        kind = self._together.get(parts)
        if kind is None:
            first, milli = parts[0], sum(part.milli or 0 for part in parts)
            kind = Kind(first.request, first.constraints, milli, parts)
            self._together[parts] = kind
        return kind

    def milli_for(self, pods: Sequence[Pod]) -> int | None:
        """Return milli-GPU of all nodes together, if the pods take more at once; None: enough."""
        return self._capacity.milli_for([pod.request for pod in pods])

    def most(self, kind: Kind, enough: int) -> int:
        """Return how many such pods all nodes would hold at once were they empty, or `enough`."""
        if kind not in self._most:
            self._most[kind] = self._capacity.most(kind.request, kind.constraints)
        return min(self._most[kind], enough)
