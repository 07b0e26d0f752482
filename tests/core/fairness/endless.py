"""Virtual time for endless one-card jobs of one length."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from scheduler.core.fairness.division import divide
from scheduler.core.fairness.lag import Lags, advance
from scheduler.core.fairness.order import Turns
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName

QUEUED = 30


@dataclass
class Service:
    """GPU-seconds that each leaf got, and was due; longest wait between two starts, seconds."""

    got: Counter[TenantName] = field(default_factory=Counter)
    due: dict[TenantName, float] = field(default_factory=dict)
    gap: dict[TenantName, float] = field(default_factory=dict)


def run(tree: TenantTree, *, cards: int, job_seconds: int, seconds: int) -> Service:
    """Serve leaves that always have `QUEUED` jobs waiting; all jobs take one card."""
    service, lags = Service(gap=dict.fromkeys(tree.leaves, 0.0)), Lags({}, 0.0)
    running: list[tuple[int, TenantName]] = []
    last_start = dict.fromkeys(tree.leaves, 0)
    candidates = dict.fromkeys(tree.leaves, 1000)
    now = 0
    while now < seconds:
        holds = Counter(leaf for _, leaf in running)
        demand = {leaf: Fraction(QUEUED + holds[leaf]) for leaf in tree.leaves}
        shares = divide(tree, Fraction(cards), demand)
        line = Turns(tree, shares=shares, lags=lags, held=_milli(holds))
        while len(running) < cards:
            leaf = line.next(candidates)
            assert leaf is not None
            line.took(leaf, 1000)
            running.append((now + job_seconds, leaf))
            service.gap[leaf] = max(service.gap[leaf], now - last_start[leaf])
            last_start[leaf] = now
        # Ends at one instant are handled together, before the next turn.
        until = min(seconds, *(end for end, _ in running))
        holds = Counter(leaf for _, leaf in running)
        held = {leaf: Fraction(count) for leaf, count in holds.items()}
        lags = advance(lags, now=float(until), tree=tree, shares=shares, held=held)
        for leaf in tree.leaves:
            service.got[leaf] += holds[leaf] * (until - now)
            due = float(shares[leaf]) * (until - now)
            service.due[leaf] = service.due.get(leaf, 0.0) + due
        running = [job for job in running if job[0] > until]
        now = until
    return service


def _milli(holds: Mapping[TenantName, int]) -> dict[TenantName, int]:
    return {leaf: count * 1000 for leaf, count in holds.items()}
