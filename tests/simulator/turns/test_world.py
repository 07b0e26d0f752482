"""Turns in virtual time: who is served how much, and how long the next one of a tenant waits."""

from dataclasses import replace
from random import Random

import pytest

from scheduler.core.cycle.profile import Profile
from scheduler.simulator.turns.measures import Measures
from scheduler.simulator.turns.workloads import (
    HOUR,
    LARGE,
    SMALL,
    Workload,
    bursts,
    equal8,
    mixed,
    sixty,
)
from scheduler.simulator.turns.world import World

PROFILE = Profile(policy="best-fit", reserve_after=720.0, reclaim_after=300.0, min_runtime=120.0)
GENTLE = replace(PROFILE, reclaim_after=None)


def play(workload: Workload, profile: Profile = PROFILE, *, seed: int = 1) -> Measures:
    return World(workload, profile, Random(seed)).run()


def test_sixty_everybody_has_its_due_and_no_small_one_waits_longer_than_ten_turns() -> None:
    measures = play(sixty(6 * HOUR))
    assert all(0.97 <= measures.served(leaf) <= 1.03 for leaf in (LARGE, *SMALL))
    assert all(measures.worst[leaf] <= 720 for leaf in SMALL)
    assert abs(measures.idle(10)) < 1e-9
    assert measures.evictions == 0


def test_bursts_small_tenants_have_their_due_and_little_work_is_lost() -> None:
    measures = play(bursts(4 * HOUR))
    assert all(measures.served(leaf) >= 0.95 for leaf in SMALL)
    assert measures.evictions > 0
    assert measures.evicted_part <= 0.015


@pytest.mark.parametrize(("reserve_after", "starts"), [(None, False), (720.0, True)])
def test_equal8_a_large_job_starts_only_where_devices_drain_for_it(
    reserve_after: float | None, starts: bool
) -> None:
    workload = equal8(HOUR)
    measures = play(workload, replace(GENTLE, reserve_after=reserve_after))
    eight = workload.tenants[-1].name
    assert (measures.got[eight] > 0) is starts


def test_mixed_nobody_is_stopped_unless_that_is_wanted_and_all_gpus_are_used() -> None:
    measures = play(mixed(6 * HOUR), GENTLE)
    assert measures.evictions == 0
    assert measures.idle(10) <= 0.12


def test_a_seed_gives_the_same_every_time_and_another_one_doesnt() -> None:
    first, again, other = (play(bursts(HOUR), seed=seed) for seed in (1, 1, 2))
    assert (first.got, first.worst, first.evictions) == (again.got, again.worst, again.evictions)
    assert first.got != other.got
