"""Which devices drain for a request: those of one node with the least to end on them.

Of eight busy devices the first four that end are four in a fraction of the time that four chosen
ones take, so a reservation moves: to devices of its node with less left to end, in every round.
"""

from collections.abc import Collection

import numpy as np

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.ledger.columns import Ints
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Reservation
from scheduler.core.packing.fit import candidates

_NEVER = 2**40


def chosen(work: Allocation, pod: Pod) -> Reservation | None:
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
    return Reservation(
        pod.uid, columns.names[int(rows[best])], _sorted(order[best].tolist()), this.now
    )


def moved(work: Allocation, pod: Pod, reservation: Reservation) -> Reservation:
    """Return the reservation with those devices of its node that have the least to drain by now.

    It isn't among those of the round meanwhile; others' devices stay theirs.
    """
    row, held = work.trial.columns.row[reservation.node], set(reservation.devices)
    drain = _drain(work, np.array([row]), pod)[0].tolist()
    order = sorted(range(len(drain)), key=lambda index: (drain[index], index not in held, index))
    devices = set(order[: len(held)])
    if devices != held and _has_ends(work, reservation):
        # Somebody may use them until then, who must not delay it: only what is free is better.
        order = [index for index in order if index in held or drain[index] == 0]
        devices = set(order[: len(held)])
    if any(drain[index] >= _NEVER for index in devices):
        return reservation
    return Reservation(reservation.uid, reservation.node, _sorted(devices), reservation.since)


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


def _has_ends(work: Allocation, reservation: Reservation) -> bool:
    """Whether the end of anything that runs on the devices is known."""
    return any(
        each.placement.node == reservation.node
        and work.this.max_runtime(each.pod) is not None
        and any(slot.index in reservation.devices for slot in each.placement.slots)
        for each in filter(None, map(work.located, work.this.snapshot.running))
    )


def _sorted(devices: Collection[int]) -> tuple[int, ...]:
    return tuple(sorted(int(index) for index in devices))
