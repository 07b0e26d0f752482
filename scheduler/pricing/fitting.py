"""Bids from what was asked for: prices at several demands, as none of them is known to come."""

from collections.abc import Mapping, Sequence

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.requests import Request
from scheduler.core.packing.need import Cards
from scheduler.core.packing.prices import GPU, Bids
from scheduler.pricing.program import Program

DEMANDS = (100, 105, 110, 115)
"""Percent of all GPUs. Where less is asked for than there is, everything would be free."""


def fit(columns: Columns, counts: Mapping[Request, int]) -> tuple[Bids, ...]:
    """Return bids for a cluster and what people ask of it; () where nobody asks for a GPU."""
    cards, requests = Cards(columns), list(counts)
    asked = sum(count * _milli(request, cards) for request, count in counts.items())
    capacity = int(columns.cap.sum())
    if not asked or not capacity:
        return ()
    program, found = Program(columns, requests), []
    for percent in DEMANDS:
        scale = capacity * percent / 100 / asked
        rents = program.solve([count * scale for count in counts.values()])
        found.append(_bids(cards, requests, rents))
    return tuple(found)


def _bids(cards: Cards, requests: Sequence[Request], rents: Sequence[float]) -> Bids:
    margins = []
    for request, rent in zip(requests, rents, strict=True):
        if request.devices == 1:
            margin = _milli(request, cards) / MILLI - rent
            margins.append((request, max(0, round(margin * GPU))))
    return Bids(tuple(margins))


def _milli(request: Request, cards: Cards) -> int:
    """What it counts on the cards that it may use; the least where they differ."""
    if not request.devices:
        return 0
    each = [cards.need(request, at) for at in range(len(cards))]
    return request.devices * min((milli for milli in each if milli is not None), default=0)
