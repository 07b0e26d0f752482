"""Consolidate: move running pods together, so that a request fits that waits beside enough room.

Whoever is moved is stopped and made again by its owner; it finds its new place kept for it. So
nobody is moved for whom there is none, nor whom nothing would make again. A tenant's own pods may
be moved for whatever it may start, those of others only for what it is due.

That is for the first of a tenant once its patience is over; where an admin has ordered it for a
tenant, at once and for all of it that wait.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.cycle.caps import over_caps
from scheduler.core.cycle.kinds import Kind
from scheduler.core.cycle.rounds import Round
from scheduler.core.cycle.stops.bundles import Bundle, Bundles, Cost, may_stop, those_who_run
from scheduler.core.cycle.stops.orders import Orders
from scheduler.core.cycle.stops.ranking import Ranking
from scheduler.core.cycle.stops.victims import Offer, give, offers_of
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Evict
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Move, Reservation, Running
from scheduler.core.model.verdicts import Reason, Verdict

MOST_TRIED = 32
"""So many nodes at most are looked at for one request: on each, several ways are tried."""


@dataclass(frozen=True, slots=True)
class _Way:
    """Who would be moved and where to, so that the pod has its place."""

    offer: Offer
    moves: tuple[tuple[Running, Placement], ...]


def consolidate(this: Round) -> None:
    """Choose whom to move for those whose patience is over; who is owed most comes first."""
    work, orders = this.work, Orders.of(this)
    if work is None or not this.snapshot.running:
        return
    takers = _takers(work, orders)
    if not takers:
        return
    search, left = _Search.of(work), this.profile.most_moves
    a_pod = left if this.profile.most_moves_a_pod is None else this.profile.most_moves_a_pod
    vain = defaultdict[TenantName, set[Kind]](set)
    for pod in takers:
        kind, known = this.kind(pod), vain[pod.tenant]
        # A gang is not made room for like that: it takes many moves at once.
        if kind in known or kind.parts or left <= 0 or len(known) > this.profile.lookahead:
            continue
        order = orders.order_for(pod.tenant)
        if order is None and not _is_late(this, pod):
            # Others have used up the order meanwhile.
            continue
        way = search.best(pod, min(left, a_pod, math.inf if order is None else orders.left(order)))
        if way is None:
            known.add(kind)
            continue
        left -= len(way.moves)
        search.take(pod, way)
        if order is not None:
            orders.count(order, len(way.moves))


def _takers(work: Allocation, orders: Orders) -> list[Pod]:
    """For whom to look, who is owed most first; of a tenant in the order of their turns."""
    this, found = work.this, list[Pod]()
    served = _served(work) if orders.alive else frozenset()
    for leaf, pods in work.tried.items():
        if this.is_spent(leaf):
            # Nobody is moved for one who is over budget.
            continue
        if orders.order_for(leaf) is not None:
            found += (pod for pod in pods if pod.uid not in served)
        elif _is_late(this, pods[0]):
            found.append(pods[0])
    return sorted(found, key=lambda pod: (-(work.turns.owed_seconds(pod.tenant) or 0.0), pod.turn))


def _served(work: Allocation) -> frozenset[PodUID]:
    """For whom somebody goes already, moved or stopped."""
    this = work.this
    going = {
        (each.placement.node, slot.index)
        for each in those_who_run(work)
        if each.ending
        for slot in each.placement.slots
    }
    cleared = {
        uid
        for uid, each in this.reservations.items()
        if any((each.node, device) in going for device in each.devices)
    }
    return frozenset(cleared | {move.taker for move in this.moves})


def _is_late(this: Round, pod: Pod) -> bool:
    after = this.profile.consolidate_after
    if after is None or pod.uid in this.reservations:
        return False
    return this.now - this.blocked.get(pod.uid, this.now) >= after


@dataclass(slots=True)
class _Search:
    """Looks for ways. `bundles` are those who may be moved.

    `held` and `fixed` (milli-GPU of every tenant, at every level at which limits hold) count those,
    too, for whom a way was found.
    """

    work: Allocation
    bundles: Bundles
    held: dict[TenantName, int]
    fixed: dict[TenantName, int]
    rankings: dict[Kind, Ranking] = field(default_factory=dict)

    @classmethod
    def of(cls, work: Allocation) -> "_Search":
        this = work.this
        # Whose time is over goes in this round.
        stopped = {each.pod.uid for each in this.evicts}
        running = [
            each for each in those_who_run(work) if not (each.ending or each.pod.uid in stopped)
        ]
        bundles = Bundles(this.now, running, this.gangs.present, partial(may_move, this))
        return cls(work, bundles, dict(work.held), dict(work.fixed))

    def best(self, pod: Pod, most: float) -> _Way | None:
        """Return the way that loses the fewest GPU-seconds, with so many moves at most."""
        this, columns = self.work.this, self.work.trial.columns
        counts = this.counts(pod)
        caps = over_caps(this.caps, pod, counts, held=self.held, fixed=self.fixed)
        if caps is not None:
            return None
        # It may have devices that drain for it.
        with self.work.without(pod.uid):
            if columns.room.clip(min=0).sum() < counts:
                return None
            is_due = self.held[pod.tenant] + counts <= this.shares[pod.tenant] * MILLI
            return self._best(pod, most, is_due=is_due)

    def _best(self, pod: Pod, most: float, *, is_due: bool) -> _Way | None:
        columns = self.work.trial.columns
        among = self.work.this.allowed(pod)
        allowed = None if among is None else set(among.tolist())
        found, tried = None, 0
        for at_least, node in self._ranking(pod):
            is_over = found is not None and Ranking.is_over(at_least, found.offer.cost)
            if tried == MOST_TRIED or is_over:
                break
            row = columns.row[node]
            if allowed is None or row in allowed:
                givers = self._givers(pod, node, is_due=is_due)
                tried += bool(givers)
                ways = self._ways(pod, row, givers, most)
                found = min((w for w in (found, *ways) if w), key=_cost, default=None)
        return found

    def _ranking(self, pod: Pod) -> Ranking:
        kind = self.work.this.kinds.of(pod)
        if pod.uid in self.work.kept:
            # What is kept for it counts as free, for it alone.
            return Ranking(self.work, self.bundles, kind)
        if kind not in self.rankings:
            self.rankings[kind] = Ranking(self.work, self.bundles, kind)
        return self.rankings[kind]

    def _givers(self, pod: Pod, node: NodeName, *, is_due: bool) -> list[Bundle]:
        """Who may be moved there for the pod."""
        mine = (each.pods[0].pod.tenant == pod.tenant for each in self.bundles.on[node])
        there = zip(self.bundles.on[node], mine, strict=True)
        return [bundle for bundle, own in there if is_due or own]

    def _ways(self, pod: Pod, row: int, bundles: Sequence[Bundle], most: float) -> Iterator[_Way]:
        for offer in offers_of(self.work, pod, row, bundles):
            if len(offer.victims) <= most:
                moves = self._elsewhere(pod, offer)
                if moves is not None:
                    yield _Way(offer, moves)

    def _elsewhere(self, pod: Pod, offer: Offer) -> tuple[tuple[Running, Placement], ...] | None:
        """Return where all of them go once the pod has its place; None if one goes nowhere."""
        work, moves = self.work, list[tuple[Running, Placement]]()
        with work.trial.attempt():
            give(work, offer.victims)
            work.trial.take(offer.place, pod.request)
            for each in sorted(offer.victims, key=_size, reverse=True):
                (place,) = work.places_for((each.pod,)) or (None,)
                if place is None:
                    return None
                work.trial.take(place, each.pod.request)
                moves.append((each, place))
        return tuple(moves)

    def take(self, pod: Pod, way: _Way) -> None:
        """Have them moved; for whoever comes next it is as if all that had happened."""
        work, offer, now = self.work, way.offer, self.work.this.now
        work.free(pod.uid)
        give(work, offer.victims)
        work.trial.take(offer.place, pod.request)
        for each, place in way.moves:
            verdict = Verdict(Reason.MOVED, f"to {place.node}, for {pod.key}")
            work.this.evicts.append(Evict(each.pod, pod, verdict))
            work.trial.take(place, each.pod.request)
            work.this.moves.append(Move(each.pod, place, now, pod.uid))
        devices = tuple(slot.index for slot in offer.place.slots)
        work.this.reservations[pod.uid] = Reservation(pod.uid, offer.place.node, devices, now)
        nodes = {offer.place.node, *(place.node for _, place in way.moves)}
        nodes |= self.bundles.drop(offer.victims)
        for ranking in self.rankings.values():
            ranking.update(self.bundles, nodes)
        caps = work.this.caps
        caps.charge(self.held, pod.tenant, offer.place.milli)
        if not pod.preemptible:
            caps.charge(self.fixed, pod.tenant, offer.place.milli)


def _cost(way: _Way) -> Cost:
    return way.offer.cost


def may_move(this: Round, each: Running) -> bool:
    """Whether a running pod may be moved, were there a place for it."""
    if each.pod.gang is not None and each.pod.gang.level:
        # A place for each would have to be near those of the others.
        return False
    return bool(each.pod.owner) and each.pod.pinnable and may_stop(this, each)


def _size(each: Running) -> int:
    return each.placement.milli
