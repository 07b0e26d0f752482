"""Owners who pool their machines: what each brings, and jobs by day, by night and in bursts.

Everybody asks for 50 to 80 % of what it owns on average, and for far more than that at times: more
by day than at night, and now and then comes a sweep of many jobs at once. The same jobs can be
played on the machine of one owner alone.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random

from scheduler.core.model.ids import TenantName
from scheduler.core.model.names import OWNER_LABEL
from scheduler.core.model.nodes import Node
from scheduler.core.model.tenants import Tenant
from scheduler.simulator.turns.workloads import DAY, HOUR, Job, Workload, job, nodes

OWNERS = tuple(TenantName(f"owner-{number}") for number in range(10))
CARDS = 8
"""Cards of each owner's one machine."""

SIZES, LONGEST = ((0.25, 2), (0.5, 2), (1.0, 5), (2.0, 3), (4.0, 2), (8.0, 1)), 36 * HOUR
"""What a job asks for, in cards, and how often; and how long it takes at most."""

SWEEP_SIZES, SWEEP_LONGEST = ((0.25, 1), (0.5, 1), (1.0, 2)), 18 * HOUR
SHORTEST = 1_800.0
SWEEP_JOBS = 16, 64
"""Jobs that come at once, at least and at most, when somebody tries many things."""

SWEPT = 0.4
"""The part of all work that comes in sweeps."""

Sizes = Sequence[tuple[float, int]]


@dataclass(frozen=True, slots=True)
class Pool:
    """Owners, a machine of each, and whose job comes when (seconds), for so long (seconds)."""

    seconds: float
    machines: tuple[Node, ...]
    arrivals: tuple[tuple[float, Job], ...]

    def together(self) -> Workload:
        """Return the work of all on all machines, each owner guaranteed what it brought.

        Nobody has a weight: what is idle is nobody's due, and is lent.
        """
        return self._workload("pool", OWNERS, self.machines)

    def alone(self, owner: TenantName) -> Workload:
        """Return the work of one owner on its own machine."""
        own = tuple(node for node in self.machines if node.owner == owner)
        return self._workload(f"{owner} alone", (owner,), own)

    def asked(self, owner: TenantName) -> float:
        """Return the GPU-seconds of its jobs, by what it owns for all the time."""
        work = (_work(each) for _, each in self.arrivals if each.tenant == owner)
        return math.fsum(work) / (CARDS * self.seconds)

    def _workload(
        self, name: str, owners: tuple[TenantName, ...], machines: tuple[Node, ...]
    ) -> Workload:
        tenants = tuple(
            Tenant(owner, weight=Fraction(0), created=float(age), contributed=True)
            for age, owner in enumerate(owners)
        )
        theirs = tuple(each for each in self.arrivals if each[1].tenant in owners)
        return Workload(name, self.seconds, machines, tenants, {}, lambda _dice: iter(theirs))


def pool(seconds: float, seed: int) -> Pool:
    """Return ten owners of one machine each, and what they ask for, drawn from the seed."""
    machines = tuple(
        replace(node, labels={OWNER_LABEL: owner})
        for node, owner in zip(nodes(*(CARDS for _ in OWNERS)), OWNERS, strict=True)
    )
    came = [
        each for owner in OWNERS for each in _jobs_of(owner, seconds, Random(f"{seed} {owner}"))
    ]
    return Pool(seconds, machines, tuple(sorted(came, key=lambda each: each[0])))


def _jobs_of(owner: TenantName, seconds: float, dice: Random) -> Iterator[tuple[float, Job]]:
    """Yield an owner's jobs: a stream that follows the day, and sweeps at any time."""
    work = dice.uniform(0.5, 0.8) * CARDS
    morning = dice.uniform(5, 11) * HOUR
    rate, at = 2 * (1 - SWEPT) * work / _mean_work(SIZES, LONGEST), 0.0
    while (at := at + dice.expovariate(rate)) < seconds:
        # Thinned out to half: most of it comes in the middle of the owner's day.
        if dice.random() < (1 - math.cos(2 * math.pi * (at - morning) / DAY)) / 2:
            yield at, _draw(owner, SIZES, LONGEST, dice)
    jobs = sum(SWEEP_JOBS) / 2
    rate, at = SWEPT * work / (jobs * _mean_work(SWEEP_SIZES, SWEEP_LONGEST)), 0.0
    while (at := at + dice.expovariate(rate)) < seconds:
        # It tries the same with other parameters: one size, and much the same length.
        one = _draw(owner, SWEEP_SIZES, SWEEP_LONGEST, dice)
        for _ in range(dice.randint(*SWEEP_JOBS)):
            yield at, replace(one, seconds=one.seconds * dice.uniform(0.8, 1.2))


def _draw(owner: TenantName, sizes: Sizes, longest: float, dice: Random) -> Job:
    cards, often = zip(*sizes, strict=True)
    length = math.exp(dice.uniform(math.log(SHORTEST), math.log(longest)))
    return job(owner, dice.choices(cards, often)[0], length)


def _mean_work(sizes: Sizes, longest: float) -> float:
    """GPU-seconds of a job on average: the mean of a log-uniform length times that of the sizes."""
    length = (longest - SHORTEST) / math.log(longest / SHORTEST)
    return length * sum(size * often for size, often in sizes) / sum(often for _, often in sizes)


def _work(each: Job) -> float:
    return each.request.total_milli / 1000 * each.seconds
