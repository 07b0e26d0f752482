"""What sharing by turns promises, over random tenants in virtual time."""

from collections.abc import Sequence
from fractions import Fraction
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.cycle.profile import Profile
from scheduler.core.fairness.order import HORIZON_SECONDS
from scheduler.core.model.ids import TenantName
from scheduler.core.model.tenants import Tenant
from scheduler.simulator.turns.measures import Measures
from scheduler.simulator.turns.workloads import Workload, nodes
from scheduler.simulator.turns.world import World

JOB, JOBS = 120.0, 30
SECONDS = JOB * JOBS
PROFILE = Profile("best-fit", reclaim_after=60.0, min_runtime=60.0)


def play(tenants: Sequence[Tenant], cards: int, *, idle: Sequence[str] = ()) -> Measures:
    """Let all but some have endless jobs of one card, all equally long."""
    busy = [each.name for each in tenants if each.name not in idle]
    endless = {name: (lambda _dice: (1.0, JOB)) for name in busy}
    workload = Workload("any", SECONDS, nodes(cards), tuple(tenants), endless)
    return World(workload, PROFILE, Random(1)).run()


def named(name: str, weight: Fraction, guarantee: int = 0, created: float = 0.0) -> Tenant:
    return Tenant(TenantName(name), weight=weight, guarantee=Fraction(guarantee), created=created)


@st.composite
def some(draw: st.DrawFn, cards: int) -> list[Tenant]:
    """Tenants whose guarantees are no more than the cards."""
    count, left, found = draw(st.integers(2, 5)), cards, []
    for number in range(count):
        guarantee = draw(st.integers(0, min(left, 3)))
        left -= guarantee
        weight = Fraction(draw(st.integers(0, 9)))
        found.append(named(f"t{number}", weight, guarantee, float(number)))
    return found


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.data())
def test_nobody_gets_less_than_its_guarantee_is_worth(data: st.DataObject) -> None:
    cards = data.draw(st.integers(2, 8))
    tenants = data.draw(some(cards))
    measures = play(tenants, cards)
    for each in tenants:
        # Less one job at the end, which it may have had in advance.
        assert measures.got[each.name] >= float(each.guarantee) * SECONDS - JOB


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.data())
def test_who_has_a_share_is_never_starved_whoever_comes_with_it(data: st.DataObject) -> None:
    cards = data.draw(st.integers(2, 8))
    tenants = data.draw(some(cards))
    measures = play(tenants, cards)
    for each in tenants:
        due = measures.due_delivered[each.name]
        # Between whole cards it is owed up to what a card counts when it is handed out, as much as
        # that is ahead for others; and a job that is still to come. It doesn't grow with time.
        assert measures.got[each.name] >= due - HORIZON_SECONDS - JOB


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.data())
def test_splitting_a_tenant_gains_a_job_for_each_part_at_most(
    data: st.DataObject,
) -> None:
    cards = data.draw(st.integers(2, 8))
    others = data.draw(some(cards))
    weight, parts = Fraction(data.draw(st.integers(1, 9))), data.draw(st.integers(2, 4))
    whole = play([*others, named("me", weight, created=9.0)], cards)
    mine = [named(f"me-{part}", weight / parts, created=9.0) for part in range(parts)]
    split = play([*others, *mine], cards)
    together = sum(split.got[each.name] for each in mine)
    # Each part may be ahead by a job, which it works off; with time that doesn't grow. In one piece
    # it may be ahead as well, or behind its due by less than a job: that is no gain of the parts.
    me = TenantName("me")
    undivided = max(whole.got[me], whole.due_delivered[me])
    assert together <= undivided + parts * JOB + 1e-6


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.data())
def test_who_wants_nothing_costs_nobody_anything(data: st.DataObject) -> None:
    cards = data.draw(st.integers(2, 8))
    tenants = data.draw(some(cards))
    alone = play(tenants, cards)
    beside = play([*tenants, named("idle", Fraction(99), created=9.0)], cards, idle=["idle"])
    assert {each.name: alone.got[each.name] for each in tenants} == {
        each.name: beside.got[each.name] for each in tenants
    }
