"""What one share of a request counts on the cards of each model."""

from dataclasses import dataclass

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.requests import Request
from scheduler.core.packing.fit import may_use


@dataclass(frozen=True, slots=True)
class Card:
    """Milli-GPU and memory (MiB) of a card."""

    milli: int
    memory_mib: int


class Cards:
    """The models of a cluster, as they are when this is made."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._cards = [_smallest_card(columns, at) for at in range(len(columns.models))]
        # A MIG slice is never shared.
        self._slices = [model in columns.mig_models for model in columns.models]

    def __len__(self) -> int:
        return len(self._cards)

    def may_use(self, request: Request, at: int) -> bool:
        """Whether the request may go to cards of model `at`."""
        return may_use(request, self._columns.models[at], self._columns)

    def may_hold(self, request: Request, at: int) -> bool:
        """Whether a share of the request, were it small enough, may go to cards of model `at`."""
        return self.may_use(request, at) and (request.whole or not self._slices[at])

    def need(self, request: Request, at: int) -> int | None:
        """Milli-GPU of one share on a card of model `at`; None if it can't go there."""
        card = self._cards[at]
        if not self.may_hold(request, at):
            return None
        if request.memory_mib:
            if request.memory_mib > card.memory_mib:
                return None
            return max(1, request.memory_mib * card.milli // card.memory_mib)
        return card.milli if request.whole else request.milli


def _smallest_card(columns: Columns, model: int) -> Card:
    """The smallest where cards of one model differ."""
    of_model = columns.model == model
    if not of_model.any():
        return Card(MILLI, 0)
    return Card(int(columns.cap[of_model].min()), int(columns.mib_cap[of_model].min()))
