"""Lag: what is owed, in GPU-seconds, at every level of the tree."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.fairness.division import divide
from scheduler.core.fairness.lag import Lags, advance, forget_credit, slopes
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName
from tests.core.fairness.trees import Demand, gpus, quantities, tenant, tenant_lists

A, B, C = (TenantName(name) for name in "abc")
PAIR = TenantTree([tenant("a"), tenant("b")])


def close(value: float) -> object:
    return pytest.approx(value, rel=1e-9, abs=1e-9)


def test_who_holds_less_than_its_share_is_owed_the_difference() -> None:
    lags = advance(Lags({}, 0.0), now=60.0, tree=PAIR, shares=gpus(a=2, b=2), held=gpus(a=1, b=3))
    assert lags == Lags({A: 60.0, B: -60.0}, 60.0)


def test_lag_is_measured_against_what_was_delivered() -> None:
    lags = advance(Lags({}, 0.0), now=10.0, tree=PAIR, shares=gpus(a=9, b=1), held=gpus(a=4, b=1))
    assert lags.values == {A: close(5.0), B: close(-5.0)}


def test_nothing_held_is_nobodys_debt() -> None:
    lags = advance(Lags({A: 5.0}, 0.0), now=10.0, tree=PAIR, shares=gpus(a=9, b=1), held={})
    assert lags.values == {A: 5.0, B: 0.0}


def test_what_is_held_beyond_all_shares_is_owed_to_the_others() -> None:
    slope = slopes(PAIR, shares=gpus(a=1, b=3), held=gpus(a=5, b=3))
    assert slope == {A: close(-3.0), B: close(3.0)}


def test_who_is_due_nothing_neither_earns_nor_owes() -> None:
    tree = TenantTree([tenant("a"), tenant("b"), tenant("c", weight=Fraction(0))])
    slope = slopes(tree, shares=gpus(a=2, b=2, c=0), held=gpus(a=1, b=2, c=6))
    assert slope == {A: close(-1 + 1.5), B: close(-2 + 1.5), C: 0.0}


def test_where_nobody_is_due_anything_nothing_moves() -> None:
    assert slopes(PAIR, shares=gpus(a=0, b=0), held=gpus(a=3)) == {A: 0.0, B: 0.0}


def test_inner_tenants_hold_what_their_children_hold() -> None:
    tree = TenantTree([tenant("a"), tenant("b"), tenant("c", "a")])
    slope = slopes(tree, shares=gpus(a=1, b=1, c=1), held=gpus(c=2))
    assert slope == {A: -1.0, B: 1.0, C: 0.0}


def test_credit_ends_at_four_hours_of_the_share() -> None:
    shares, held = gpus(a="0.5", b="0.5"), gpus(b=1)
    lags = advance(Lags({}, 0.0), now=1e6, tree=PAIR, shares=shares, held=held)
    assert lags.values == {A: 7200.0, B: -500_000.0}


def test_a_share_of_zero_for_a_moment_takes_no_credit_away() -> None:
    lags = advance(Lags({A: 50.0}, 0.0), now=60.0, tree=PAIR, shares=gpus(a=0, b=4), held=gpus(b=4))
    assert lags.values[A] == 50.0


def test_credit_of_the_idle_goes_and_debt_stays() -> None:
    lags = forget_credit(Lags({A: 50.0, B: -50.0, C: 7.0}, 3.0), {A, B})
    assert lags == Lags({A: 0.0, B: -50.0, C: 7.0}, 3.0)


def test_a_clock_that_went_back_adds_nothing() -> None:
    lags = advance(
        Lags({A: 4.0}, 100.0), now=40.0, tree=PAIR, shares=gpus(a=1, b=1), held=gpus(b=1)
    )
    assert lags == Lags({A: 4.0, B: 0.0}, 40.0)


def test_tenants_come_with_nothing_and_go_without_a_trace() -> None:
    lags = advance(Lags({C: 9.0}, 0.0), now=0.0, tree=PAIR, shares={}, held={})
    assert lags.values == {A: 0.0, B: 0.0}


def test_with_a_half_life_old_lag_fades() -> None:
    lags = advance(
        Lags({A: 8.0, B: -8.0}, 0.0), now=200.0, tree=PAIR, shares={}, held={}, half_life=100.0
    )
    assert lags.values == {A: close(2.0), B: close(-2.0)}


@given(st.floats(1.0, 1e5), st.floats(0.0, 1.0), st.one_of(st.none(), st.floats(60.0, 1e6)))
def test_it_does_not_matter_how_often_lag_is_brought_up_to_date(
    seconds: float, part: float, half_life: float | None
) -> None:
    start, shares, held = Lags({A: 3.0}, 0.0), gpus(a=3, b=1), gpus(a=1, b=2)

    def move(lags: Lags, now: float) -> Lags:
        return advance(
            lags,
            now=now,
            tree=PAIR,
            shares=shares,
            held=held,
            credit_seconds=None,
            half_life=half_life,
        )

    twice = move(move(start, seconds * part), seconds)
    once = move(start, seconds)
    assert twice.values == {
        name: pytest.approx(once.values[name], rel=1e-6, abs=1e-6) for name in (A, B)
    }


@st.composite
def histories(draw: st.DrawFn) -> tuple[TenantTree, list[tuple[float, Fraction, Demand, Demand]]]:
    tree = TenantTree(draw(tenant_lists()))
    amounts = st.fixed_dictionaries({leaf: quantities() for leaf in tree.leaves})
    step = st.tuples(st.floats(0.0, 1e5), quantities(20), amounts, amounts)
    return tree, draw(st.lists(step, min_size=1, max_size=6))


@given(histories(), st.one_of(st.none(), st.floats(60.0, 1e6)))
def test_lags_of_siblings_sum_to_zero_between_resets(
    history: tuple[TenantTree, list[tuple[float, Fraction, Demand, Demand]]],
    half_life: float | None,
) -> None:
    tree, steps = history
    lags, turnover = Lags({}, 0.0), 1.0
    for seconds, total, demand, held in steps:
        lags = advance(
            lags,
            now=lags.at + seconds,
            tree=tree,
            shares=divide(tree, total, demand),
            held=held,
            credit_seconds=None,
            half_life=half_life,
        )
        turnover += seconds * float(sum(held.values(), Fraction(0)))
    for parent in (None, *tree.inner):
        total_lag = math.fsum(lags.values[name] for name in tree.children(parent))
        assert abs(total_lag) <= 1e-9 * turnover
