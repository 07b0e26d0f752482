"""Bound pods as they live: since when they run, and which of them are about to go."""

from collections.abc import Mapping

from scheduler.core.ledger.holdings import Holding
from scheduler.core.ledger.snapshot import Runs
from scheduler.core.model.ids import PodUID
from scheduler.core.model.pods import Pod

LOST_SECONDS = 60.0
"""So long after its grace period a pod that is still there is taken for one that can't die."""


class Lives:
    """Told by the watch, and by who asks pods to stop. Times in seconds since the epoch.

    A pod that would take longer than `grace_seconds` to go isn't going: its grace can be cut short.
    """

    def __init__(self, grace_seconds: float) -> None:
        self._grace = grace_seconds
        self._since: dict[PodUID, float] = {}
        self._ends: dict[PodUID, float] = {}
        self._asked: set[PodUID] = set()
        self._spared: dict[PodUID, float] = {}
        self._limited: set[PodUID] = set()

    @property
    def limited(self) -> bool:
        """Whether a pod is among them that runs for a limited time."""
        return bool(self._limited)

    def runs(self, pod: Pod, since: float) -> None:
        """A pod came to its node then."""
        self._since.setdefault(pod.uid, since)
        if pod.max_runtime is not None:
            self._limited.add(pod.uid)

    def since(self, uid: PodUID) -> float | None:
        """Return when a pod came to its node; None if it isn't known."""
        return self._since.get(uid)

    def ends(self, uid: PodUID, at: float) -> None:
        """A pod is being deleted; its grace is over then."""
        self._ends[uid] = at
        # Whatever became of our asking, it goes.
        self._spared.pop(uid, None)

    def gone(self, uid: PodUID) -> None:
        """A pod has ended."""
        self._since.pop(uid, None)
        self._ends.pop(uid, None)
        self._asked.discard(uid)
        self._spared.pop(uid, None)
        self._limited.discard(uid)

    def ask(self, uid: PodUID) -> None:
        """A pod is being asked to stop."""
        self._asked.add(uid)

    def spare(self, uid: PodUID, until: float) -> None:
        """It isn't asked any longer, and not again before then."""
        self._asked.discard(uid)
        self._spared[uid] = until

    def running(self, holdings: Mapping[PodUID, Holding], now: float) -> Runs:
        """Return who runs, as a copy that nothing changes any more."""
        since = dict(self._since)
        for uid in [uid for uid, until in self._spared.items() if until <= now]:
            del self._spared[uid]
        # Whose grace is long over can't die: nobody waits for it, and others are stopped.
        lost = {uid for uid, at in self._ends.items() if at + LOST_SECONDS < now}
        for uid in self._spared.keys() | lost:
            since.pop(uid, None)
        going = {uid for uid, at in self._ends.items() if at <= now + self._grace}
        return Runs(dict(holdings), since, frozenset((self._asked | going) - lost))
