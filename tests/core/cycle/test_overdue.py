"""Pods that have run for as long as they may are stopped, whoever waits."""

from dataclasses import replace

import pytest

from scheduler.core.model.verdicts import Reason
from tests.core.cycle.stopping import Stage
from tests.support.builders import node, pod, tenant, whole

HOUR = 3600.0


def running(
    *, age: float, own: float | None = None, leaf: float | None = None, top: float | None = None
) -> Stage:
    stage = Stage(
        [node("n", 2)],
        [tenant("t", max_runtime=top), tenant("a", "t", max_runtime=leaf), tenant("b", "t")],
    )
    stage.profile = replace(stage.profile, reclaim_after=None)
    stage.run(pod("p", whole(), "a", max_runtime=own), age=age)
    return stage


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"own": HOUR}, "1h; it asks for no more"),
        ({"leaf": HOUR}, "1h; a has no more"),
        ({"top": HOUR}, "1h; a has no more"),
        ({"own": 2 * HOUR, "leaf": HOUR, "top": 3 * HOUR}, "1h; a has no more"),
        ({"own": HOUR, "leaf": 2 * HOUR}, "1h; it asks for no more"),
    ],
)
def test_the_shortest_of_its_own_time_and_its_tenants_counts(
    limits: dict[str, float], why: str
) -> None:
    early = running(age=HOUR - 1, **limits)
    assert early.round().evicts == ()
    late = running(age=HOUR, **limits)
    (evict,) = late.round().evicts
    assert (evict.pod.name, evict.taker) == ("p", None)
    assert (evict.verdict.reason, evict.verdict.detail) == (Reason.MAX_RUNTIME, why)


def test_without_a_limit_nobody_is() -> None:
    stage = running(age=1000 * HOUR)
    stage.waiting = [pod("b0", whole(2), "b")]
    assert stage.round().evicts == ()


def test_not_even_one_that_can_not_be_stopped_for_others_runs_for_longer() -> None:
    stage = Stage([node("n", 2)], [tenant("a", guarantee=1, max_runtime=HOUR)])
    stage.run(pod("p", whole(), "a", preemptible=False), age=HOUR)
    assert [each.pod.name for each in stage.round().evicts] == ["p"]
