"""What people ask for, counted as it is seen: the mix that packing and fragmentation look at."""

from collections import Counter
from collections.abc import Mapping, Sequence

from scheduler.core.model.requests import Request
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.prices import Bids

KINDS_KEPT = 1024
"""Different requests that are remembered; the rarest are forgotten first."""

REMEMBERED = 40_000
"""After so many requests each of them counts half: a mix that drifts is followed, and what was
asked for long ago is forgotten."""

LEAST_REMEMBERED = 2 * KINDS_KEPT
"""With less, halving would forget whatever was seen once."""

NEWS = 0.05
"""How much more must have been counted before the mix is made anew."""

PRICE_NEWS = 0.25
"""How much more must have been counted before prices are old."""


class Mixer:
    """Counts requests of pods; each pod once, by whoever calls. `seen`: how many ever were."""

    def __init__(self, *, remembered: int = REMEMBERED, price_news: float = PRICE_NEWS) -> None:
        """Prices are old once `price_news` more was counted, as a part of what is remembered."""
        self._most, self._price_news = max(remembered, 2), price_news
        self._counts: Counter[Request] = Counter()
        self._remembered = self.seen = 0
        self._mix, self._next = Mix(()), 1.0
        self._bids: tuple[Bids, ...] = ()
        self._outdated_at = 1.0

    @property
    def mix(self) -> Mix:
        """The mix, a little late: the same object until `NEWS` more than before was counted.

        A new mix makes every kept score void.
        """
        if self.seen >= self._next:
            self._mix = Mix.counted(self._counts, bids=self._bids)
            self._next = self.seen + max(1.0, NEWS * self._remembered)
        return self._mix

    @property
    def prices_are_old(self) -> bool:
        """Whether so much more was counted since prices were last worked out."""
        return self.seen >= self._outdated_at

    def to_be_priced(self) -> Mix:
        """Return the mix that prices are worked out for now."""
        mix = self.mix
        self._outdated_at = self.seen + max(1.0, self._price_news * mix.total)
        return mix

    def price(self, bids: Sequence[Bids]) -> None:
        """Take these bids from now on."""
        self._bids = tuple(bids)
        self._mix = Mix(self._mix.weights, self._bids)

    def count(self, request: Request) -> None:
        """Count one more."""
        self._counts[request] += 1
        self._remembered += 1
        self.seen += 1
        if len(self._counts) > 2 * KINDS_KEPT:
            self._remember(dict(self._counts.most_common(KINDS_KEPT)))
        if self._remembered >= self._most:
            halves = {kind: times // 2 for kind, times in self._counts.items()}
            self._remember({kind: times for kind, times in halves.items() if times})

    def _remember(self, counts: Mapping[Request, int]) -> None:
        self._counts = Counter(counts)
        self._remembered, self._next = self._counts.total(), 0.0
