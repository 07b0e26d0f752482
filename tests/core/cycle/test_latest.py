"""By when the next request starts at the latest, or that nothing says so."""

import math
from dataclasses import replace
from typing import Any

import pytest

from scheduler.core.cycle.latest import Latest, latest
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Running
from tests.core.cycle.stopping import AGE, PATIENCE, PROFILE, Stage
from tests.support.builders import node, pod, tenant, whole

ENDING = 10.0
A, B = tenant("a"), tenant("b", created=1.0)
NEXT = pod("b0", whole(), "b")


def asked(stage: Stage, who: Pod = NEXT, **profile: Any) -> Latest:
    running = tuple(
        Running(each.pod, each.placement, stage.since[uid])
        for uid, each in stage.ledger.holdings.items()
    )
    snapshot = replace(stage.ledger.snapshot(tenants=stage.tenants), running=running)
    rules = replace(PROFILE, **profile)
    return latest(snapshot, [who], who, stage.now, rules, ending_seconds=ENDING)


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
    # 30 for what runs, 0 more jobs as a waits for none; nobody is owed more than b.
    assert (found.seconds, found.victims) == (30.0, ())


def test_the_pods_own_time_counts_as_well() -> None:
    stage = Stage([node("n", 1)], [A, B])
    stage.run(pod("a0", whole(), "a", max_runtime=20.0))
    assert math.isinf(asked(stage, reclaim_after=None).seconds)
    brief = replace(NEXT, max_runtime=20.0)
    assert asked(stage, brief, reclaim_after=None).seconds == 20.0


def test_else_nothing_bounds_it() -> None:
    even = Stage([node("n", 2)], [A, B])
    for owner in ("a", "b"):
        even.run(pod(f"{owner}9", whole(), owner))
    assert asked(even) == Latest(math.inf)
