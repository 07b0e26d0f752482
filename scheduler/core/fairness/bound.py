"""How long a tenant's next request waits at most, by turns alone.

For cards that are alike, requests of one whole card, work that nobody runs out of, no guarantees,
priorities or limits, and jobs that end after D seconds at the latest. With the shares s, what is
held a (GPUs), lag L (GPU-seconds), l = L ÷ s (seconds of its own share that a tenant is owed), the
horizon H and C cards, a request of T that has just become its tenant's next starts within

    W = D + (Σ g·D + a_T·D + max(1, D ÷ H) · Σ s·max(0, l − l_T + a_T·(D + H) ÷ s_T)) ÷ C

where the sums run over the other tenants and g is a tenant's largest request (GPUs).

Why: while T waits, whoever starts a job was owed at least as much as T was then, by the order of
turns. So from that moment another tenant gets, beside what ran already (D at most), what it was
owed more than T, at most max(1, D ÷ H) times, as a job counts in advance for H seconds only, and
one more job. Meanwhile no card is idle, as the request would fit it. docs/concepts/fairness.md has
the whole proof.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.core.model.ids import TenantName


@dataclass(frozen=True, slots=True)
class Contender:
    """A tenant that has work: share, held and largest request in GPUs, lag in GPU-seconds."""

    share: float
    held: float
    lag: float
    largest: float


def wait_by_turns(
    waiter: TenantName,
    contenders: Mapping[TenantName, Contender],
    *,
    gpus: float,
    longest: float | None,
    horizon: float,
) -> float:
    """Return the seconds that the waiter's next request waits at most; inf if nothing bounds it.

    `longest` is how long jobs run at most (seconds); None: nobody knows.
    """
    mine = contenders[waiter]
    if longest is None or mine.share <= 0 or gpus <= 0:
        return math.inf
    others = [each for name, each in contenders.items() if name != waiter]
    ahead = mine.held * (longest + horizon) / mine.share - mine.lag / mine.share
    owed = math.fsum(
        each.share * max(0.0, each.lag / each.share + ahead) for each in others if each.share > 0
    )
    if owed and not horizon:
        return math.inf
    over = max(1.0, longest / horizon) if horizon else 1.0
    one_more = math.fsum(each.largest for each in others) + mine.held
    return longest + (one_more * longest + over * owed) / gpus
