"""Owners who pool their machines: what is drawn for them, and how soon their cards are back."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import TenantName
from scheduler.core.model.names import OWNER_LABEL
from scheduler.core.model.tenants import Tenant
from scheduler.simulator.turns.pool import CARDS, OWNERS, pool
from scheduler.simulator.turns.rules import OURS
from scheduler.simulator.turns.workloads import DAY, HOUR, Job, Workload, job, nodes
from scheduler.simulator.turns.world import World

LATEST = (OURS.reclaim_after or 0.0) + OURS.min_runtime
"""Patience and least runtime; here whoever is stopped goes at once."""


def test_the_same_seed_draws_the_same_and_another_one_something_else() -> None:
    one, two = pool(2 * DAY, 1), pool(2 * DAY, 1)
    assert one == two
    assert one != pool(2 * DAY, 2)
    assert [len(node.devices) for node in one.machines] == [CARDS] * len(OWNERS)
    assert [node.owner for node in one.machines] == list(OWNERS)


def test_everybody_asks_for_half_to_four_fifths_of_its_own_in_the_long_run() -> None:
    drawn = pool(400 * DAY, 3)
    for owner in OWNERS:
        assert 0.4 < drawn.asked(owner) < 0.95
    assert 0.55 < sum(map(drawn.asked, OWNERS)) / len(OWNERS) < 0.75
    at = [when for when, each in drawn.arrivals if each.tenant == OWNERS[0]]
    # A sweep: more at once than a machine holds.
    assert max(at.count(when) for when in set(at)) > 2 * CARDS


def test_alone_an_owner_has_its_jobs_and_its_machine_and_nothing_else() -> None:
    drawn = pool(5 * DAY, 1)
    alone = drawn.alone(OWNERS[3])
    assert [node.owner for node in alone.nodes] == [OWNERS[3]]
    jobs = [each for _, each in alone.arrivals(Random(0))]
    assert {each.tenant for each in jobs} == {OWNERS[3]}
    together = [each for _, each in drawn.together().arrivals(Random(0))]
    assert jobs == [each for each in together if each.tenant == OWNERS[3]]
    world = World(drawn.together(), OURS, Random(0))
    assert all(each.guarantee == CARDS for each in world.tree.tenants.values())


@st.composite
def borrowed(draw: st.DrawFn) -> tuple[Workload, TenantName, float, float]:
    """A pool of which others hold all, and an owner who comes back: when, and with which jobs."""
    count = draw(st.integers(2, 4))
    sizes = [draw(st.integers(1, 4)) for _ in range(count)]
    names = [TenantName(f"t{number}") for number in range(count)]
    machines = tuple(
        replace(node, labels={OWNER_LABEL: name})
        for node, name in zip(nodes(*sizes), names, strict=True)
    )
    tenants = tuple(
        Tenant(name, weight=Fraction(draw(st.integers(0, 9))), created=float(age), contributed=True)
        for age, name in enumerate(names)
    )
    back = draw(st.floats(0, 4 * HOUR))
    size = draw(st.sampled_from([0.25, 0.5, 1.0]))
    lengths = draw(st.lists(st.floats(5 * HOUR, 9 * HOUR), min_size=1, max_size=3))

    def arrivals(_dice: Random) -> Iterator[tuple[float, Job]]:
        # The others have work for all cards, and it doesn't end by itself.
        for number in range(4 * sum(sizes)):
            for name in names[1:]:
                yield 0.0, job(name, size, 30 * HOUR + lengths[number % len(lengths)])
        for _ in range(round(sizes[0] / size)):
            yield back, job(names[0], size, 30 * HOUR)

    until = back + LATEST + 1.0
    return Workload("back", until, machines, tenants, {}, arrivals), names[0], back, float(sizes[0])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(borrowed())
def test_an_owner_is_back_at_what_it_brought_within_the_bound_whoever_holds_its_cards(
    drawn: tuple[Workload, TenantName, float, float],
) -> None:
    workload, owner, _back, brought = drawn
    world = World(workload, OURS, Random(1))
    world.run()
    assert world.ledger.held[owner].milli == brought * MILLI
    for name, tenant in world.tree.tenants.items():
        assert world.ledger.held[name].milli >= tenant.guarantee * MILLI


def test_a_card_that_fails_is_its_owners_loss_and_nobody_elses() -> None:
    drawn = pool(0.1 * DAY, 1)
    broken = drawn.machines[0]
    cards = (replace(broken.devices[0], healthy=False), *broken.devices[1:])
    machines = (replace(broken, devices=cards), *drawn.machines[1:])
    tree = World(replace(drawn, machines=machines).together(), OURS, Random(1)).tree
    guarantees = [tree.tenants[owner].guarantee for owner in OWNERS]
    assert guarantees == [CARDS - 1, *[CARDS] * (len(OWNERS) - 1)]


@pytest.mark.parametrize("owner", OWNERS[:2])
def test_service_that_is_lost_is_not_useful(owner: TenantName) -> None:
    world = World(pool(0.5 * DAY, 2).together(), OURS, Random(1))
    measures = world.run()
    got, lost = measures.got[owner], measures.lost_by.get(owner, 0.0)
    assert measures.useful(owner) == got - lost <= got
    assert sum(measures.lost_by.values()) == pytest.approx(measures.lost)
    assert len(world.delays(owner)) == sum(
        each.tenant == owner for _, each in pool(0.5 * DAY, 2).arrivals
    )
