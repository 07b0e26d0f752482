"""Runs rounds of decisions: at once where there is little to decide, else in a worker."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from scheduler.controller.evictions import ending_seconds
from scheduler.controller.queue import first_of
from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.ledger.snapshot import Snapshot
from scheduler.core.model.ids import TenantName
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.core.packing.mix import Mix
from scheduler.settings import Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """A plan, who was first of each tenant in it, and how long each phase took (seconds)."""

    plan: Plan
    first: dict[TenantName, Pod]
    took: dict[str, float] = field(default_factory=dict)


class Rounds:
    """`worker_above`: with more pending pods a round runs in a thread; None: never.

    In a thread it works on copies that nobody else touches, so the ledger may have moved on
    when its plan comes.
    """

    def __init__(self, settings: Settings, *, worker_above: int | None) -> None:
        self._settings, self._worker_above = settings, worker_above
        self._twin: tuple[Mix, Mix] | None = None

    @property
    def in_real_time(self) -> bool:
        """Whether time that is spent thinking passes for others, too."""
        return self._worker_above is not None

    async def decide(
        self, snapshot: Snapshot, pending: Sequence[Pod], now: float, *, mix: Mix
    ) -> Outcome:
        """Decide about the pending pods; `now` in seconds since the epoch."""
        if self._worker_above is None or not self._takes_long(snapshot, len(pending), now):
            return _decide(snapshot, pending, now, self.profile(mix))
        profile = self.profile(self._twin_of(mix))
        return await asyncio.to_thread(_decide, snapshot, pending, now, profile)

    def _takes_long(self, snapshot: Snapshot, pending: int, now: float) -> bool:
        """Whether it is a long line, or it may look for whom to stop, on every node."""
        if pending > (self._worker_above or 0):
            return True
        if pending and any(each.defrag_until > now for each in snapshot.tenants):
            return True
        settings = self._settings
        stops = settings.reclaim.patience_seconds, settings.packing.consolidate_seconds
        patience = min((each for each in stops if each is not None), default=None)
        return patience is not None and any(
            now - since >= patience for since in snapshot.memory.blocked.values()
        )

    def profile(self, mix: Mix) -> Profile:
        """Return how a round decides where people ask for that mix."""
        return profile_of(self._settings, mix)

    def _twin_of(self, mix: Mix) -> Mix:
        """A mix keeps tables of what it looked at last: each thread needs its own."""
        if self._twin is None or self._twin[0] is not mix:
            self._twin = (mix, mix.twin())
        return self._twin[1]


def profile_of(settings: Settings, mix: Mix) -> Profile:
    """Return how a round decides, by the settings, where people ask for that mix."""
    return Profile(
        policy=settings.packing.policy,
        mix=mix,
        horizon=settings.fairness.horizon_seconds,
        lookahead=settings.fairness.lookahead,
        backlog=settings.kube.backlog,
        reserve_after=settings.fairness.reserve_seconds,
        reclaim_after=settings.reclaim.patience_seconds,
        min_runtime=settings.reclaim.min_runtime_seconds,
        turn_runtime=settings.reclaim.turn_runtime_seconds,
        ending_seconds=ending_seconds(settings.reclaim),
        broken_after=settings.reclaim.broken_gang_seconds,
        consolidate_after=settings.packing.consolidate_seconds,
        most_moves=settings.packing.consolidate_moves,
        topology=settings.packing.topology,
    )


def _decide(snapshot: Snapshot, pending: Sequence[Pod], now: float, profile: Profile) -> Outcome:
    took: dict[str, float] = {}

    def timed(phase: str, work: Callable[[], None]) -> None:
        began = perf_counter()
        work()
        took[phase] = perf_counter() - began

    plan = run_cycle(snapshot, pending, now, profile, timing=timed)
    return Outcome(plan, first_of(pending), took)
