"""Reclaim: stop running pods for a request that has waited for a while, where that is fairer.

Who holds how much is judged as it would be afterwards, at every level of the tree:

- towards shares: the taker is below its fair share s, and Σ (a − s)² ÷ s over all tenants gets
  smaller, a being what each holds; so none is the reverse of the one before;
- by credit, for shares smaller than a job: the taker is owed what it would hold beyond its share,
  for as long as pods run undisturbed; from who is owed nothing and holds more than its share;
- inside a tenant: a pod of higher priority in the place of those of lower priority.

Never below a guarantee, unless the taker stays inside its own; never for more than limits allow.
On each node pods are tried alone, then together in a few orders. Of what is found the one with the
fewest GPU-seconds lost is taken, then that with the fewest pods, then with the youngest. The
devices are reserved for the request until those pods are gone.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.cycle.balance import Balance
from scheduler.core.cycle.reserve import forget
from scheduler.core.cycle.rounds import Round
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import NodeName
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Evict
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Reservation, Running
from scheduler.core.model.verdicts import Reason, Verdict

SINGLES = 64
"""So many pods of a node are tried alone before several of them together."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Who would be stopped for the request, and where it would then be."""

    cost: tuple[float, int, float, str]
    victims: tuple[Running, ...]
    place: Placement


def reclaim(this: Round) -> None:
    """Choose whom to stop, for one request of each tenant at most."""
    after, work = this.profile.reclaim_after, this.work
    if after is None or work is None or not this.snapshot.running:
        return
    running = _by_node(this)
    served = {each.uid for each in this.reservations if _is_cleared(this, each)}
    done = {pod.tenant for pod in _waiting(work, 0.0) if pod.uid in served}
    for pod in _waiting(work, after):
        if pod.tenant in done:
            continue
        offer = _best(work, pod, running)
        if offer is not None:
            done.add(pod.tenant)
            _take(work, pod, offer)
            node = offer.place.node
            running[node] = [each for each in running[node] if each not in offer.victims]


def _waiting(work: Allocation, seconds: float) -> list[Pod]:
    """Those who have been next, in vain, for so long; who is owed most comes first."""
    this = work.this
    pods = [
        pods[0]
        for pods in (*work.tried.values(), *work.limited.values())
        if this.now - this.blocked[pods[0].uid] >= seconds
    ]
    return sorted(pods, key=lambda pod: (-(work.turns.owed_seconds(pod.tenant) or 0.0), pod.turn))


def _is_cleared(this: Round, reservation: Reservation) -> bool:
    """Whether somebody on the reserved devices was asked to go already."""
    return any(
        each.ending
        and each.placement.node == reservation.node
        and any(slot.index in reservation.devices for slot in each.placement.slots)
        for each in this.snapshot.running
    )


def _by_node(this: Round) -> dict[NodeName, list[Running]]:
    """Pods that may be stopped."""
    found: dict[NodeName, list[Running]] = defaultdict(list)
    for each in this.snapshot.running:
        if (
            each.pod.preemptible
            and not each.ending
            and each.pod.tenant in this.tree
            and this.now - each.since >= this.profile.min_runtime
        ):
            found[each.placement.node].append(each)
            leaf, priority = each.pod.tenant, each.pod.priority
            this.lowest[leaf] = min(this.lowest.get(leaf, priority), priority)
    return found


def _best(work: Allocation, pod: Pod, running: Mapping[NodeName, list[Running]]) -> Offer | None:
    columns = work.trial.columns
    among = work.this.snapshot.eligibility.now(pod.constraints)
    allowed = None if among is None else set(among.tolist())
    balance = Balance(work, pod)
    if not balance.possible:
        return None
    best: Offer | None = None
    for node, pods in running.items():
        row = columns.row.get(node)
        if row is None or (allowed is not None and row not in allowed):
            continue
        givers = [each for each in pods if balance.may_give(each.pod)]
        offers = [_alone(work, pod, row, givers, balance)]
        if len(givers) > 1:
            offers += (o for o in _together(work, pod, row, givers) if balance.allows(o.victims))
        good = [each for each in (best, *offers) if each is not None]
        best = min(good, key=lambda each: each.cost, default=None)
    return best


