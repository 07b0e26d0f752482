"""Keeps lag as time goes by: what everybody is owed, from one event to the next."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction

from scheduler.core.fairness.budgets import is_spent
from scheduler.core.fairness.lag import Lags, advance, forget_credit
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.snapshot import Held
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import TenantName
from scheduler.core.model.plans import Plan
from scheduler.core.model.tenants import tenant_part
from scheduler.settings import Fairness


@dataclass(slots=True)
class Service:
    """GPU-seconds since the start: what a tenant was due and what it got."""

    due: float = 0.0
    got: float = 0.0


MANY, TOGETHER_SECONDS = 200, 0.1
"""With more tenants and users than so many, what begins and ends within so long is taken as one: a
pod's beginning and its end are both noted that much too early at most. Each time costs as many
steps as there are of them, on the event loop, and pods may come and go by the hundred a second."""


class LagBook:
    """Lag between events is linear: shares and what is held stand still from one to the next."""

    def __init__(self, settings: Fairness, *, now: float) -> None:
        self._settings = settings
        self._lags = Lags({}, now)
        self._shares: Mapping[TenantName, Fraction] = {}
        self._held: dict[TenantName, Held] = {}
        self._spent: Collection[TenantName] = frozenset()
        self.service: dict[TenantName, Service] = {}

    @property
    def values(self) -> Mapping[TenantName, float]:
        """GPU-seconds of each tenant, as of the last `advance`."""
        return self._lags.values

    def advance(self, now: float, tree: TenantTree, held: Mapping[TenantName, Held]) -> None:
        """Move on to `now` (seconds) with what was held until now; `held` is held from now on."""
        soon = len(tree) > MANY and 0 <= now - self._lags.at < TOGETHER_SECONDS
        # Called on both sides of every change: the second time nothing has passed.
        if now != self._lags.at and not soon:
            self._pass(now, tree)
        self._held = dict(held)

    def restore(self, now: float, lags: Mapping[TenantName, float]) -> None:
        """Go on from these lags (GPU-seconds) at `now` (seconds): somebody else kept them."""
        self._lags = Lags(dict(lags), now)

    def pause(self) -> None:
        """Let lags stand still until the next round: somebody else keeps them."""
        self._shares = {}

    def adopt(
        self,
        plan: Plan,
        *,
        delayed: Collection[TenantName] = (),
        spent: Collection[TenantName] = frozenset(),
    ) -> None:
        """Go on with the shares of a round; who wants nothing any more loses its credit.

        `delayed` want something, but couldn't be asked in this round. `spent` are over budget: what
        they hold was left by all others, and is charged to nobody above them.
        """
        self._shares, self._spent = plan.shares, spent
        idle = [name for name, wanted in plan.demand.items() if not wanted and name not in delayed]
        self._lags = forget_credit(self._lags, idle)

    def _pass(self, now: float, tree: TenantTree) -> None:
        held = {name: Fraction(each.milli, MILLI) for name, each in self._held.items()}
        self._serve(now - self._lags.at, tree, held)
        if not self._shares and not self._settings.half_life_seconds:
            # Nobody is due anything: lags stand still.
            before = self._lags.values
            self._lags = Lags({name: before.get(name, 0.0) for name in tree.names}, now)
            return
        within = {
            name: gpus for name, gpus in held.items() if not is_spent(tree, self._spent, name)
        }
        self._lags = advance(
            self._lags,
            now=now,
            tree=tree,
            shares=self._shares,
            held=within,
            credit_seconds=self._settings.credit_seconds,
            half_life=self._settings.half_life_seconds,
        )

    def _serve(self, seconds: float, tree: TenantTree, held: Mapping[TenantName, Fraction]) -> None:
        if seconds <= 0:
            return
        for name in (self._shares.keys() | held.keys()).difference(tree.inner):
            # What users were due and got is their tenant's.
            service = self.service.setdefault(tenant_part(name), Service())
            service.due += float(self._shares.get(name, 0)) * seconds
            service.got += float(held.get(name, 0)) * seconds
