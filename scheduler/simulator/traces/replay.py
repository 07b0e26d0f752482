"""Replays a workload: each pod is tried once when it arrives, and what is placed stays.

A pod that fits nowhere is dropped and never tried again; nobody is moved or stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.placements import Placement
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.packer import Packer
from scheduler.core.packing.policies import BID_PRICE
from scheduler.pricing.fitting import fit
from scheduler.simulator.traces.workload import Workload

REFITS = frozenset(100 * 2**step for step in range(15))
"""Arrivals after which bid prices are worked out anew: 100, 200, 400 and so on."""

Places = Sequence[Placement | None]
"""Where each event went, in order of arrival; None for a pod that fitted nowhere."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Where each event went, and how long the placing took (seconds), prices included."""

    places: Places
    seconds: float


def target_workload(workload: Workload) -> Mix:
    """Return the mix of requests that fragmentation is measured for: the trace as it was read."""
    return Mix.of(pod.request for pod in workload.trace.pods)


def replay(workload: Workload, policy: str, *, mix: Mix | None = None) -> Replay:
    """Place every event by the policy, a name in `core.packing.policies.POLICIES`.

    Bid prices are worked out from what has arrived, after REFITS arrivals, and never from what is
    still to come.
    """
    columns = Columns(workload.trace.nodes)
    mix = target_workload(workload) if mix is None else mix
    packer = Packer(columns, policy, mix=mix, rank=workload.rank)
    places: list[Placement | None] = []
    started = perf_counter()
    for number, (pod, draw) in enumerate(zip(workload.events, workload.draws, strict=True)):
        if policy == BID_PRICE and number in REFITS:
            arrived = (each.request for each in workload.events[:number])
            seen = Mix.of(arrived, keep=1.0)
            priced = Mix(mix.weights, fit(columns, dict(seen.weights)))
            packer = Packer(columns, policy, mix=priced, rank=workload.rank)
        placement = packer.place(pod.request, seed=draw)
        if placement is not None:
            columns.take(columns.row[placement.node], placement.slots, pod.request)
        places.append(placement)
    return Replay(places, perf_counter() - started)
