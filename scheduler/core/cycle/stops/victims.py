"""Victims: the smallest set of running pods whose end gives a request its place on one node.

Pods are tried alone, then together in a few orders: take until it fits, give back who needn't go.
Cheaper is what loses fewer GPU-seconds, then fewer pods, then younger ones.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.cycle.stops.balance import Balance
from scheduler.core.cycle.stops.bundles import Bundle, Cost, cost_of
from scheduler.core.cycle.stops.ranking import lacking
from scheduler.core.model.placements import Placement
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Running

SINGLES = 64
"""So many pods of a node are tried alone before several of them together."""

GIVERS = 8
"""Of so many tenants at most the pods of one alone are tried together."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Who would be stopped for the request, and where it would then be."""

    cost: Cost
    victims: tuple[Running, ...]
    place: Placement


def least(bundles: Iterable[Bundle]) -> Cost:
    """What it costs at least to stop any of them, be it one or several."""
    return min(bundle.cost for bundle in bundles)


def cheapest(
    work: Allocation, pod: Pod, row: int, bundles: Iterable[Bundle], balance: Balance
) -> Offer | None:
    """Return whom to stop on the node for the pod; None if nobody may be, or it is of no use."""
    givers = [each for each in bundles if all(balance.may_give(one.pod) for one in each.pods)]
    offers = [offer] if (offer := _alone(work, pod, row, givers, balance)) else []
    # Nothing costs less than the one whose end costs least of all.
    if len(givers) > 1 and not (offers and offers[0].cost <= least(givers)):
        offers += (
            each for each in _together(work, pod, row, givers) if balance.allows(each.victims)
        )
    return min(offers, key=lambda each: each.cost, default=None)


def offers_of(work: Allocation, pod: Pod, row: int, bundles: Sequence[Bundle]) -> Iterator[Offer]:
    """Yield whom to stop on the node for the pod, one alone or several, whether fair or not."""
    for each in _large_enough(work, pod, row, bundles)[:SINGLES]:
        offer = _offer(work, pod, row, [each])
        if offer is not None:
            yield offer
    if len(bundles) > 1:
        yield from _together(work, pod, row, bundles)


def _large_enough(work: Allocation, pod: Pod, row: int, bundles: Iterable[Bundle]) -> list[Bundle]:
    """Those of which one could be enough, the cheapest first."""
    lack, node = lacking(work, work.this.kinds.of(pod), row), work.trial.columns.names[row]
    return sorted((each for each in bundles if each.milli_on(node) >= lack), key=_cost)


def _alone(
    work: Allocation, pod: Pod, row: int, givers: Sequence[Bundle], balance: Balance
) -> Offer | None:
    """Stop the one whose end costs least, if one is enough."""
    for each in _large_enough(work, pod, row, givers)[:SINGLES]:
        # Whether it is fair costs less to find out than whether it is of use.
        if balance.allows(each.pods):
            offer = _offer(work, pod, row, [each])
            if offer is not None:
                return offer
    return None


def _together(work: Allocation, pod: Pod, row: int, givers: Sequence[Bundle]) -> Iterator[Offer]:
    """As many as it takes: of all in several orders, and of each tenant alone."""
    orders: tuple[Callable[[Bundle], object], ...] = (
        lambda each: (_own_priority(pod, each), each.cost),
        lambda each: (-each.milli, -each.since, each.cost[-1]),
        lambda each: (-each.since, each.cost[-1]),
    )
    sets = [sorted(givers, key=order) for order in orders]  # type: ignore[arg-type]
    tenants = sorted({each.pods[0].pod.tenant for each in givers})
    if 1 < len(tenants) <= GIVERS:
        sets += [[each for each in sets[0] if each.pods[0].pod.tenant == name] for name in tenants]
    offers = (_offer(work, pod, row, each) for each in sets)
    return (offer for offer in offers if offer is not None)


def _own_priority(pod: Pod, bundle: Bundle) -> int:
    """Of its own tenant those of the least priority first."""
    own = bundle.pods[0].pod.tenant == pod.tenant
    return max(each.pod.priority for each in bundle.pods) if own else 0


def _offer(work: Allocation, pod: Pod, row: int, order: Sequence[Bundle]) -> Offer | None:
    """Stop one after another until the pod fits the node, then spare those who needn't go."""
    chosen, among = list[Bundle](), np.array([row])
    with work.trial.attempt():
        packer = work.packer
        for each in order:
            gone = {known.pod.uid for other in chosen for known in other.pods}
            going = [known for known in each.pods if known.pod.uid not in gone]
            if not going:
                continue
            give(work, going)
            # All of a gang stands for those of it that were chosen one by one.
            chosen = [other for other in chosen if not _are_of(other, each)] + [each]
            place = packer.place(pod.request, among=among)
            if place is not None:
                break
        else:
            return None
        # The dearest first: what was taken away after it may be enough.
        for each in sorted(chosen[:-1], key=_cost, reverse=True):
            _take(work, each.pods)
            without = packer.place(pod.request, among=among)
            if without is None:
                give(work, each.pods)
            else:
                place = without
                chosen.remove(each)
    victims = tuple(each for bundle in chosen for each in bundle.pods)
    return Offer(cost_of(work.this.now, victims), victims, place)


def _are_of(few: Bundle, many: Bundle) -> bool:
    return {each.pod.uid for each in few.pods} <= {each.pod.uid for each in many.pods}


def give(work: Allocation, running: Iterable[Running]) -> None:
    """Free what these hold, in the trial."""
    for each in running:
        work.trial.give(each.placement, each.pod.request)


def _take(work: Allocation, running: Iterable[Running]) -> None:
    for each in running:
        work.trial.take(each.placement, each.pod.request)


def _cost(bundle: Bundle) -> Cost:
    return bundle.cost
