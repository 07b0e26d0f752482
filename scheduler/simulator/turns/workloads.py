"""Workloads whose figures are known: jobs of tenants, and when they come.

*Endless* tenants always have `QUEUED` requests in line: one comes when one of their jobs ends.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from random import Random

from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.budgets import Budget, Period
from scheduler.core.model.ids import NodeName, TenantName
from scheduler.core.model.nodes import Device, Node
from scheduler.core.model.requests import Request
from scheduler.core.model.tenants import Tenant, user_leaf

QUEUED = 30
DAY, HOUR = 86_400.0, 3_600.0

LARGE = TenantName("large")
SMALL = tuple(TenantName(f"small-{number}") for number in range(10))


@dataclass(frozen=True, slots=True)
class Job:
    """What a tenant asks for: milli-GPU of one card, or whole cards, for so many seconds."""

    tenant: TenantName
    request: Request
    seconds: float


Maker = Callable[[Random], tuple[float, float]]
"""Draws a job: cards (a fraction of one, or whole ones) and seconds."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Machines, tenants, who has endless work, and what comes at its time (seconds, job).

    `queued`: how many requests are in line of those for whom it isn't `QUEUED`.
    """

    name: str
    seconds: float
    nodes: tuple[Node, ...]
    tenants: tuple[Tenant, ...]
    endless: Mapping[TenantName, Maker]
    arrivals: Callable[[Random], Iterator[tuple[float, Job]]] = field(
        default=lambda _dice: iter(())
    )
    queued: Mapping[TenantName, int] = field(default_factory=dict)


def job(tenant: TenantName, cards: float, seconds: float) -> Job:
    """Return a job of whole cards, or of a part of one."""
    if cards >= 1:
        return Job(tenant, Request(devices=int(cards), milli=MILLI), seconds)
    return Job(tenant, Request(devices=1, milli=round(cards * MILLI)), seconds)


def nodes(*sizes: int) -> tuple[Node, ...]:
    """Return a node for each number of cards."""
    return tuple(
        Node(
            NodeName(f"node-{at}"),
            tuple(Device(f"GPU-{at}-{index}", "A100", 81_920) for index in range(size)),  # type: ignore[arg-type]
            10**6,
            10**7,
        )
        for at, size in enumerate(sizes)
    )


def large_and_small(large: int, small: int) -> tuple[Tenant, ...]:
    """Return one tenant of weight `large` and ten of weight `small`, which came later."""
    few = (Tenant(name, weight=Fraction(small), created=1.0) for name in SMALL)
    return (Tenant(LARGE, weight=Fraction(large)), *few)


def sixty(seconds: float = DAY) -> Workload:
    """Ten cards, weights 90 and ten times 1, endless one-card jobs of a minute."""
    tenants = large_and_small(90, 1)
    endless = {tenant.name: lambda _dice: (1.0, 60.0) for tenant in tenants}
    return Workload("sixty", seconds, nodes(8, 2), tenants, endless)


def mixed(seconds: float = 30 * DAY) -> Workload:
    """The same, with jobs of 0.25 to 4 cards that last from seconds to an hour."""

    def draw(dice: Random) -> tuple[float, float]:
        low, high = math.log(10), math.log(HOUR)
        return dice.choice((0.25, 0.5, 1, 2, 4)), math.exp(dice.uniform(low, high))

    tenants = large_and_small(90, 1)
    return Workload("mixed", seconds, nodes(8, 2), tenants, dict.fromkeys(_names(tenants), draw))


def equal8(seconds: float = DAY) -> Workload:
    """Three tenants with endless halves, one with eight cards of a node every ten minutes."""
    halves = tuple(Tenant(TenantName(f"halves-{number}")) for number in range(3))
    eight = Tenant(TenantName("eight"), created=1.0)

    def draw(dice: Random) -> tuple[float, float]:
        return 0.5, dice.expovariate(1 / 120)

    def arrivals(_dice: Random) -> Iterator[tuple[float, Job]]:
        at = 600.0
        while at < seconds:
            yield at, job(eight.name, 8, 120.0)
            at += 600.0

    endless = dict.fromkeys(_names(halves), draw)
    return Workload("equal8", seconds, nodes(8, 8), (*halves, eight), endless, arrivals)


def bursts(seconds: float = DAY) -> Workload:
    """A large tenant with endless one-card jobs, ten small ones with a burst an hour each."""

    def draw(dice: Random) -> tuple[float, float]:
        return 1.0, dice.uniform(60, 1200)

    def arrivals(dice: Random) -> Iterator[tuple[float, Job]]:
        came = []
        for tenant in SMALL:
            at = dice.expovariate(1 / HOUR)
            while at < seconds:
                for _ in range(dice.randint(1, 12)):
                    cards = dice.choice((0.25, 0.5, 1))
                    came.append((at, job(tenant, cards, dice.uniform(60, 900))))
                at += dice.expovariate(1 / HOUR)
        return iter(sorted(came, key=lambda each: each[0]))

    endless: dict[TenantName, Maker] = {LARGE: draw}
    tenants = large_and_small(90, 10)
    return Workload("bursts", seconds, nodes(8, 8, 8, 8), tenants, endless, arrivals)


def users(seconds: float = DAY) -> Workload:
    """Two tenants alike; one is shared by ten users, of whom one has ten times the jobs in line.

    Endless work of a quarter of a card to a whole one, for a minute to twenty.
    """
    plain, team = Tenant(TenantName("plain")), Tenant(TenantName("team"), by_user=True)
    leaves = [user_leaf(team.name, f"user-{number}") for number in range(10)]
    tree = TenantTree((plain, team)).with_users(leaves)

    def draw(dice: Random) -> tuple[float, float]:
        low, high = math.log(60), math.log(HOUR / 3)
        return dice.choice((0.25, 0.5, 1)), math.exp(dice.uniform(low, high))

    endless = dict.fromkeys((plain.name, *leaves), draw)
    queued = dict.fromkeys(leaves[1:], QUEUED // 10)
    everybody = tuple(tree.tenants.values())
    return Workload("users", seconds, nodes(8, 8), everybody, endless, queued=queued)


def budget(seconds: float = 4 * DAY) -> Workload:
    """Two tenants alike with endless work; one may use 96 GPU-hours a day, half of its due.

    Jobs of a quarter of a card to a whole one, for a minute to twenty, as those of `users`.
    """
    daily = Budget(Fraction(96), Period.DAY)
    tenants = (Tenant(TenantName("free")), Tenant(TenantName("budgeted"), budget=daily))

    def draw(dice: Random) -> tuple[float, float]:
        low, high = math.log(60), math.log(HOUR / 3)
        return dice.choice((0.25, 0.5, 1)), math.exp(dice.uniform(low, high))

    endless = dict.fromkeys(_names(tenants), draw)
    return Workload("budget", seconds, nodes(8, 8), tenants, endless)


WORKLOADS = {"sixty": sixty, "mixed": mixed, "equal8": equal8, "bursts": bursts, "users": users}


def _names(tenants: tuple[Tenant, ...]) -> list[TenantName]:
    return [tenant.name for tenant in tenants]
