"""Allocation and fragmentation against arrived load, compared with sums done by hand."""

import numpy as np
import pytest

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.ids import DeviceUUID, NodeName
from scheduler.core.model.nodes import Device, Node
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.requests import Request
from scheduler.core.packing.mix import Mix
from scheduler.simulator.traces import measures
from scheduler.simulator.traces.replay import replay, target_workload
from scheduler.simulator.traces.synthetic import synthetic_trace
from scheduler.simulator.traces.trace import Trace, TracePod
from scheduler.simulator.traces.workload import Workload, build_workload


def workload_of(requests: list[Request], *, devices: int) -> Workload:
    cards = tuple(Device(DeviceUUID(f"n/{d}"), "T4", 16_000) for d in range(devices))
    pods = tuple(TracePod(f"p{number}", request) for number, request in enumerate(requests))
    trace = Trace("tiny", (Node(NodeName("n"), cards, 10_000, 10_000),), pods)
    return Workload(trace, 1, 100, pods, np.zeros(1, dtype=np.int64), tuple(range(len(pods))))


def on(*indices: int, milli: int) -> Placement:
    return Placement(
        NodeName("n"),
        tuple(Slot(index, DeviceUUID(f"n/{index}"), milli, 0) for index in indices),
    )


def test_failed_pods_count_as_arrived_but_not_as_allocated() -> None:
    workload = workload_of([Request(1, 500), Request(4, 1000), Request(1, 250)], devices=2)
    course = measures.course(workload, [on(0, milli=500), None, on(0, milli=250)])
    assert course.arrived.tolist() == [25, 225, 238]
    assert course.allocation.tolist() == [25.0, 25.0, 37.5]


def test_arrived_load_is_rounded_half_to_even_and_values_of_one_load_are_averaged() -> None:
    # Of two devices 10 milli are half a percent: 0.5, 1, 1.5, 2 and 2.5 percent.
    workload = workload_of([Request(1, 10)] * 5, devices=2)
    course = measures.course(workload, [on(0, milli=10)] * 5)
    assert course.arrived.tolist() == [0, 1, 2, 2, 2]
    assert course.at(2) == 2.0
    assert course.at(0) == 0.5


def test_where_no_event_has_a_load_its_neighbours_stand_for_it() -> None:
    workload = workload_of([Request(1, 1000)] * 3, devices=100)
    course = measures.course(workload, [on(0, milli=1000), None, None])
    assert course.arrived.tolist() == [1, 2, 3]
    assert course.at(4) == 1.0
    assert course.at(5) is None


def test_fragmentation_is_what_the_usual_pods_cannot_use() -> None:
    # Half of the pods want a whole device, half a share of 0.5; on 0.6 of a device only the latter
    # fit, so that half of it is lost, and the whole of the other device is of use to both.
    workload = workload_of([Request(1, 400), Request(1, 1000)], devices=2)
    mix = Mix.of([Request(1, 1000), Request(1, 500)], keep=1)
    fragments = measures.fragmentation(workload, [on(0, milli=400), on(1, milli=1000)], mix=mix)
    assert fragments.tolist() == [100 * 300 / 2000, 100 * 300 / 2000]


def test_a_pod_without_gpu_can_use_none_of_it() -> None:
    workload = workload_of([Request(1, 1000)], devices=2)
    mix = Mix.of([Request(cpu_milli=1)])
    assert measures.fragmentation(workload, [None], mix=mix).tolist() == [100.0]
    places = [on(0, milli=1000)]
    assert measures.fragmentation(workload, places, mix=mix).tolist() == [50.0]


@pytest.mark.parametrize("policy", ["fgd", "random"])
def test_working_out_only_the_changed_row_gives_what_working_out_all_would(policy: str) -> None:
    workload = build_workload(synthetic_trace(), seed=3, load=130)
    mix = target_workload(workload)
    places = replay(workload, policy, mix=mix).places
    step_by_step = measures.fragmentation(workload, places, mix=mix)
    columns = Columns(workload.trace.nodes)
    for event, (pod, place) in enumerate(zip(workload.events, places, strict=True)):
        if place is not None:
            columns.take(columns.row[place.node], place.slots, pod.request)
        if event % 200 == 0 or event == len(places) - 1:
            whole = int(mix.fragmented(columns, slice(None)).sum())
            expected = whole * 100 / mix.total / workload.trace.capacity
            assert step_by_step[event] == pytest.approx(expected, abs=1e-9)


def test_a_curve_has_one_point_for_each_percent_that_arrived() -> None:
    workload = workload_of([Request(1, 10)] * 5, devices=2)
    course = measures.course(workload, [on(0, milli=10)] * 5)
    points = measures.curve(course, np.array([10.0, 20.0, 30.0, 40.0, 50.0]))
    assert points == ((0, 0.5, 10.0), (1, 1.0, 20.0), (2, 2.0, 40.0))
