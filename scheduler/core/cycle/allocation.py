"""What turns are taken on: a trial to place pods on, who holds how much, who found no place."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar
from zlib import crc32

import numpy as np

from scheduler.core.cycle.caps import over_caps
from scheduler.core.cycle.kinds import Kind
from scheduler.core.cycle.rounds import Round
from scheduler.core.fairness.lag import Lags
from scheduler.core.fairness.order import Turns
from scheduler.core.ledger.snapshot import Trial
from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Admit
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.running import Reservation, Running
from scheduler.core.model.verdicts import Verdict
from scheduler.core.packing.packer import Packer

ALTERNATIVES = 2
"""Nodes that a pod is pinned to beside the planned one, should that one fail meanwhile."""

NOTHING = Request()

NOWHERE: Mapping[PodUID, int] = MappingProxyType({})

Found = TypeVar("Found")


@dataclass(slots=True)
class Allocation:
    """Work in progress.

    `tried` are those without a place, by tenant, in the order of their turns, `limited` those that
    a cap forbids. Room only shrinks in a round, so for what was asked in vain it stays `full`.
    `misses` counts how often a place was looked for in vain. `fixed` is milli-GPU of
    non-preemptible pods by tenant. `kept` is what is free of the devices reserved for a pod: it is
    taken in the trial, so that nobody else gets it; `sure`: by when (seconds) it can start.
    `dues` are fair shares in milli-GPU, as far as somebody asked. `held` is milli-GPU by tenant, at
    every level at which limits hold.
    """

    this: Round
    trial: Trial
    packer: Packer
    turns: Turns
    fixed: dict[TenantName, int]
    held: dict[TenantName, int]
    full: set[Kind] = field(default_factory=set)
    capped: dict[tuple[TenantName, bool, Kind], Verdict] = field(default_factory=dict)
    tried: dict[TenantName, list[Pod]] = field(default_factory=dict)
    limited: dict[TenantName, list[Pod]] = field(default_factory=dict)
    misses: Counter[TenantName] = field(default_factory=Counter)
    kept: dict[PodUID, Placement] = field(default_factory=dict)
    sure: dict[PodUID, float] = field(default_factory=dict)
    dues: dict[TenantName, float] = field(default_factory=dict)

    @classmethod
    def begin(cls, this: Round) -> "Allocation":
        """Return the state before the first turn."""
        trial = this.snapshot.trial()
        held = {name: held.milli for name, held in this.snapshot.held.items()}
        fixed = {name: held.fixed_milli for name, held in this.snapshot.held.items()}
        turns = Turns(
            this.tree,
            shares=this.shares,
            lags=Lags(this.snapshot.lags, this.now),
            held=held,
            horizon=this.profile.horizon,
        )
        packer = Packer(trial.columns, this.profile.policy, mix=this.profile.mix)
        caps = this.caps
        return cls(this, trial, packer, turns, caps.roll_up(fixed, 0), caps.roll_up(held, 0))

    def took(self, pod: Pod, milli: int) -> None:
        """Charge it to a pod's tenant; less than 0 where it is given back.

        What can't be stopped is never given back.
        """
        self.turns.took(pod.tenant, milli)
        self.this.caps.charge(self.held, pod.tenant, milli)
        if not pod.preemptible and milli > 0:
            self.this.caps.charge(self.fixed, pod.tenant, milli)

    def over_caps(self, pod: Pod, milli: int) -> Verdict | None:
        """Return why a limit or guarantee forbids the pod, or None."""
        return over_caps(self.this.caps, pod, milli, held=self.held, fixed=self.fixed)

    def located(self, running: Running) -> Running | None:
        """Return a running pod with its slots where they are now; None if one isn't there."""
        columns, place = self.trial.columns, running.placement
        row = columns.row.get(place.node)
        slots = None if row is None else place.slots_at(columns.uuids[row])
        if slots is None or slots is place.slots:
            return None if slots is None else running
        return replace(running, placement=replace(place, slots=slots))

    def is_behind_others(self, leaf: TenantName) -> bool:
        """Whether it is owed nothing, while another one that waits is; or alone is over budget."""
        if (self.turns.owed_seconds(leaf) or 0.0) > 0:
            return False
        this = self.this
        waiting = {name for name, queue in this.queues.items() if queue} | self.tried.keys()
        if this.is_spent(leaf) and not all(map(this.is_spent, waiting)):
            return True
        return any((self.turns.owed_seconds(name) or 0.0) > 0 for name in waiting)

    def keep(self, reservation: Reservation, free: Placement) -> None:
        """Keep others off what is free of the reserved devices."""
        self.this.reservations[reservation.uid] = reservation
        self.trial.take(free, NOTHING)
        self.kept[reservation.uid] = free

    def free(self, uid: PodUID) -> None:
        """End a pod's reservation, if it has one."""
        self.this.reservations.pop(uid, None)
        kept = self.kept.pop(uid, None)
        if kept is not None:
            self.trial.give(kept, NOTHING)
            # There is room again that was looked for in vain before.
            self.full.clear()

    def keep_less(self, uid: PodUID, lent: Placement) -> None:
        """Keep for the pod what is left of its devices once that is taken."""
        kept = self.kept[uid]
        self.trial.give(kept, NOTHING)
        self.kept[uid] = less = _less(kept, lent)
        self.trial.take(less, NOTHING)

    @contextmanager
    def without(self, *uids: PodUID) -> Iterator[None]:
        """Try things as if the pods had no reservation; they are taken back at the end."""
        with self.trial.attempt():
            for uid in uids:
                if uid in self.kept:
                    self.trial.give(self.kept[uid], NOTHING)
            yield

    def places_for(
        self, members: Sequence[Pod], rows: Mapping[PodUID, int] = NOWHERE
    ) -> tuple[Placement, ...] | None:
        """Return the best places for all of them, in their order; None if one finds no room.

        `rows`: where some of them go if they can.
        """
        this, first = self.this, members[0]
        if first.gang is None:
            place = self._best(first, rows)
            return None if place is None else (place,)
        for domain in this.places.tries(members, self.trial.columns, this.gangs.near(first)):
            with this.kinds.within(members, domain):
                places = self._places_for_all(members, rows)
            if places is not None:
                return places
        return None

    def _places_for_all(
        self, members: Sequence[Pod], rows: Mapping[PodUID, int]
    ) -> tuple[Placement, ...] | None:
        found: dict[PodUID, Placement] = {}
        with self.trial.attempt():
            for pod in largest_first(members):
                place = self._best(pod, rows)
                if place is None:
                    return None
                self.trial.take(place, pod.request)
                found[pod.uid] = place
        places = [found[pod.uid] for pod in members]
        return tuple(places if rows else self.in_order(members, places, _itself))

    def in_order(
        self, members: Sequence[Pod], found: Sequence[Found], place_of: Callable[[Found], Placement]
    ) -> list[Found]:
        """Return what was found for pods, those that are alike in the order of nodes and devices.

        So ranks that follow each other are neighbours.
        """
        row = self.trial.columns.row
        by_kind = defaultdict[Kind, list[Found]](list)
        for pod, each in zip(members, found, strict=True):
            by_kind[self.this.kinds.of(pod)].append(each)
        for alike in by_kind.values():
            places = ((place_of(each), each) for each in alike)
            keyed = [((row[at.node], [s.index for s in at.slots]), each) for at, each in places]
            alike[:] = [each for _, each in sorted(keyed, key=lambda pair: pair[0], reverse=True)]
        return [by_kind[self.this.kinds.of(pod)].pop() for pod in members]

    def _best(self, pod: Pod, rows: Mapping[PodUID, int]) -> Placement | None:
        if pod.uid in rows and self._may_be_near(pod, rows[pod.uid]):
            place = self.packer.place(pod.request, among=np.array([rows[pod.uid]]))
            if place is not None:
                return place
        among = self.this.allowed(pod)
        return self.packer.place(pod.request, among=among, seed=crc32(pod.uid.encode()))

    def _may_be_near(self, pod: Pod, row: int) -> bool:
        """Whether the row is where the others of its gang have to be."""
        if pod.gang is None:
            return True
        among = self.this.allowed(pod)
        return among is None or bool((among == row).any())

    def admit(self, pod: Pod, placement: Placement) -> None:
        """Give the pod that place."""
        this = self.this
        self.free(pod.uid)
        self.trial.take(placement, pod.request)
        self.took(pod, placement.milli)
        this.admits.append(Admit(pod, placement))
        if pod.gang is not None:
            # Where else it may go, and those that join it.
            this.gangs.stay_near((pod, *this.gangs.behind.get(pod.uid, ())), (placement.node,))

    def add_others(self) -> None:
        """Say for each pod where else it may go: what has room still once all have their places."""
        this, best = self.this, dict[Kind, tuple[NodeName, ...]]()
        for at, admit in enumerate(this.admits):
            kind, node = this.kinds.of(admit.pod), admit.placement.node
            if kind not in best:
                among = this.snapshot.eligibility.now(kind.constraints)
                # One more: the node itself may be among them.
                best[kind] = self.packer.ranked(kind.request, ALTERNATIVES + 1, among=among)
            others = tuple(name for name in best[kind] if name != node)[:ALTERNATIVES]
            this.admits[at] = Admit(admit.pod, admit.placement, others)


def _itself(place: Placement) -> Placement:
    return place


def largest_first(pods: Iterable[Pod]) -> list[Pod]:
    """In the order in which those that start together are placed: small ones fit beside others."""
    return sorted(pods, key=_size, reverse=True)


def _size(pod: Pod) -> tuple[int, int, int]:
    request = pod.request
    return request.devices, request.milli, request.memory_mib


def _less(kept: Placement, taken: Placement) -> Placement:
    milli = {slot.index: slot.milli for slot in taken.slots}
    mib = {slot.index: slot.memory_mib for slot in taken.slots}
    slots = (
        replace(
            slot,
            milli=max(0, slot.milli - milli.get(slot.index, 0)),
            memory_mib=max(0, slot.memory_mib - mib.get(slot.index, 0)),
        )
        for slot in kept.slots
    )
    return Placement(kept.node, tuple(slots))
