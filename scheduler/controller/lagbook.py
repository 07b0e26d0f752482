"""Keeps lag as time goes by: what everybody is owed, from one event to the next."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from scheduler.core.fairness.lag import Lags, advance, forget_credit
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.snapshot import Held
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import TenantName
from scheduler.core.model.plans import Plan
from scheduler.settings import Fairness


@dataclass(slots=True)
class Service:
    """GPU-seconds since the start: what a tenant was due and what it got."""

    due: float = 0.0
    got: float = 0.0


class LagBook:
    """Lag between events is linear: shares and what is held stand still from one to the next."""

    def __init__(self, settings: Fairness, *, now: float) -> None:
        self._settings = settings
        self._lags = Lags({}, now)
        self._shares: Mapping[TenantName, Fraction] = {}
        self._held: dict[TenantName, Fraction] = {}
        self.service: dict[TenantName, Service] = {}

    @property
    def values(self) -> Mapping[TenantName, float]:
        """GPU-seconds of each tenant, as of the last `advance`."""
        return self._lags.values

    def advance(self, now: float, tree: TenantTree, held: Mapping[TenantName, Held]) -> None:
        """Move on to `now` (seconds) with what was held until now; `held` is held from now on."""
        # Called on both sides of every change: the second time nothing has passed.
        if now != self._lags.at:
            self._pass(now, tree)
        self._held = {name: Fraction(each.milli, MILLI) for name, each in held.items()}

    def _pass(self, now: float, tree: TenantTree) -> None:
        self._serve(now - self._lags.at, tree)
        self._lags = advance(
            self._lags,
            now=now,
            tree=tree,
            shares=self._shares,
            held=self._held,
            credit_seconds=self._settings.credit_seconds,
            half_life=self._settings.half_life_seconds,
        )

    def _serve(self, seconds: float, tree: TenantTree) -> None:
        if seconds <= 0:
            return
        for name in (self._shares.keys() | self._held.keys()).difference(tree.inner):
            service = self.service.setdefault(name, Service())
            service.due += float(self._shares.get(name, 0)) * seconds
            service.got += float(self._held.get(name, 0)) * seconds

    def adopt(self, plan: Plan) -> None:
        """Go on with the shares of a round; who wants nothing any more loses its credit."""
        self._shares = plan.shares
        idle = [name for name, wanted in plan.demand.items() if not wanted]
        self._lags = forget_credit(self._lags, idle)
