"""Budgets and users in virtual time: what comes of them over hours."""

from dataclasses import replace
from fractions import Fraction
from random import Random

from scheduler.core.model.budgets import Budget, Period
from scheduler.core.model.ids import TenantName
from scheduler.core.model.tenants import Tenant
from scheduler.simulator.turns.rules import RULES
from scheduler.simulator.turns.workloads import HOUR, Workload, nodes, users
from scheduler.simulator.turns.world import World

FREE, BUDGETED = TenantName("free"), TenantName("budgeted")
MINUTES = 60.0


def played(workload: Workload) -> World:
    world = World(workload, RULES["equipoise"].profile, Random(1))
    world.run()
    return world


def two(hours: float, *, free: bool = True) -> Workload:
    """Four cards, two tenants alike with endless jobs of a card; one may use 4 GPU-hours a day."""
    budget = Budget(Fraction(4), Period.DAY)
    tenants = (Tenant(FREE), Tenant(BUDGETED, budget=budget))
    asking = (FREE, BUDGETED) if free else (BUDGETED,)
    endless = {name: lambda _dice: (1.0, 10 * MINUTES) for name in asking}
    return Workload("two", hours * HOUR, nodes(4), tenants, endless)


def test_over_budget_it_gets_nothing_that_the_other_one_asks_for_until_the_next_day() -> None:
    before, after = played(two(12)).measures, played(two(26)).measures
    # Two hours of its due; what runs then ends, or is stopped after two minutes of patience.
    assert 4 * HOUR <= before.got[BUDGETED] <= 4 * HOUR + 2 * 10 * MINUTES
    assert before.idle(4) < 0.001
    # Two hours of the new day, of two cards each.
    assert 8 * HOUR - 20 * MINUTES <= after.got[BUDGETED] <= 8 * HOUR + 20 * MINUTES


def test_what_nobody_else_asks_for_is_its_own_all_day() -> None:
    measures = played(two(6, free=False)).measures
    assert measures.got[BUDGETED] == 24 * HOUR
    assert measures.evictions == 0


def test_ten_users_of_whom_one_is_greedy_each_get_their_part() -> None:
    """The whole figure is in docs/benchmarks.md; these are small jobs on few cards."""

    def draw(dice: Random) -> tuple[float, float]:
        return 0.25, dice.uniform(MINUTES, 4 * MINUTES)

    workload = users(2 * HOUR)
    workload = replace(workload, nodes=nodes(4), endless=dict.fromkeys(workload.endless, draw))
    world = played(workload)
    leaves = [leaf for leaf in world.tree.leaves if world.tree.tenants[leaf].user]
    assert len(leaves) == 10
    served = [world.measures.served(leaf) for leaf in (*leaves, TenantName("plain"))]
    assert 0.95 <= min(served) <= max(served) <= 1.05
