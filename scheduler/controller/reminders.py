"""Pods that kube-scheduler turned down, and that it has to be reminded of once there is room.

It looks at them again by itself when a pod ends. But it may hear of that before we do, and then
filter says no once more; without other news it lets such a pod lie for five minutes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from scheduler.controller.backoffs import Backoffs
from scheduler.controller.journeys import Journey
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.placements import Placement
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Verdict

Plan = Callable[[Pod, Sequence[NodeName]], Placement | Verdict]


class Reminders:
    """Whom to remind of: after 1, 2, 4 … 60 s, and only where something has changed since."""

    def __init__(self, ledger: Ledger, plan: Plan) -> None:
        self._ledger, self._plan = ledger, plan
        self._backoffs = Backoffs()
        self._seen: dict[PodUID, int] = {}

    def due(self, journeys: Iterable[Journey], now: float) -> Iterator[tuple[Pod, NodeName] | None]:
        """Yield each pod with a node that has room for it, None for one without; `now` in seconds.

        `journeys` are all pods that were turned down and may still go to any node.
        """
        there = {each.pod.uid: each for each in journeys}
        before, self._seen = self._seen, {}
        for uid in before.keys() - there.keys():
            self._backoffs.forget(uid)
        for journey in there.values():
            pod, generation = journey.pod, self._ledger.generation
            seen = before.get(pod.uid)
            if seen == generation or self._backoffs.holds(pod.uid, now):
                self._seen[pod.uid] = -1 if seen is None else seen
                continue
            node = self._room_elsewhere(pod)
            self._seen[pod.uid] = generation
            if node is not None:
                self._backoffs.fail(pod.uid, now)
            yield None if node is None else (pod, node)

    def _room_elsewhere(self, pod: Pod) -> NodeName | None:
        """Where its place is, kube-scheduler doesn't want it."""
        held = self._ledger.holdings.get(pod.uid)
        mine = None if held is None else held.placement.node
        place = self._plan(pod, [name for name in self._ledger.nodes if name != mine])
        return place.node if isinstance(place, Placement) else None
