"""Lag and service as time goes by."""

from fractions import Fraction

import pytest

from scheduler.controller.lagbook import MANY, TOGETHER_SECONDS, LagBook, Service
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.snapshot import Held
from scheduler.core.model.ids import TenantName
from scheduler.core.model.plans import Plan
from scheduler.settings import Fairness
from tests.support.builders import tenant

A, B, TOP = (TenantName(name) for name in ("a", "b", "top"))
PAIR = TenantTree([tenant("a"), tenant("b")])
NESTED = TenantTree([tenant("top"), tenant("a", "top"), tenant("b", "top")])
EVEN = Plan(shares={A: Fraction(2), B: Fraction(2)}, demand={A: Fraction(9), B: Fraction(9)})


def test_what_is_told_counts_from_then_on_and_not_before() -> None:
    book = LagBook(Fairness(), now=100.0)
    book.adopt(EVEN)
    book.advance(110.0, PAIR, {A: Held(milli=3000, pods=1)})
    assert book.values == {A: 0.0, B: 0.0}
    book.advance(114.0, PAIR, {A: Held(milli=3000, pods=1), B: Held(milli=1000, pods=1)})
    # Of 3 delivered half is a's due: for 4 seconds it held 1.5 GPUs more than that.
    assert book.values == {A: pytest.approx(-6.0), B: pytest.approx(6.0)}
    assert book.service == {A: Service(due=28.0, got=12.0), B: Service(due=28.0, got=0.0)}


def test_service_is_that_of_leaves() -> None:
    book = LagBook(Fairness(), now=0.0)
    book.adopt(Plan(shares={TOP: Fraction(2), A: Fraction(1), B: Fraction(1)}))
    book.advance(0.0, NESTED, {A: Held(milli=500, pods=1)})
    book.advance(10.0, NESTED, {})
    assert book.service == {A: Service(10.0, 5.0), B: Service(10.0, 0.0)}


def test_who_wants_nothing_loses_its_credit_and_keeps_its_debt() -> None:
    book = LagBook(Fairness(), now=0.0)
    book.adopt(EVEN)
    book.advance(0.0, PAIR, {A: Held(milli=2000, pods=1)})
    book.advance(10.0, PAIR, {})
    book.adopt(Plan(shares={}, demand={A: Fraction(0), B: Fraction(0)}))
    assert book.values == {A: pytest.approx(-10.0), B: 0.0}


def test_a_clock_that_went_back_serves_nobody() -> None:
    book = LagBook(Fairness(), now=100.0)
    book.adopt(EVEN)
    book.advance(100.0, PAIR, {A: Held(milli=1000, pods=1)})
    book.advance(40.0, PAIR, {A: Held(milli=1000, pods=1)})
    assert book.service == {}
    book.advance(41.0, PAIR, {})
    assert book.service[A] == Service(due=2.0, got=1.0)


def test_tenants_that_are_gone_are_forgotten_but_what_they_got_stays_told() -> None:
    book = LagBook(Fairness(), now=0.0)
    book.adopt(EVEN)
    book.advance(0.0, PAIR, {B: Held(milli=1000, pods=1)})
    book.advance(5.0, TenantTree([tenant("a")]), {})
    assert set(book.values) == {A}
    assert book.service[B].got == 5.0


def test_restored_lags_go_on_from_then() -> None:
    book = LagBook(Fairness(), now=0.0)
    book.adopt(EVEN)
    book.advance(0.0, PAIR, {A: Held(milli=2000, pods=1)})
    book.restore(10.0, {A: 5.0, B: -5.0})
    book.advance(11.0, PAIR, {})
    assert book.values == {A: pytest.approx(4.0), B: pytest.approx(-4.0)}
    assert book.service == {A: Service(2.0, 2.0), B: Service(2.0, 0.0)}


def test_paused_they_stand_still_until_shares_are_known_again() -> None:
    book = LagBook(Fairness(), now=0.0)
    book.adopt(EVEN)
    held = {A: Held(milli=2000, pods=1)}
    book.advance(0.0, PAIR, held)
    book.advance(10.0, PAIR, held)
    book.pause()
    owed = dict(book.values)
    book.advance(99.0, PAIR, held)
    assert book.values == owed
    book.adopt(EVEN)
    book.advance(100.0, PAIR, held)
    assert book.values == {A: pytest.approx(-11.0), B: pytest.approx(11.0)}


def test_paused_they_fade_all_the_same_where_they_fade_at_all() -> None:
    book = LagBook(Fairness(half_life_seconds=10.0), now=0.0)
    book.restore(0.0, {A: 8.0})
    book.advance(20.0, PAIR, {})
    assert book.values == {A: pytest.approx(2.0), B: 0.0}


def test_who_wants_something_but_was_not_asked_keeps_its_credit() -> None:
    book = LagBook(Fairness(), now=0.0)
    book.restore(0.0, {A: 8.0, B: 8.0})
    book.adopt(Plan(demand={A: Fraction(0), B: Fraction(0)}), delayed=[A])
    assert book.values == {A: 8.0, B: 0.0}


def test_of_many_what_begins_and_ends_within_a_moment_is_taken_as_one() -> None:
    many = TenantTree([tenant("a"), tenant("b"), *(tenant(f"t{n}") for n in range(MANY))])
    book = LagBook(Fairness(), now=0.0)
    book.adopt(EVEN)
    book.advance(1.0, many, {})
    book.advance(1.0 + TOGETHER_SECONDS / 2, many, {A: Held(milli=2000, pods=1)})
    assert book.service[A].due == pytest.approx(2.0)
    book.advance(11.0, many, {})
    # Noted by half a moment too early, and from there on.
    assert book.service[A].due == pytest.approx(22.0)
    assert book.service[A].got == pytest.approx(20.0)
    assert book.values[B] - book.values[A] == pytest.approx(20.0)
