"""Which devices drain for a request: those of one node with the least to end on them.

Of eight busy devices the first four that end are four in a fraction of the time that four chosen
ones take, so a reservation moves: to devices of its node with less left to end, in every round.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.ledger.columns import Ints
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Reservation, Running
from scheduler.core.packing.fit import candidates

_NEVER = 2**40


def least(work: Allocation, pod: Pod) -> Reservation | None:
    """Return the devices of one node with the least to drain; None if there are too few."""
    this, columns, devices = work.this, work.trial.columns, pod.request.devices
    among = this.snapshot.eligibility.now(pod.constraints)
    rows = np.arange(len(columns.names)) if among is None else among
    drain = _drain(work, rows, pod)
    if not len(rows) or drain.shape[1] < devices:
        return None
    order = np.argsort(drain, axis=1, kind="stable")[:, :devices]
    cost = np.take_along_axis(drain, order, axis=1).sum(axis=1)
    # Where nothing has to end it isn't for want of devices that the pod found no room.
    cost = np.where(cost > 0, cost, _NEVER)
    best = int(cost.argmin())
    if cost[best] >= _NEVER:
        # Where all nodes were given up once, they are tried again.
        this.given_up.pop(pod.uid, None)
        return None
    node = columns.names[int(rows[best])]
    return Reservation(pod.uid, node, _sorted(order[best].tolist()), this.now)


def moved(
    work: Allocation, pod: Pod, reservation: Reservation, there: Sequence[Running]
) -> Reservation:
    """Return the reservation with those devices of its node that have the least to drain by now.

    `there` runs on the node. The reservation isn't among those of the round meanwhile; others'
    devices stay theirs.
    """
    columns, held = work.trial.columns, set(reservation.devices)
    row = columns.row[reservation.node]
    if columns.room[row].max() <= 0:
        return reservation
    drain = _drain(work, np.array([row]), pod)[0].tolist()
    # What was asked to go is as good as gone, and it may have been asked for this pod.
    going = Counter[int]()
    for each in there:
        if each.ending:
            going.update({slot.index: slot.milli for slot in each.placement.slots})
    order = sorted(
        (max(amount - going[index], min(amount, 1)), index not in held, index)
        for index, amount in enumerate(drain)
        if amount < _NEVER
    )
    if _has_ends(work, reservation, there):
        # Somebody may use them until then, who must not delay it: only what is free is better.
        order = [each for each in order if each[0] == 0 or each[2] in held]
    if len(order) < len(held):
        return reservation
    return replace(reservation, devices=_sorted(index for _, _, index in order[: len(held)]))


def drains(work: Allocation, reservation: Reservation) -> bool:
    """Whether anything is left to end there; else it is CPU, memory or pods that the node lacks."""
    columns, devices = work.trial.columns, list(reservation.devices)
    row = columns.row[reservation.node]
    return bool((columns.free[row, devices] < columns.cap[row, devices]).any())


def _drain(work: Allocation, rows: Ints, pod: Pod) -> Ints:
    """Milli-GPU that have to end on each device [K, D] before the pod has its share there."""
    this, columns = work.this, work.trial.columns
    seen = candidates(this.capacity.empty, rows, pod.request)
    need = np.broadcast_to(seen.milli, seen.devices.shape)
    drain = np.where(seen.devices, np.maximum(need - np.maximum(columns.room[rows], 0), 0), _NEVER)
    # Nor a node that couldn't hold the pod if it were empty.
    drain = np.where(columns.shut[rows] | ~seen.nodes[:, None], _NEVER, drain)
    for name in this.given_up.get(pod.uid, ()):
        drain[rows == columns.row.get(name, -1)] = _NEVER
    for each in this.reservations.values():
        at = np.flatnonzero(rows == columns.row[each.node])
        drain[at[:, None], np.array(each.devices, dtype=np.int64)] = _NEVER
    return drain


def _has_ends(work: Allocation, reservation: Reservation, there: Sequence[Running]) -> bool:
    """Whether the end of anything that runs on the devices is known."""
    return any(
        work.this.max_runtime(each.pod) is not None
        and any(slot.index in reservation.devices for slot in each.placement.slots)
        for each in there
    )


def _sorted(devices: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(int(index) for index in devices))
