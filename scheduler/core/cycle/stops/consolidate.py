"""Consolidate: move running pods together, so that a request fits that waits beside enough room.

Whoever is moved is stopped and made again by its owner; it finds its new place kept for it. So
nobody is moved for whom there is none, nor whom nothing would make again. A tenant's own pods may
be moved for whatever it may start, those of others only for what it is due.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.cycle.kinds import Kind
from scheduler.core.cycle.rounds import Round
from scheduler.core.cycle.stops.bundles import Bundle, Bundles, Cost, may_stop, those_who_run
from scheduler.core.cycle.stops.ranking import Ranking
from scheduler.core.cycle.stops.victims import Offer, give, offers_of
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import NodeName, TenantName
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
    after, work = this.profile.consolidate_after, this.work
    if after is None or work is None or this.left or not this.snapshot.running:
        return
    heads = [pods[0] for pods in work.tried.values() if _is_late(this, pods[0], after)]
    heads.sort(key=lambda pod: (-(work.turns.owed_seconds(pod.tenant) or 0.0), pod.turn))
    if not heads:
        return
    search, left = _Search.of(work), this.profile.most_moves
    vain = set[tuple[Kind, TenantName]]()
    for pod in heads:
        kind = this.kind(pod)
        # A gang is not made room for like that: it takes many moves at once.
        if (kind, pod.tenant) in vain or kind.parts or left <= 0:
            continue
        way = search.best(pod, left)
        if way is None:
            vain.add((kind, pod.tenant))
        else:
            left -= len(way.moves)
            search.take(pod, way)


def _is_late(this: Round, pod: Pod, seconds: float) -> bool:
    waits = this.now - this.blocked.get(pod.uid, this.now) >= seconds
    return waits and pod.uid not in this.reservations


@dataclass(slots=True)
class _Search:
    """Looks for ways. `bundles` are those who may be moved."""

    work: Allocation
    bundles: Bundles

    @classmethod
    def of(cls, work: Allocation) -> "_Search":
        this = work.this
        running = [each for each in those_who_run(work) if not each.ending]
        may_move = partial(_may_move, this)
        return cls(work, Bundles(this.now, running, this.gangs.present, may_move))

    def best(self, pod: Pod, most: int) -> _Way | None:
        """Return the way that loses the fewest GPU-seconds, with so many moves at most."""
        work, columns = self.work, self.work.trial.columns
        if work.over_caps(pod, work.this.counts(pod)) is not None:
            return None
        if columns.room.clip(min=0).sum() < work.this.counts(pod):
            return None
        among = work.this.snapshot.eligibility.now(pod.constraints)
        allowed = None if among is None else set(among.tolist())
        is_due = work.turns.held[pod.tenant] + work.this.counts(pod) <= (
            work.this.shares[pod.tenant] * MILLI
        )
        found, tried = None, 0
        for at_least, node in Ranking(work, self.bundles, work.this.kinds.of(pod)):
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

    def _givers(self, pod: Pod, node: NodeName, *, is_due: bool) -> list[Bundle]:
        """Who may be moved there for the pod."""
        mine = (each.pods[0].pod.tenant == pod.tenant for each in self.bundles.on[node])
        there = zip(self.bundles.on[node], mine, strict=True)
        return [bundle for bundle, own in there if is_due or own]

    def _ways(self, pod: Pod, row: int, bundles: Sequence[Bundle], most: int) -> Iterator[_Way]:
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
        give(work, offer.victims)
        work.trial.take(offer.place, pod.request)
        for each, place in way.moves:
            verdict = Verdict(Reason.MOVED, f"to {place.node}, for {pod.key}")
            work.this.evicts.append(Evict(each.pod, pod, verdict))
            work.trial.take(place, each.pod.request)
            work.this.moves.append(Move(each.pod, place, now, pod.uid))
        devices = tuple(slot.index for slot in offer.place.slots)
        work.this.reservations[pod.uid] = Reservation(pod.uid, offer.place.node, devices, now)
        self.bundles.drop(offer.victims)


def _cost(way: _Way) -> Cost:
    return way.offer.cost


def _may_move(this: Round, each: Running) -> bool:
    return bool(each.pod.owner) and each.pod.pinnable and may_stop(this, each)


def _size(each: Running) -> int:
    return each.placement.milli
