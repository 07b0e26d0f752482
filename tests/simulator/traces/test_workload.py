"""The event list: the trace shuffled, then drawn again or thinned out until the load is reached."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import DeviceUUID, NodeName
from scheduler.core.model.nodes import Device, Node
from scheduler.core.model.requests import Request
from scheduler.simulator.traces.synthetic import synthetic_trace
from scheduler.simulator.traces.trace import Trace, TracePod
from scheduler.simulator.traces.workload import build_workload

REQUESTS = st.one_of(
    st.builds(Request, devices=st.just(1), milli=st.integers(10, 1000)),
    st.builds(Request, devices=st.integers(1, 8), milli=st.just(1000)),
    st.just(Request(cpu_milli=1000)),
)


def trace_of(requests: list[Request], *, nodes: int = 2, devices: int = 4) -> Trace:
    return Trace(
        "tiny",
        tuple(
            Node(
                NodeName(f"n{number}"),
                tuple(Device(DeviceUUID(f"n{number}/{d}"), "T4", 16_000) for d in range(devices)),
                64_000,
                64_000,
            )
            for number in range(nodes)
        ),
        tuple(TracePod(f"p{number:03d}", request) for number, request in enumerate(requests)),
    )


@given(
    st.lists(REQUESTS, min_size=1, max_size=30),
    st.integers(0, 1000),
    st.integers(100, 300),
)
def test_the_load_is_reached_and_hardly_exceeded(
    requests: list[Request], seed: int, load: int
) -> None:
    trace = trace_of([Request(1, 500), *requests])
    target = load * trace.capacity // 100
    events = build_workload(trace, seed=seed, load=load).events
    arrived = sum(event.request.total_milli for event in events)
    most, largest = (max(q.total_milli for q in requests), max(q.milli for q in requests))
    if trace.demand > target:
        assert arrived <= target
        assert not Counter(events) - Counter(trace.pods)
    else:
        assert sorted(event.name for event in events[: len(trace.pods)]) == [
            pod.name for pod in trace.pods
        ]
        # The draw that would go beyond ends it; one of several devices is tested by one of them.
        assert target - max(largest, 500) < arrived <= target + most


@given(st.integers(0, 10**6))
def test_ranks_are_every_number_once(seed: int) -> None:
    workload = build_workload(trace_of([Request(1, 500)], nodes=9), seed=seed, load=50)
    assert sorted(workload.rank.tolist()) == list(range(9))


def test_the_same_seed_gives_the_same_list_and_another_seed_another() -> None:
    trace = synthetic_trace()
    one, same, other = (build_workload(trace, seed=seed, load=130) for seed in (42, 42, 43))
    assert one.events == same.events
    assert one.rank.tolist() == same.rank.tolist()
    assert one.draws == same.draws
    assert one.events != other.events
    assert one.rank.tolist() != other.rank.tolist()


def test_the_order_is_pinned_so_that_figures_can_be_compared_between_versions() -> None:
    workload = build_workload(synthetic_trace(), seed=42, load=130)
    assert [event.name for event in workload.events[:4]] == [
        "pod-0383",
        "pod-0642",
        "pod-0742",
        "pod-0018",
    ]
    assert len(workload.events) == 1107
    assert workload.rank[:4].tolist() == [89, 79, 62, 74]


def test_pods_that_ask_for_almost_nothing_do_not_run_for_ever() -> None:
    trace = trace_of([Request(1, 1)], nodes=600, devices=8)
    with pytest.raises(InvalidInput, match="smaller --load"):
        build_workload(trace, seed=1, load=1000)


def test_a_load_at_which_nothing_arrives_is_refused() -> None:
    with pytest.raises(InvalidInput, match="larger --load"):
        build_workload(trace_of([Request(8, 1000)], nodes=1), seed=1, load=1)