def _alone(
    work: Allocation, pod: Pod, row: int, givers: Sequence[Running], balance: Balance
) -> Offer | None:
    """Stop the one whose end costs least, if one is enough."""
    for each in sorted(givers, key=lambda each: _waste(work.this.now, each))[:SINGLES]:
        # Whether it is fair costs less to find out than whether it is of use.
        if balance.allows([each]):
            offer = _offer(work, pod, row, [each])
            if offer is not None:
                return offer
    return None


def _together(work: Allocation, pod: Pod, row: int, givers: Sequence[Running]) -> Iterator[Offer]:
    """As many as it takes, in several orders."""
    now = work.this.now
    orders: tuple[Callable[[Running], object], ...] = (
        lambda each: (each.pod.tenant == pod.tenant and each.pod.priority, _waste(now, each)),
        lambda each: (-each.placement.milli, -each.since, each.pod.uid),
        lambda each: (-each.since, each.pod.uid),
    )
    for order in orders:
        offer = _offer(work, pod, row, sorted(givers, key=order))  # type: ignore[arg-type]
        if offer is not None:
            yield offer


def _offer(work: Allocation, pod: Pod, row: int, order: Sequence[Running]) -> Offer | None:
    """Stop one after another until the pod fits the node, then spare those who needn't go."""
    this, chosen = work.this, list[Running]()
    among = np.array([row])
    with work.trial.attempt():
        packer = work.packer
        for each in order:
            work.trial.give(each.placement, each.pod.request)
            chosen.append(each)
            if packer.place(pod.request, among=among) is not None:
                break
        else:
            return None
        # The dearest first: what was taken away after it may be enough.
        for each in sorted(chosen[:-1], key=lambda each: _waste(this.now, each), reverse=True):
            work.trial.take(each.placement, each.pod.request)
            if packer.place(pod.request, among=among) is None:
                work.trial.give(each.placement, each.pod.request)
            else:
                chosen.remove(each)
        place = packer.place(pod.request, among=among)
    assert place is not None
    lost = math.fsum(_waste(this.now, each)[0] for each in chosen)
    youngest = min(this.now - each.since for each in chosen)
    # Of equal ones the same in every run, whatever the order in which pods are known.
    first = min(each.pod.uid for each in chosen)
    return Offer((lost, len(chosen), youngest, first), tuple(chosen), place)


def _waste(now: float, each: Running) -> tuple[float, float, str]:
    """GPU-seconds that are lost with it; of equal ones the youngest first."""
    seconds = max(0.0, now - each.since)
    return each.placement.milli / MILLI * seconds, seconds, each.pod.uid


def _take(work: Allocation, pod: Pod, offer: Offer) -> None:
    this = work.this
    for each in offer.victims:
        own = each.pod.tenant == pod.tenant
        reason = Reason.PREEMPTED if own else Reason.RECLAIMED
        this.evicts.append(Evict(each.pod, pod, Verdict(reason, f"for {pod.key}")))
        work.turns.took(each.pod.tenant, -each.placement.milli)
        work.trial.give(each.placement, each.pod.request)
    work.turns.took(pod.tenant, offer.place.milli)
    if not pod.preemptible:
        this.tree.charge(work.fixed, pod.tenant, offer.place.milli)
    # For whoever comes next in this round it is as if all that had happened.
    work.trial.take(offer.place, pod.request)
    forget(this.reservations, pod.uid)
    devices = tuple(slot.index for slot in offer.place.slots)
    this.reservations.append(Reservation(pod.uid, offer.place.node, devices, this.now))
