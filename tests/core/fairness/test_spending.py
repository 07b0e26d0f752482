"""What is used of budgets: exact, of all below a tenant, and anew with each period."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.fairness.spending import Used, spend, spent
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.budgets import Budget, Period
from scheduler.core.model.ids import TenantName
from tests.core.fairness.trees import tenant

HOUR = 3600.0
MIDNIGHT = datetime(2026, 11, 29, tzinfo=UTC).timestamp()
TEN = Budget(Fraction(10), Period.DAY)
TREE = TenantTree(
    [tenant("root", budget=TEN), tenant("a", "root"), tenant("b", "root"), tenant("c")]
)
ROOT, A, B, C = (TenantName(name) for name in ("root", "a", "b", "c"))
HELD = {A: 1500, B: 500, C: 9000, TenantName("gone"): 100}


def test_what_all_below_it_hold_is_used() -> None:
    used = spend({}, at=MIDNIGHT, now=MIDNIGHT + HOUR, tree=TREE, held=HELD)
    assert used == {ROOT: Used(MIDNIGHT, 2 * HOUR)}
    later = spend(used, at=MIDNIGHT + HOUR, now=MIDNIGHT + 2 * HOUR, tree=TREE, held={A: 250})
    assert later == {ROOT: Used(MIDNIGHT, 2.25 * HOUR)}


def test_at_midnight_it_begins_anew_with_what_is_held_from_then_on() -> None:
    before = {ROOT: Used(MIDNIGHT - 24 * HOUR, 9 * HOUR)}
    used = spend(before, at=MIDNIGHT - HOUR, now=MIDNIGHT + HOUR / 2, tree=TREE, held=HELD)
    assert used == {ROOT: Used(MIDNIGHT, HOUR)}


def test_a_clock_that_went_back_adds_nothing() -> None:
    before = {ROOT: Used(MIDNIGHT, HOUR)}
    assert spend(before, at=MIDNIGHT + 9, now=MIDNIGHT + 8, tree=TREE, held=HELD) == before


def test_a_budget_that_is_gone_is_forgotten() -> None:
    plain = TenantTree([tenant("root"), tenant("a", "root")])
    assert spend({ROOT: Used(MIDNIGHT, 5.0)}, at=0.0, now=1.0, tree=plain, held=HELD) == {}


@pytest.mark.parametrize(
    ("hours", "over"), [(0.0, False), (9.999, False), (10.0, True), (11.0, True)]
)
def test_who_has_used_all_of_it_is_over(hours: float, over: bool) -> None:
    assert spent(TREE, {ROOT: Used(MIDNIGHT, hours * HOUR)}) == ({ROOT} if over else set())
    assert spent(TREE, {}) == set()


@given(st.lists(st.floats(0, 100_000), min_size=1, max_size=8), st.integers(0, 40_000))
def test_how_often_it_is_counted_makes_no_difference(cuts: list[float], milli: int) -> None:
    """Over midnights, too."""
    end = MIDNIGHT + 200_000.0
    whole = spend({}, at=MIDNIGHT, now=end, tree=TREE, held={A: milli})
    used, at = dict[TenantName, Used](), MIDNIGHT
    for now in (*sorted(MIDNIGHT + cut for cut in cuts), end):
        used = spend(used, at=at, now=now, tree=TREE, held={A: milli})
        at = now
    assert used[ROOT].since == whole[ROOT].since
    assert used[ROOT].gpu_seconds == pytest.approx(whole[ROOT].gpu_seconds)
