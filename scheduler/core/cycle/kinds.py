"""Kinds of pods: those that agree in what they ask for are looked at once in a round."""

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
    it.
    """

    request: Request
    constraints: Constraints
    milli: int | None


class Kinds:
    """The kinds of the pods of one round."""

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._by_pod: dict[PodUID, Kind] = {}
        self._by_asked: dict[tuple[Request, Constraints], Kind] = {}

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
