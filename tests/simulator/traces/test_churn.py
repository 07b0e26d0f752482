"""Pods come and go: what is allocated over time, who waits, and for how long."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.nodes import Node
from scheduler.core.model.requests import Request
from scheduler.simulator.traces.churn import Churn, one_pass, passes, play
from scheduler.simulator.traces.lives import lives_of
from scheduler.simulator.traces.pieces import Piece
from scheduler.simulator.traces.synthetic import synthetic_trace
from tests.support.builders import by_memory, node, share, whole

POLICIES = pytest.mark.parametrize("policy", ["best-fit", "fgd", "bid-price"])


def came(
    *pods: tuple[float, Request, float], seconds: float = 100.0, warm_up: float = 0.0
) -> Churn:
    coming = iter([Piece(*each) for each in pods])
    return play([node("n1", 1)], coming, "fgd", seconds=seconds, warm_up=warm_up)


def test_what_is_held_is_measured_over_time() -> None:
    # Half a GPU for 40 of 100 seconds, and all of it for 10.
    done = came((0.0, share(500), 40.0), (50.0, whole(1), 10.0))
    assert done.allocated == pytest.approx(0.3)
    assert (done.wait, done.wait_95, done.waiting, done.came) == (0, 0, 0, 2)


def test_the_warm_up_is_not_measured_and_what_began_in_it_is_held_still() -> None:
    done = came((0.0, whole(1), 60.0), seconds=100.0, warm_up=50.0)
    assert done.allocated == pytest.approx(0.2)


def test_who_finds_no_room_waits_and_the_first_goes_first() -> None:
    done = came((0.0, whole(1), 10.0), (1.0, whole(1), 10.0), (2.0, whole(1), 10.0))
    # None, nine, and eighteen seconds.
    assert done.wait == pytest.approx(9.0)
    assert done.waiting == 0
    assert done.allocated == pytest.approx(0.3)


def test_who_fits_passes_who_does_not() -> None:
    done = came((0.0, share(500), 50.0), (1.0, whole(1), 10.0), (2.0, share(500), 10.0))
    assert done.wait == pytest.approx(49 / 3)


def test_a_mix_ends_where_the_next_one_begins() -> None:
    kinds = [[Piece(0.0, ask, 1.0), Piece(3.0, ask, 1.0)] for ask in (whole(1), share(500))]
    coming = list(passes(*kinds, seconds=20.0))
    assert [each.at for each in coming if each.request == whole(1)] == [0.0, 3.0, 6.0, 9.0]
    assert [each.at for each in coming if each.request != whole(1)] == [10.0, 13.0, 16.0, 19.0]


def test_something_must_be_left_to_measure() -> None:
    with pytest.raises(InvalidInput, match="play for longer"):
        came((0.0, whole(1), 10.0), seconds=100.0, warm_up=100.0)


def test_a_request_by_memory_counts_by_the_card_that_it_lands_on() -> None:
    assert came((0.0, by_memory(8_000), 50.0)).allocated == pytest.approx(0.25)


def test_who_waits_at_the_end_is_counted_with_its_wait() -> None:
    done = came((0.0, whole(1), 500.0), (40.0, whole(1), 10.0))
    assert done.wait == pytest.approx(30.0)
    assert done.waiting == 1


@POLICIES
def test_a_trace_asks_for_the_load_and_the_same_seed_gives_the_same(policy: str) -> None:
    trace = synthetic_trace()
    gpus = sum(len(each.devices) for each in trace.nodes)
    kind = one_pass(trace, lives_of(trace), gpus=gpus, load=0.5, longest=600.0)
    seconds = 2 * kind[-1].at
    asked = sum(each.work for each in kind) / kind[-1].at
    assert asked == pytest.approx(0.5 * gpus, rel=0.01)
    runs = [
        play(
            trace.nodes,
            passes(kind, kind, seconds=seconds),
            policy,
            seconds=seconds,
            warm_up=700.0,
        )
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    # Half of the GPUs are asked for, so nobody waits for long.
    assert runs[0].allocated == pytest.approx(0.5, abs=0.05)
    assert runs[0].wait < 1.0


PODS = st.tuples(
    st.floats(0, 90),
    st.sampled_from([share(300), share(700), whole(1), whole(2)]),
    st.floats(1, 60),
)


@settings(deadline=None)
@given(pods=st.lists(PODS, max_size=25), cards=st.integers(1, 3))
def test_no_more_is_allocated_than_there_is_and_nobody_is_lost(
    pods: list[tuple[float, Request, float]], cards: int
) -> None:
    nodes: list[Node] = [node("n1", cards), node("n2", 1)]
    coming = sorted((Piece(*each) for each in pods), key=lambda each: each.at)
    done = play(nodes, iter(coming), "best-fit", seconds=10_000, warm_up=0)
    assert 0 <= done.allocated <= 1
    never = [each for each in coming if each.request.devices > cards]
    assert done.waiting == len(never)
    work = sum(each.work for each in coming) - sum(each.work for each in never)
    assert done.allocated * (cards + 1) * 10_000 == pytest.approx(work)
