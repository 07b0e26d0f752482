"""What people ask for, counted as it is seen: the mix that packing and fragmentation look at."""

from collections import Counter
from collections.abc import Sequence

from scheduler.core.model.requests import Request
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.prices import Bids

KINDS_KEPT = 1024
"""Different requests that are remembered; the rarest are forgotten first."""

NEWS = 0.05
"""How much more must have been counted before the mix is made anew."""


class Mixer:
    """Counts requests of pods; each pod once, by whoever calls."""

    def __init__(self) -> None:
        self._counts: Counter[Request] = Counter()
        self._mix, self._counted = Mix(()), 0
        self._bids: tuple[Bids, ...] = ()

    @property
    def mix(self) -> Mix:
        """The mix, a little late: the same object until `NEWS` more than before was counted.

        A new mix makes every kept score void.
        """
        total = self._counts.total()
        if total != self._counted and total >= self._counted * (1 + NEWS):
            self._mix, self._counted = Mix.counted(self._counts, bids=self._bids), total
        return self._mix

    def price(self, bids: Sequence[Bids]) -> None:
        """Take these bids from now on."""
        self._bids = tuple(bids)
        self._mix = Mix(self._mix.weights, self._bids)

    def count(self, request: Request) -> None:
        """Count one more."""
        self._counts[request] += 1
        if len(self._counts) > 2 * KINDS_KEPT:
            self._counts = Counter(dict(self._counts.most_common(KINDS_KEPT)))
            self._counted = 0
