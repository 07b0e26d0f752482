"""Bids from what was asked for: prices at several demands, as none of them is known to come."""

from collections.abc import Mapping

from scheduler.core.ledger.columns import Columns
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
        pairs = zip(requests, rents, strict=True)
        found.append(
            Bids(tuple((each, round(rent * GPU)) for each, rent in pairs if each.devices == 1))
        )
    return tuple(found)


def _milli(request: Request, cards: Cards) -> float:
    """What it counts on the cards that it may use, on average."""
    if not request.devices:
        return 0.0
    each = [cards.need(request, at) for at in range(len(cards))]
    found = [milli for milli in each if milli is not None]
    return request.devices * sum(found) / len(found) if found else 0.0
