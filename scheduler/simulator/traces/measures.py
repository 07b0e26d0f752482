"""What a replay amounts to: allocation and fragmentation against the load that has arrived.

All in percent of the cluster's GPUs. Definitions are those of the published figures: after each
event the arrived load is rounded to a whole percent, and a value at x is the mean over the events
that were rounded to x.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scheduler.core.ledger.block import Ints
from scheduler.core.ledger.columns import Columns
from scheduler.core.packing.mix import Mix
from scheduler.simulator.traces.replay import Places
from scheduler.simulator.traces.workload import Workload

Floats = npt.NDArray[np.float64]
Curve = tuple[tuple[int, float, float], ...]
"""Arrived load, allocation and fragmentation, in percent, one entry for each percent of load."""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """After each event [E]: the arrived load in whole percent, and the allocation in percent."""

    arrived: Ints
    allocation: Floats

    def at(self, load: int) -> float | None:
        """Return the mean allocation at this load; None if no event came near it."""
        for reach in (0, 1):
            near = np.abs(self.arrived - load) <= reach
            if near.any():
                return round(float(self.allocation[near].mean()), 2)
        return None


def course(workload: Workload, places: Places) -> Course:
    """Work out arrived load and allocation. Pods count as arrived whether placed or not."""
    capacity = workload.trace.capacity
    asked = np.array([pod.request.total_milli for pod in workload.events], dtype=np.int64)
    placed = np.array([place is not None for place in places], dtype=np.bool_)
    # Both roundings go to even, as in the published simulator.
    arrived = np.rint(np.cumsum(asked) * 100 / capacity).astype(np.int64)
    allocation = np.round(np.cumsum(asked * placed) * 100 / capacity, 2)
    return Course(arrived, allocation)


def fragmentation(workload: Workload, places: Places, *, mix: Mix) -> Floats:
    """Return the fragmentation after each event [E], in percent of the cluster's GPUs.

    It is the free capacity that the next pod of the target workload can't use, on average: F of
    Weng et al., USENIX ATC 2023, section 3.2. Only the row that changed is worked out again.
    """
    columns = Columns(workload.trace.nodes)
    amounts = mix.fragmented(columns, slice(None)).astype(np.int64)
    total = int(amounts.sum())
    totals = np.empty(len(places), dtype=np.float64)
    for event, (pod, place) in enumerate(zip(workload.events, places, strict=True)):
        if place is not None:
            row = columns.row[place.node]
            columns.take(row, place.slots, pod.request)
            after = int(mix.fragmented(columns, slice(row, row + 1))[0])
            total += after - int(amounts[row])
            amounts[row] = after
        totals[event] = total
    return totals * 100 / mix.total / workload.trace.capacity


def curve(course: Course, fragments: Floats) -> Curve:
    """Average both after each percent of load that an event was rounded to."""
    points = []
    for load in np.unique(course.arrived):
        here = course.arrived == load
        allocation, fragmented = course.allocation[here].mean(), fragments[here].mean()
        points.append((int(load), round(float(allocation), 2), round(float(fragmented), 2)))
    return tuple(points)
