"""Each pod is tried once; what is placed stays, what fits nowhere is dropped, the rest goes on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.ids import DeviceUUID, NodeName
from scheduler.core.model.nodes import Device, Node
from scheduler.core.model.requests import Request
from scheduler.core.packing.policies import POLICIES
from scheduler.simulator.traces.placementfile import write_placements
from scheduler.simulator.traces.replay import replay
from scheduler.simulator.traces.synthetic import synthetic_trace
from scheduler.simulator.traces.trace import Trace, TracePod
from scheduler.simulator.traces.workload import Workload, build_workload

SHARES = st.builds(
    Request,
    devices=st.just(1),
    milli=st.integers(1, 1000),
    cpu_milli=st.integers(0, 9000),
    ram_mib=st.integers(0, 9000),
)
WHOLES = st.builds(
    Request,
    devices=st.integers(1, 4),
    milli=st.just(1000),
    cpu_milli=st.integers(0, 9000),
    models=st.sampled_from([(), ("T4",), ("A10", "T4"), ("H100",)]),
)
NODES = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["T4", "A10"]), st.integers(0, 64_000)),
    min_size=1,
    max_size=6,
)


def trace_of(shapes: list[tuple[int, str, int]], requests: list[Request]) -> Trace:
    nodes = tuple(
        Node(
            NodeName(f"n{number}"),
            tuple(Device(DeviceUUID(f"n{number}/{d}"), model, 16_000) for d in range(count)),
            cpu,
            64_000,
        )
        for number, (count, model, cpu) in enumerate(shapes)
    )
    pods = tuple(TracePod(f"p{number}", request) for number, request in enumerate(requests))
    return Trace("tiny", nodes, pods)


def as_given(trace: Trace) -> Workload:
    """All pods of the trace, in its order; the last node wins ties."""
    rank = np.arange(len(trace.nodes), dtype=np.int64)[::-1]
    return Workload(trace, 1, 100, trace.pods, rank, tuple(range(len(trace.pods))))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_pod_that_fits_nowhere_is_dropped_and_later_ones_go_on(policy: str) -> None:
    whole, small = Request(1, 1000), Request(1, 400)
    trace = trace_of([(1, "T4", 64_000)], [small, whole, Request(2, 1000), small, small])
    places = replay(as_given(trace), policy).places
    assert [place is not None for place in places] == [True, False, False, True, False]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_seed_gives_the_same_file_byte_for_byte(policy: str) -> None:
    trace = synthetic_trace()
    files = []
    for seed in (42, 42, 43):
        workload = build_workload(trace, seed=seed, load=130)
        files.append(write_placements(workload.events, replay(workload, policy).places))
    assert files[0] == files[1]
    assert files[0] != files[2]


@pytest.mark.parametrize("policy", POLICIES)
@given(NODES, st.lists(st.one_of(SHARES, WHOLES), min_size=1, max_size=40))
def test_nothing_goes_beyond_its_capacity_and_nothing_that_fits_is_dropped(
    policy: str, shapes: list[tuple[int, str, int]], requests: list[Request]
) -> None:
    trace = trace_of([(1, "T4", 1000), *shapes], requests)
    columns = Columns(trace.nodes)
    for pod, place in zip(trace.pods, replay(as_given(trace), policy).places, strict=True):
        if place is None:
            assert not any(fits(columns, row, pod.request) for row in range(len(trace.nodes)))
            continue
        row = columns.row[place.node]
        assert fits(columns, row, pod.request)
        assert len({slot.index for slot in place.slots}) == pod.request.devices
        assert {slot.milli for slot in place.slots} <= {pod.request.milli}
        columns.take(row, place.slots, pod.request)
        assert columns.free[row].min() >= 0


def fits(columns: Columns, row: int, request: Request) -> bool:
    models = [columns.models[at] if at >= 0 else "" for at in columns.model[row].tolist()]
    devices = [
        free
        for free, model in zip(columns.free[row].tolist(), models, strict=True)
        if free >= request.milli and model and (not request.models or model in request.models)
    ]
    return bool(
        len(devices) >= request.devices
        and columns.free_cpu[row] >= request.cpu_milli
        and columns.free_ram[row] >= request.ram_mib
    )
