"""Backfill: jobs with an end may use reserved devices meanwhile, where they can't delay anybody.

A reservation's pod is sure to start once all that runs on its devices has reached its max runtime.
A job that has reached its own by then changes nothing about that.
"""

from collections import Counter

import numpy as np

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.model.placements import Placement
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Reservation


def lend(work: Allocation, pod: Pod) -> Placement | None:
    """Return a place for the pod on devices that are kept for somebody else, if it may have one.

    It is free then, and the rest stays kept.
    """
    most = work.this.max_runtime(pod)
    if most is None or pod.uid in work.kept:
        return None
    for uid in list(work.kept):
        if uid not in work.sure:
            work.sure[uid] = _sure_by(work, work.this.reservations[uid])
        # It isn't gone in the moment in which its time is over.
        if work.this.now + most + work.this.profile.ending_seconds <= work.sure[uid]:
            placement = _place(work, pod, work.this.reservations[uid])
            if placement is not None:
                return placement
    return None


def _place(work: Allocation, pod: Pod, reservation: Reservation) -> Placement | None:
    row = work.trial.columns.row[reservation.node]
    among = work.this.allowed(pod)
    if among is not None and not (among == row).any():
        return None
    with work.without(reservation.uid):
        placement = work.packer.place(pod.request, among=np.array([row]))
    if placement is not None:
        work.keep_less(reservation.uid, placement)
    return placement


def _sure_by(work: Allocation, reservation: Reservation) -> float:
    """When all that is on the devices has ended for sure; 0.0 if something has no end."""
    this, ends = work.this, [0.0]
    known: Counter[int] = Counter()
    for each in filter(None, map(work.located, this.snapshot.running)):
        slots = [slot for slot in each.placement.slots if slot.index in reservation.devices]
        if each.placement.node == reservation.node and slots:
            most = this.max_runtime(each.pod)
            if most is None or each.ending:
                return 0.0
            ends.append(each.since + most)
            known.update({slot.index: slot.milli for slot in slots})
    return max(ends) if _are_all(work, reservation, known) else 0.0


def _are_all(work: Allocation, reservation: Reservation, known: Counter[int]) -> bool:
    """Whether nothing else is on the devices: pods on their way, say, of which no end is known."""
    columns, kept = work.trial.columns, work.kept[reservation.uid]
    row, free = columns.row[reservation.node], {slot.index: slot.milli for slot in kept.slots}
    return all(
        known[index] + free.get(index, 0) + int(columns.free[row, index]) == columns.cap[row, index]
        for index in reservation.devices
    )
