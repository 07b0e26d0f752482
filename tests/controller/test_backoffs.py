"""How long a pod that failed is let alone."""

from scheduler.controller.backoffs import Backoffs
from tests.support.builders import pod

P, Q = pod("p").uid, pod("q").uid


def test_each_failure_doubles_the_wait_up_to_a_minute() -> None:
    backoffs, waits = Backoffs(), []
    for _ in range(9):
        backoffs.fail(P, 100.0)
        waits.append((backoffs.next_end(100.0) or 0.0) - 100.0)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_pod_may_be_tried_again_at_the_very_end_of_its_wait() -> None:
    backoffs = Backoffs()
    backoffs.fail(P, 100.0)
    assert [backoffs.holds(P, now) for now in (100.0, 100.9, 101.0)] == [True, True, False]
    assert not backoffs.holds(Q, 100.0)


def test_the_next_end_is_that_of_the_pod_that_is_free_first() -> None:
    backoffs = Backoffs()
    assert backoffs.next_end(0.0) is None
    backoffs.fail(P, 100.0)
    backoffs.fail(Q, 100.5)
    assert [backoffs.next_end(now) for now in (100.0, 101.0, 101.5)] == [101.0, 101.5, None]


def test_who_got_on_begins_with_a_short_wait_again() -> None:
    backoffs = Backoffs()
    for _ in range(5):
        backoffs.fail(P, 0.0)
    backoffs.forget(P)
    assert not backoffs
    assert not backoffs.holds(P, 0.0)
    backoffs.fail(P, 0.0)
    assert backoffs.next_end(0.0) == 1.0


def test_one_that_fails_for_weeks_does_not_overflow() -> None:
    backoffs = Backoffs()
    for _ in range(20_000):
        backoffs.fail(P, 0.0)
    assert backoffs.next_end(0.0) == 60.0
