"""What people ask for, counted as it is seen: the mix that packing and fragmentation look at."""

from collections import Counter

from scheduler.core.model.requests import Request
from scheduler.core.packing.mix import Mix

KINDS_KEPT = 1024
"""Different requests that are remembered; the rarest are forgotten first."""


class Mixer:
    """Counts requests of pods; each pod once, by whoever calls."""

    def __init__(self) -> None:
        self._counts: Counter[Request] = Counter()
        self._mix: Mix | None = Mix(())

    @property
    def mix(self) -> Mix:
        """The mix as of now; the same object until something new is counted."""
        if self._mix is None:
            self._mix = Mix.counted(self._counts)
        return self._mix

    def count(self, request: Request) -> None:
        """Count one more."""
        self._counts[request] += 1
        self._mix = None
        if len(self._counts) > 2 * KINDS_KEPT:
            self._counts = Counter(dict(self._counts.most_common(KINDS_KEPT)))
