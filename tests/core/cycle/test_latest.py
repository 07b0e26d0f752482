"""By when the next request starts at the latest, or that nothing says so."""

import math
from dataclasses import replace
from typing import Any

import pytest

from scheduler.core.cycle.latest import Latest, latest
from scheduler.core.model.ids import TenantName
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.running import Running
from tests.core.cycle.stopping import AGE, PATIENCE, PROFILE, UNDISTURBED, Stage
from tests.support.builders import node, pod, share, tenant, whole

ENDING = 10.0
A, B = tenant("a"), tenant("b", created=1.0)
NEXT = pod("b0", whole(), "b")


def asked(stage: Stage, who: Pod = NEXT, **profile: Any) -> Latest:
    running = tuple(
        Running(each.pod, each.placement, stage.since[uid])
        for uid, each in stage.ledger.holdings.items()
    )
    lags = {TenantName(name): lag for name, lag in stage.lags.items()}
    snapshot = replace(stage.ledger.snapshot(tenants=stage.tenants, lags=lags), running=running)
    rules = replace(PROFILE, **{"ending_seconds": ENDING, **profile})
    return latest(snapshot, [who], who, stage.now, rules)


def full(age: float = AGE, **limits: Any) -> Stage:
    """Tenant a has both cards since then."""
    stage = Stage([node("n", 2)], [replace(A, **limits), replace(B, **limits)])
    for index in range(2):
        stage.run(pod(f"a{index}", whole(), "a"), age=age)
    return stage


def test_whom_it_would_stop_is_known_and_when_they_are_gone() -> None:
    found = asked(full())
    assert found.seconds == PATIENCE + ENDING
    assert [each.tenant for each in found.victims] == ["a"]


def test_who_has_just_begun_runs_for_its_time_first() -> None:
    assert asked(full(age=0.0), min_runtime=500.0).seconds == 500.0 + ENDING
    assert asked(full(age=100.0), min_runtime=500.0).seconds == 400.0 + ENDING


def test_who_is_in_its_turn_runs_for_that_first() -> None:
    stage = Stage([node("n", 3)], [tenant("a", weight=1), tenant("b", weight=29)])
    stage.run(pod("mine", whole(), "b"))
    stage.run(pod("mine too", whole(), "b"))
    stage.run(pod("a0", whole(), "a"), age=1000.0)
    found = asked(stage, turn_runtime=1500.0)
    assert found.seconds == 500.0 + ENDING
    assert [each.name for each in found.victims] == ["a0"]


@pytest.mark.parametrize("reclaims", [True, False])
def test_where_jobs_end_its_turn_comes(*, reclaims: bool) -> None:
    stage = full(max_runtime=30.0)
    found = asked(stage, reclaim_after=PATIENCE if reclaims else None, horizon=60.0)
    # 30 and 10 to end for what runs, and as much for one more job of a on two cards.
    assert (found.seconds, found.victims) == (1.5 * (30.0 + ENDING), ())


def test_the_pods_own_time_counts_as_well() -> None:
    stage = Stage([node("n", 1)], [A, B])
    stage.run(pod("a0", whole(), "a", max_runtime=20.0))
    assert math.isinf(asked(stage, reclaim_after=None).seconds)
    brief = replace(NEXT, max_runtime=20.0)
    assert asked(stage, brief, reclaim_after=None).seconds == 2 * (20.0 + ENDING)


def test_else_nothing_bounds_it() -> None:
    even = Stage([node("n", 2)], [A, B])
    for owner in ("a", "b"):
        even.run(pod(f"{owner}9", whole(), owner))
    assert asked(even) == Latest(math.inf)


@pytest.mark.parametrize(
    "other", [share(500), whole(2), whole(models=("T4",))], ids=["a fraction", "two cards", "model"]
)
def test_the_bound_by_turns_is_claimed_for_whole_single_cards_only(other: Request) -> None:
    stage = full(max_runtime=30.0)
    assert asked(stage, reclaim_after=None).seconds < math.inf
    assert math.isinf(asked(stage, replace(NEXT, request=other), reclaim_after=None).seconds)


def test_credit_that_is_not_there_yet_is_not_promised() -> None:
    stage = Stage([node("n", 1)], [tenant("a", weight=9), B])
    stage.run(pod("a0", whole(), "a"))
    stage.lags = {"b": 0.001, "a": -0.001}
    assert math.isinf(asked(stage).seconds)
    stage.lags = {"b": 0.9 * UNDISTURBED, "a": -0.9 * UNDISTURBED}
    assert asked(stage).seconds == PATIENCE + ENDING
