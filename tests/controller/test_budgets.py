"""Budgets in the controller: counted while pods hold GPUs, told to rounds, kept over a restart."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from scheduler.controller.controller import Controller
from scheduler.core.fairness.spending import Used
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.budgets import Budget, Period
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.verdicts import Reason
from tests.controller.hands import Eyes, Hands, controller
from tests.support.builders import node, place, pod, tenant, whole
from tests.support.extenders import ManualClock

HOUR = 3600.0
MIDNIGHT = datetime(2026, 11, 29, tzinfo=UTC).timestamp()
DAILY = Budget(Fraction(2), Period.DAY)
A, B, ROOT = (TenantName(name) for name in ("a", "b", "root"))
FAMILY = [
    tenant("root"),
    tenant("a", "root", budget=DAILY),
    tenant("b", "root"),
    tenant("c"),
]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MIDNIGHT)


@pytest.fixture
def made(clock: ManualClock, hands: Hands, eyes: Eyes) -> Controller:
    return controller(Ledger([node("n1", 2)]), FAMILY, clock=clock, hands=hands, eyes=eyes)


def run(made: Controller, name: str, owner: str, card: int) -> None:
    made.bound(pod(name, whole(), owner), place("n1", (card, 1000, 16_000)))


async def test_who_uses_up_its_budget_goes_last_until_the_next_period(
    made: Controller, clock: ManualClock
) -> None:
    run(made, "a0", "a", 0)
    run(made, "a1", "a", 1)
    clock.time += HOUR / 2
    assert made.used == {A: HOUR}
    assert made.snapshot().spent == frozenset()
    clock.time += HOUR / 2
    assert made.snapshot().spent == {A}
    made.add(pod("a2", whole(), "a"))
    made.add(pod("b0", whole(), "b", created=5.0))
    made.gone(PodUID("a0"))
    plan = await made.round()
    assert [admit.pod.name for admit in plan.admits] == ["b0"]
    assert [hold.verdict.reason for hold in plan.holds] == [Reason.OVER_BUDGET]
    (row,) = [each for each in made.standing().tenants if each.name == A]
    assert row.budget is not None
    assert (row.budget.used, row.budget.part, row.spent) == (2 * HOUR, 1.0, True)
    assert row.budget.until == MIDNIGHT + 24 * HOUR
    clock.time = MIDNIGHT + 24 * HOUR + 60.0
    assert made.snapshot().spent == frozenset()
    assert made.used == {A: 60.0}


async def test_what_it_holds_while_it_is_over_is_charged_to_nobody_above_it(
    made: Controller, clock: ManualClock
) -> None:
    made.restore({}, {A: Used(MIDNIGHT, 2 * HOUR)})
    run(made, "a0", "a", 0)
    run(made, "b0", "b", 1)
    made.add(pod("b1", whole(), "b"))
    made.add(pod("c1", whole(), "c"))
    await made.round()
    clock.time += 100.0
    lags = made.lags
    # Of the GPU that those within budget were given b has half too much.
    assert lags[ROOT] == pytest.approx(-50.0)
    assert lags[TenantName("c")] == pytest.approx(50.0)
    assert lags.get(A, 0.0) == lags[B] == 0.0


async def test_use_goes_on_after_a_restart(made: Controller, clock: ManualClock) -> None:
    run(made, "a0", "a", 0)
    clock.time += 10.0
    made.restore({}, {A: Used(MIDNIGHT, 7000.0)})
    clock.time += 100.0
    assert made.used == {A: 7100.0}


async def test_a_budget_counts_from_when_it_is_there(made: Controller, clock: ManualClock) -> None:
    made.set_tenants([tenant("a")])
    run(made, "a0", "a", 0)
    clock.time += HOUR
    made.set_tenants([tenant("a", budget=DAILY)])
    clock.time += 60.0
    assert made.used == {A: 60.0}
