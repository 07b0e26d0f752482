"""Bid prices: what people would pay for what is left over of a node.

A pod that takes one GPU or a share of one can pay its share for the device and the cores that it
takes, less its rent: what one more such pod would add, from a linear program over what people ask
for (scheduler/pricing). A device with so much free fetches, at a given price of a core, what the
best set of pods that fits on it pays: a knapsack. A node is worth the least over all prices of a
core of what its devices and cores fetch (Lagrangian duality). Without rents a device is worth what
is free of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from scheduler.core.ledger.block import Ints
from scheduler.core.ledger.columns import Columns
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.requests import Request
from scheduler.core.packing import knapsack
from scheduler.core.packing.need import Cards

GPU = 1_000_000_000
"""Amounts are in billionths of a GPU."""

PARTS = 100
"""A device is looked at in hundredths."""

TINY = 50
"""Milli-GPU below which a share is rounded up to hundredths. Others are rounded down, as what is
free is: three thirds fill a device, and what is free of a MIG slice serves who asks for one."""

NOTHING = GPU // 1000
"""A device that fetches no more than that is one that nobody pays for."""

CORE_PRICES = tuple(round(0.3 * GPU * (step / 21) ** 2) for step in range(22))
"""Prices of a core that are tried, from 0 to 0.3 GPUs: close together where they are low."""


Part = tuple[list[int], int]
"""What a device with so much free fetches at each price of a core [L], and how much is of use."""

BILLS_KEPT = 4096
"""For so many amounts of CPU it is remembered what they fetch."""


@dataclass(frozen=True, slots=True)
class Bids:
    """The rent of each request of one device, in billionths of a GPU; 0 or more."""

    rents: tuple[tuple[Request, int], ...]


def parts_of(milli: int) -> int:
    """Return the hundredths of a device that a share takes."""
    return max(1, -(-milli * PARTS // MILLI) if milli < TINY else milli * PARTS // MILLI)


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Worth by model (the last one: no device), hundredths free, and price of a core.

    `value` [M + 1, PARTS + 1, L]; `useful` [M + 1, PARTS + 1]: by how much of a GPU that counts;
    `cores` [L]: prices of a thousandth of a core.
    """

    value: Ints
    useful: Ints
    cores: Ints
    plain: Sequence[Sequence[Part]] = field(init=False)
    """The same in plain numbers, by model and hundredths free: for one device that is faster."""
    _bills: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fetched, useful = self.value.tolist(), self.useful.tolist()
        plain = [list(zip(*each, strict=True)) for each in zip(fetched, useful, strict=True)]
        object.__setattr__(self, "plain", plain)

    def bill(self, cpu: int) -> tuple[int, ...]:
        """Return what so many thousandths of a core fetch at each price [L]."""
        found = self._bills.get(cpu)
        if found is None:
            if len(self._bills) >= BILLS_KEPT:
                self._bills.clear()
            found = self._bills[cpu] = tuple((cpu * self.cores).tolist())
        return found

    def parts(self, room: Ints) -> Ints:
        """Return free milli-GPU in hundredths of a device, rounded down."""
        parts: Ints = np.minimum(np.maximum(room, 0) * PARTS // MILLI, PARTS)
        return parts


def part_of(room: int) -> int:
    """Return the same of one device; `room` is 0 or more."""
    return min(room * PARTS // MILLI, PARTS)


def tables(columns: Columns, bids: Sequence[Bids]) -> Tables:
    """Work them out; several bids count for the mean of them."""
    cards, prices = Cards(columns), np.array(CORE_PRICES, dtype=np.int64) // MILLI
    value = np.zeros((len(cards) + 1, PARTS + 1, len(prices)), dtype=np.int64)
    for at in range(len(cards)):
        for each in bids:
            value[at] += _fetched(cards, at, each, prices)
    value //= max(len(bids), 1)
    free = np.arange(PARTS + 1, dtype=np.int64) * (GPU // PARTS)
    for at in range(len(cards)):
        if value[at, PARTS, 0] <= NOTHING:
            # Nobody pays for it: what is free counts, so that it is still filled up.
            value[at] = free[:, None]
    full = np.maximum(value[:, PARTS, 0], 1)
    useful = value[:, :, 0] * (GPU // 1000) // full[:, None] * 1000
    return Tables(value, useful, prices)


def _fetched(cards: Cards, at: int, bids: Bids, prices: Ints) -> Ints:
    """What pods on one device of the model pay at most, [PARTS + 1, L]: an unbounded knapsack."""
    sizes, gains = list[int](), list[Ints]()
    for request, rent in bids.rents:
        milli = cards.need(request, at)
        if milli is not None:
            sizes.append(parts_of(milli))
            gains.append(milli * (GPU // MILLI) - rent - prices * request.cpu_milli)
    if not sizes:
        return np.zeros((PARTS + 1, len(prices)), dtype=np.int64)
    gain = np.stack(gains, axis=1)
    best, _ = knapsack.fill(np.broadcast_to(np.array(sizes), gain.shape), gain, PARTS)
    return best.T
