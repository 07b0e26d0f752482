"""Keeps what tenants have used of their budgets, from one event to the next."""

from collections.abc import Mapping

from scheduler.core.fairness.spending import Used, spend, spent
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.snapshot import Held
from scheduler.core.model.ids import TenantName


class BudgetBook:
    """What is held stands still from one event to the next; only tenants with a budget count."""

    def __init__(self, *, now: float) -> None:
        self._at = now
        self._held: Mapping[TenantName, Held] = {}
        self.used: Mapping[TenantName, Used] = {}

    def advance(self, now: float, tree: TenantTree, held: Mapping[TenantName, Held]) -> None:
        """Move on to `now` (seconds) with what was held until now; `held` is held from now on."""
        if now != self._at and tree.budgeted:
            milli = {name: each.milli for name, each in self._held.items()}
            self.used = spend(self.used, at=self._at, now=now, tree=tree, held=milli)
        # Most clusters have no budgets, and this is called at every change.
        self._at, self._held = now, dict(held) if tree.budgeted else {}

    def restore(self, now: float, used: Mapping[TenantName, Used]) -> None:
        """Go on from what somebody else kept until `now` (seconds)."""
        self._at, self.used = now, dict(used)

    def spent(self, tree: TenantTree) -> frozenset[TenantName]:
        """Return the tenants that have used all of their budget."""
        return spent(tree, self.used)
