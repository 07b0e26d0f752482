"""Who waits: a line for each tenant, in the order of its turns."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from operator import itemgetter

from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.pods import Pod

_Place = tuple[tuple[float, float, str], Pod]


class Line:
    """Pods that wait. Who is next costs nothing to tell, however many stand behind."""

    def __init__(self) -> None:
        self._pods: dict[PodUID, Pod] = {}
        self._places: dict[TenantName, list[_Place]] = {}

    def __len__(self) -> int:
        return len(self._pods)

    def __iter__(self) -> Iterator[Pod]:
        # Tenant by tenant: a round sorts what it is given, and this is nearly sorted.
        return (pod for places in self._places.values() for _, pod in places)

    def add(self, pod: Pod) -> None:
        """Put the pod in its place."""
        self._pods[pod.uid] = pod
        insort(self._places.setdefault(pod.tenant, []), (pod.turn, pod), key=itemgetter(0))

    def remove(self, uid: PodUID) -> bool:
        """Take the pod out; return whether it was its tenant's next one."""
        pod = self._pods.pop(uid)
        places = self._places[pod.tenant]
        at = bisect_left(places, pod.turn, key=itemgetter(0))
        del places[at]
        if not places:
            del self._places[pod.tenant]
        return at == 0

    def next_ones(self) -> Iterator[Pod]:
        """Yield who is next of each tenant."""
        return (places[0][1] for places in self._places.values())
