"""Victims: the smallest set of running pods whose end gives a request its place on one node.

Pods are tried alone, then together in a few orders: take until it fits, give back who needn't go.
Cheaper is what loses fewer GPU-seconds, then fewer pods, then younger ones.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.cycle.stops.balance import Balance
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.placements import Placement
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Running

SINGLES = 64
"""So many pods of a node are tried alone before several of them together."""

GIVERS = 8
"""Of so many tenants at most the pods of one alone are tried together."""


Cost = tuple[float, int, float, str]
"""GPU-seconds lost, pods, seconds that the youngest has run for, and the first by UID."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Who would be stopped for the request, and where it would then be."""

    cost: Cost
    victims: tuple[Running, ...]
    place: Placement


def waste(now: float, each: Running) -> tuple[float, float, str]:
    """GPU-seconds that are lost with it; of equal ones the youngest first."""
    seconds = max(0.0, now - each.since)
    return each.placement.milli / MILLI * seconds, seconds, each.pod.uid


def least(now: float, running: Iterable[Running]) -> Cost:
    """What it costs at least to stop any of them, be it one or several."""
    lost, seconds, uid = min(waste(now, each) for each in running)
    return lost, 1, seconds, uid


def cheapest(
    work: Allocation, pod: Pod, row: int, running: Iterable[Running], balance: Balance
) -> Offer | None:
    """Return whom to stop on the node for the pod; None if nobody may be, or it is of no use."""
    givers = [each for each in running if balance.may_give(each.pod)]
    offers = [offer] if (offer := _alone(work, pod, row, givers, balance)) else []
    # Nothing costs less than the one whose end costs least of all.
    if len(givers) > 1 and not (offers and offers[0].cost <= least(work.this.now, givers)):
        offers += (
            each for each in _together(work, pod, row, givers) if balance.allows(each.victims)
        )
    return min(offers, key=lambda each: each.cost, default=None)


def _alone(
    work: Allocation, pod: Pod, row: int, givers: Sequence[Running], balance: Balance
) -> Offer | None:
    """Stop the one whose end costs least, if one is enough."""
    for each in sorted(givers, key=lambda each: waste(work.this.now, each))[:SINGLES]:
        # Whether it is fair costs less to find out than whether it is of use.
        if balance.allows([each]):
            offer = _offer(work, pod, row, [each])
            if offer is not None:
                return offer
    return None


def _together(work: Allocation, pod: Pod, row: int, givers: Sequence[Running]) -> Iterator[Offer]:
    """As many as it takes: of all in several orders, and of each tenant alone."""
    now = work.this.now
    orders: tuple[Callable[[Running], object], ...] = (
        lambda each: (each.pod.tenant == pod.tenant and each.pod.priority, waste(now, each)),
        lambda each: (-each.placement.milli, -each.since, each.pod.uid),
        lambda each: (-each.since, each.pod.uid),
    )
    sets = [sorted(givers, key=order) for order in orders]  # type: ignore[arg-type]
    tenants = sorted({each.pod.tenant for each in givers})
    if 1 < len(tenants) <= GIVERS:
        sets += [[each for each in sets[0] if each.pod.tenant == name] for name in tenants]
    offers = (_offer(work, pod, row, each) for each in sets)
    return (offer for offer in offers if offer is not None)


def _offer(work: Allocation, pod: Pod, row: int, order: Sequence[Running]) -> Offer | None:
    """Stop one after another until the pod fits the node, then spare those who needn't go."""
    this, chosen = work.this, list[Running]()
    among = np.array([row])
    with work.trial.attempt():
        packer = work.packer
        for each in order:
            work.trial.give(each.placement, each.pod.request)
            chosen.append(each)
            place = packer.place(pod.request, among=among)
            if place is not None:
                break
        else:
            return None
        # The dearest first: what was taken away after it may be enough.
        for each in sorted(chosen[:-1], key=lambda each: waste(this.now, each), reverse=True):
            work.trial.take(each.placement, each.pod.request)
            without = packer.place(pod.request, among=among)
            if without is None:
                work.trial.give(each.placement, each.pod.request)
            else:
                place = without
                chosen.remove(each)
    lost = math.fsum(waste(this.now, each)[0] for each in chosen)
    youngest = min(this.now - each.since for each in chosen)
    # Of equal ones the same in every run, whatever the order in which pods are known.
    first = min(each.pod.uid for each in chosen)
    return Offer((lost, len(chosen), youngest, first), tuple(chosen), place)
