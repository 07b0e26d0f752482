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

MOST = 50
"""Places looked for before a round: thousands may be turned down, and each takes up to 1 ms."""

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
        there = {each.pod.uid: each.pod for each in journeys}
        for uid in self._seen.keys() - there.keys():
            self._backoffs.forget(uid)
        self._seen = {uid: self._seen.get(uid, -1) for uid in there}
        looking = [uid for uid in there if self._is_due(uid, now)]
        # Those that were looked for the longest ago come first.
        for uid in sorted(looking, key=self._seen.__getitem__)[:MOST]:
            node = self._room_elsewhere(there[uid])
            self._seen[uid] = self._ledger.generation
            if node is not None:
                self._backoffs.fail(uid, now)
            yield None if node is None else (there[uid], node)

    def _is_due(self, uid: PodUID, now: float) -> bool:
        """Whether anything is held otherwise than when a place was looked for last."""
        return self._seen[uid] != self._ledger.generation and not self._backoffs.holds(uid, now)

    def _room_elsewhere(self, pod: Pod) -> NodeName | None:
        """Where its place is, kube-scheduler doesn't want it; nor where the pod may not go."""
        ledger, held = self._ledger, self._ledger.holdings.get(pod.uid)
        mine = None if held is None else held.placement.node
        rows, names = ledger.eligibility.now(pod.constraints), ledger.columns.names
        allowed = ledger.nodes if rows is None else [names[row] for row in rows.tolist()]
        place = self._plan(pod, [name for name in allowed if name != mine])
        return place.node if isinstance(place, Placement) else None
