"""Users of one tenant: who of them goes next, who is stopped for whom, and who is not concerned."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Memory
from scheduler.core.model.tenants import Tenant
from scheduler.core.model.verdicts import Reason
from tests.core.cycle.rounds import admitted, plan_of, settled, verdict
from tests.core.cycle.stopping import AGE, PATIENCE, Stage
from tests.support.builders import node, place, pod, tenant, whole


def shared(*users: str, beside: Iterable[Tenant] = (), **amounts: Any) -> list[Tenant]:
    """A tenant "team" that these users share, and others beside it."""
    tree = TenantTree([tenant("team", by_user=True, **amounts), *beside])
    leaves = [TenantName(f"team/{user}") for user in users]
    return list(tree.with_users(leaves).tenants.values())


def of(user: str, *names: str, first: float = 0.0, **changes: Any) -> list[Pod]:
    """Pods of a user, one after another."""
    return [
        pod(name, whole(), f"team/{user}", created=first + at, user=user, **changes)
        for at, name in enumerate(names)
    ]


def test_a_greedy_user_and_one_who_comes_later_get_the_same() -> None:
    pending = [*of("greedy", "g0", "g1", "g2", "g3", "g4"), *of("jo", "j0", "j1", first=100.0)]
    plan = settled([node("n", 4)], shared("greedy", "jo"), pending)
    assert sorted(admitted(plan)) == ["g0", "g1", "j0", "j1"]
    assert plan.shares[TenantName("team/jo")] == plan.shares[TenantName("team/greedy")] == 2


def test_how_many_users_there_are_is_nothing_to_the_tenant_beside_them() -> None:
    many = [str(number) for number in range(8)]
    beside = tenant("other", created=1.0)
    pending = [each for user in many for each in of(user, f"{user}a", f"{user}b")]
    pending += [pod(f"o{number}", whole(), "other", created=200.0 + number) for number in range(4)]
    plan = settled([node("n", 4), node("m", 4)], shared(*many, beside=[beside]), pending)
    assert sum(uid.startswith("o") for uid in admitted(plan)) == 4
    assert plan.shares[TenantName("team")] == plan.shares[TenantName("other")] == 4
    assert {plan.shares[TenantName(f"team/{user}")] for user in many} == {Fraction(1, 2)}


def test_priority_orders_only_inside_a_user() -> None:
    pending = [
        *of("jo", "urgent", "more-urgent", priority=100),
        *of("al", "old", "young", first=50.0),
    ]
    plan = settled([node("n", 2)], shared("jo", "al"), pending)
    assert sorted(admitted(plan)) == ["old", "urgent"]


def test_who_names_no_user_is_one_user_together() -> None:
    pending = [*of("", "x0", "x1", "x2"), *of("jo", "j0", first=100.0)]
    plan = settled([node("n", 2)], shared("", "jo"), pending)
    assert sorted(admitted(plan)) == ["j0", "x0"]


def test_who_is_owed_goes_first_among_users_whatever_the_tenants_are_owed() -> None:
    pending = [*of("jo", "j0"), *of("al", "a0"), pod("o0", whole(), "other")]
    tenants = shared("jo", "al", beside=[tenant("other", created=1.0)])
    lags = {"team/jo": -500.0, "team/al": 500.0, "team": 900.0, "other": -900.0}
    assert admitted(plan_of([node("n", 1)], tenants, pending, lags=lags)) == ["a0"]


@pytest.mark.parametrize(
    ("running", "waiting", "stopped"),
    [
        pytest.param("gggg", "jjj", ["g3", "g2"], id="from who holds more than its part"),
        pytest.param("ggjj", "jj", [], id="nobody has too much"),
        pytest.param("gggj", "j", ["g2"], id="down to equal parts"),
    ],
)
def test_a_user_gets_its_part_back_from_another(
    running: str, waiting: str, stopped: list[str]
) -> None:
    stage = Stage([node("n", 4)], shared("g", "j"))
    for index, user in enumerate(running):
        (each,) = of(user, f"{user}{index}")
        stage.run(each, place("n", (index, 1000, 16_000)), age=AGE - index)
    stage.waiting = of("j", *(f"w{number}" for number in range(len(waiting))))
    # Else it would be due all of it.
    stage.waiting += of("g", "g-more", "g-yet-more", first=500.0)
    stage.pass_by()
    assert [each.pod.name for each in stage.evicted] == stopped
    stage.pass_by(10 * PATIENCE)
    assert [each.pod.name for each in stage.evicted] == stopped
    assert {each.verdict.reason for each in stage.evicted} <= {Reason.RECLAIMED}
    assert {each.verdict.detail for each in stage.evicted} <= {"for team/j"}


def test_a_guarantee_is_kept_whichever_user_asks_and_others_aren_t_told_who() -> None:
    """Where each user's part is smaller than a job, as the tenant's guarantee is not."""
    tenants = shared("a", "b", "c", guarantee=1, beside=[tenant("other", weight=9)])
    stage = Stage([node("n", 2)], tenants)
    for index in range(2):
        running = pod(f"o{index}", whole(), "other")
        stage.run(running, place("n", (index, 1000, 16_000)), age=AGE - index)
    stage.waiting = [each for user in "abc" for each in of(user, f"{user}0")]
    stage.pass_by()
    assert [each.pod.name for each in stage.evicted] == ["o1"]
    assert stage.evicted[0].verdict.detail == "for team"
    # The other two have the same part, and no guarantee against a user beside them.
    stage.pass_by(PATIENCE, rounds=20)
    assert len(stage.evicted) == 1


def test_a_user_in_its_turn_is_not_stopped_for_a_user_who_would_be_left_as_it_was() -> None:
    stage = Stage([node("n", 1)], shared("a", "b", guarantee=1))
    (running,) = of("a", "a0")
    stage.run(running, age=100.0)
    stage.waiting = of("b", "b0")
    stage.pass_by()
    assert stage.evicted == []


def test_inside_the_guarantee_it_need_not_be_fairer_for_a_user_either() -> None:
    tenants = shared("a", "b", "c", guarantee=1, beside=[tenant("other", weight=9)])
    stage = Stage([node("n", 4)], tenants)
    stage.run(pod("large", whole(4), "other"))
    stage.waiting = [each for user in "abc" for each in of(user, f"{user}0")]
    stage.pass_by()
    assert [each.pod.name for each in stage.evicted] == ["large"]
    assert {"a0", "b0", "c0"} <= stage.running


def test_a_tenant_that_has_its_due_takes_from_nobody_else_however_little_its_users_have() -> None:
    users = [f"u{number}" for number in range(4)]
    stage = Stage([node("n", 4), node("m", 4)], shared("g", *users, beside=[tenant("other")]))
    for index in range(4):
        stage.run(pod(f"o{index}", whole(), "other"), place("n", (index, 1000, 16_000)))
        stage.run(of("g", f"g{index}")[0], place("m", (index, 1000, 16_000)))
        # So long its own users may not be stopped.
        stage.since[PodUID(f"g{index}")] = PATIENCE
    stage.waiting = [each for user in users for each in of(user, f"{user}a", f"{user}b")]
    stage.waiting += [pod(f"o-more{n}", whole(), "other", created=900.0) for n in range(2)]
    stage.pass_by()
    assert stage.evicted == []
    stage.pass_by()
    assert {each.pod.tenant for each in stage.evicted} == {"team/g"}
    stage.pass_by(10 * PATIENCE)
    assert {"o0", "o1", "o2", "o3"} <= stage.running
    assert {each.pod.tenant for each in stage.evicted} == {"team/g"}


def test_users_are_told_of_their_tenant_what_only_a_tenant_has() -> None:
    pending = [*of("jo", "j0", "j1"), *of("", "x0", "x1", first=50.0)]
    plan = settled([node("n", 2)], shared("jo", ""), pending)
    assert verdict(plan, "j1").detail == (
        "user jo of tenant team has 1 of its due 1 GPUs; wait, or raise team's guarantee or weight"
    )
    assert verdict(plan, "x1").detail == (
        "who names no user of tenant team has 1 of its due 1 GPUs; wait, or raise team's guarantee "
        "or weight"
    )


def test_a_user_who_is_due_nothing_or_whose_tenant_is_over_budget_is_told_so() -> None:
    there = [place("n", (0, 1000, 16_000))]
    tenants = shared("jo", weight=0, beside=[tenant("other", created=1.0)])
    ledger = Ledger([node("n", 1)])
    ledger.bind(pod("o", whole(), "other"), *there)
    pending = [*of("jo", "j0"), pod("o1", whole(), "other", created=9.0)]
    plan = settled(ledger, tenants, pending)
    assert verdict(plan, "j0").detail == (
        "guarantees, priorities and weights leave nothing for user jo of tenant team now, it lives "
        "on what is idle; raise team's guarantee or weight"
    )
    snapshot = replace(ledger.snapshot(tenants=tenants), spent=frozenset({TenantName("team")}))
    spent = run_cycle(snapshot, pending, 0.0, Profile("best-fit"))
    assert verdict(spent, "j0").detail == (
        "nothing is left for user jo of tenant team now; wait for the next period, or raise the "
        "budget"
    )


def test_a_user_in_debt_is_told_that_nothing_of_it_passes_its_first() -> None:
    ledger = Ledger([node("n", 2), node("m", 2)])
    for index, where in enumerate(("n", "m", "m")):
        (each,) = of("jo", f"r{index}")
        ledger.bind(each, place(where, (index // 2, 1000, 16_000)))
    large, pair = (
        pod(name, whole(2), f"team/{user}", user=user)
        for name, user in (("large", "jo"), ("pair", "al"))
    )
    (small,) = of("jo", "small", first=1.0)
    snapshot = replace(
        ledger.snapshot(tenants=shared("jo", "al")), memory=Memory({PodUID("large"): 0.0})
    )
    profile = replace(Profile("best-fit"), reserve_after=PATIENCE)
    plan = run_cycle(snapshot, [large, small, pair], PATIENCE, profile)
    assert verdict(plan, "small").detail == (
        "lab/large has waited for long, and nothing of user jo of tenant team passes it until the "
        "user is owed again"
    )


def test_how_long_a_user_s_pods_may_run_is_its_tenant_s() -> None:
    stage = Stage([node("n", 1)], shared("jo", max_runtime=60.0))
    (long,) = of("jo", "long")
    stage.run(long, place("n", (0, 1000, 16_000)), age=AGE)
    stage.pass_by()
    assert [each.verdict.detail for each in stage.evicted] == ["1m; team has no more"]
