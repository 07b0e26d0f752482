"""Back-off, pod by pod: one that fails again and again must not take every round's time."""

from dataclasses import dataclass, field

from scheduler.core.model.ids import PodUID

FIRST_SECONDS, MOST_SECONDS = 1.0, 60.0


@dataclass(slots=True)
class Backoffs:
    """Until when (seconds) each pod that failed is let alone: 1, 2, 4 … 60 s."""

    _tries: dict[PodUID, int] = field(default_factory=dict)
    _until: dict[PodUID, float] = field(default_factory=dict)

    def fail(self, uid: PodUID, now: float) -> None:
        """Let the pod alone for a while, twice as long as the last time."""
        tries = self._tries.get(uid, 0)
        self._tries[uid] = tries + 1
        # The exponent is bounded: a pod may fail for weeks.
        self._until[uid] = now + min(FIRST_SECONDS * 2.0 ** min(tries, 10), MOST_SECONDS)

    def holds(self, uid: PodUID, now: float) -> bool:
        """Whether the pod is to be let alone still."""
        return self._until.get(uid, now) > now

    def next_end(self, now: float) -> float | None:
        """Return when (seconds) the next pod may be tried again, None if all may."""
        return min((until for until in self._until.values() if until > now), default=None)

    def forget(self, uid: PodUID) -> None:
        """The pod got on, or is gone."""
        self._tries.pop(uid, None)
        self._until.pop(uid, None)

    def __bool__(self) -> bool:
        return bool(self._until)
