"""What arrives, and in which order: the event list of one trace, seed and load.

The definition is that of the published simulator (hkust-adsl/kubernetes-scheduler-simulator), with
another generator of random numbers: pods shuffled, drawn again until the load is reached, nodes
ranked at random. Only `Random.random` is used, whose numbers Python promises never to change.
"""

from collections.abc import MutableSequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

import numpy as np

from scheduler.core.ledger.block import Ints
from scheduler.core.model.errors import InvalidInput
from scheduler.simulator.traces.trace import Trace, TracePod

Item = TypeVar("Item")

MOST_EVENTS = 2_000_000
"""Where the pods are so small that a load takes more than this, something else was meant."""


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """Pods in the order of their arrival, and the rank of each node [N], which breaks ties.

    `draws` are random integers, one for each event, for the policy that places at random.
    """

    trace: Trace
    seed: int
    load: int
    events: tuple[TracePod, ...]
    rank: Ints
    draws: tuple[int, ...]


def build_workload(trace: Trace, *, seed: int, load: int) -> Workload:
    """Make the event list that brings `load` percent of the cluster's GPUs.

    The first events are the trace itself, shuffled; the rest are pods of it drawn again, with
    replacement. Where the trace alone is more, pods are taken out of it at random. Raises
    InvalidInput where nothing is left, or far too much would arrive.
    """
    dice = _Dice(f"{seed}")
    events = list(trace.pods)
    dice.shuffle(events)
    _tune(events, trace, dice=dice, target=load * trace.capacity // 100)
    if not events:
        raise InvalidInput(f"trace {trace.name}: at {load} % no pod arrives; give a larger --load")
    order = list(range(len(trace.nodes)))
    dice.shuffle(order)
    # A stream of its own, so that the order of arrival is the same for every policy.
    others = _Dice(f"{seed} places")
    return Workload(
        trace=trace,
        seed=seed,
        load=load,
        events=tuple(events),
        rank=np.array(order, dtype=np.int64),
        draws=tuple(others.below(2**48) for _ in events),
    )


def _tune(events: list[TracePod], trace: Trace, *, dice: "_Dice", target: int) -> None:
    demand = trace.demand
    while demand > target:
        demand -= events.pop(dice.below(len(events))).request.total_milli
    if len(events) < len(trace.pods):
        return
    while True:
        pod = trace.pods[dice.below(len(trace.pods))]
        # The published simulator tests with the share of one device, whatever their number.
        if demand + pod.request.milli > target:
            return
        events.append(pod)
        demand += pod.request.total_milli
        if len(events) > MOST_EVENTS:
            raise InvalidInput(
                f"trace {trace.name}: more than {MOST_EVENTS} pods arrive before the load is "
                "reached; ask for a smaller --load"
            )


class _Dice:
    """Draws that are the same with every version of Python."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)

    def below(self, bound: int) -> int:
        """Draw from 0 to bound - 1."""
        return int(self._random.random() * bound)

    def shuffle(self, items: MutableSequence[Item]) -> None:
        """Shuffle in place, from the end (Fisher and Yates)."""
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]
