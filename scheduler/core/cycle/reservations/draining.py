"""Which devices drain for a request: those of one node with the least to end on them.

Of eight busy devices the first four that end are four in a fraction of the time that four chosen
ones take, so a reservation moves: to devices of its node with less left to end, in every round.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.ledger.block import Ints
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Reservation, Running
from scheduler.core.packing.fit import candidates, mib_needed

_NEVER = 2**40


def least(work: Allocation, pod: Pod, *, beside_others: bool = False) -> Reservation | None:
    """Return the devices of one node with the least to drain; None if there are too few.

    `beside_others`: it starts together with others, so that there may be room for it alone.
    """
    this, columns, devices = work.this, work.trial.columns, pod.request.devices
    among = this.allowed(pod)
    rows = np.arange(len(columns.names)) if among is None else among
    drain = _drain(work, rows, pod)
    if not len(rows) or drain.shape[1] < devices:
        return None
    if pod.request.linked:
        _drain_linked(work, rows, drain, devices)
    order = np.argsort(drain, axis=1, kind="stable")[:, :devices]
    cost = np.take_along_axis(drain, order, axis=1).sum(axis=1)
    if not beside_others:
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
    may = [index for index, amount in enumerate(drain) if amount < _NEVER]
    links = columns.links.get(row, b"")
    if pod.request.linked and links:
        # They stay in the group of those that it has.
        may = [index for index in may if links[index] == links[reservation.devices[0]]]
    if _has_ends(work, reservation, row, there):
        # Somebody may use them until then, who must not delay it: only what is free is better.
        ends = _ends(work, there)
        among = [index for index in may if drain[index] == 0 or index in held]
        keys = {index: (ends[index] if drain[index] else 0.0, index not in held) for index in among}
    else:
        going = _going(there)
        left = {index: max(drain[index] - going[index], min(drain[index], 1)) for index in may}
        keys = {index: (left[index], index not in held) for index in may}
    chosen = sorted(keys, key=lambda index: (keys[index], index))[: len(held)]
    if len(chosen) < len(held):
        return reservation
    if not any(drain[index] for index in chosen) and not _has_room(work, pod, row):
        # It is for something else that it waits, which may end where it is.
        return reservation
    return replace(reservation, devices=_sorted(chosen))


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
    # Memory counts as its part of the card. What strangers hold of it isn't known to end.
    mib, room, total = mib_needed(columns, rows, pod.request), columns.room_mib, columns.mib_cap
    lacks = np.maximum(mib - room[rows], 0) * MILLI // np.maximum(total[rows], 1)
    drain = np.where(room[rows] < mib, np.maximum(drain, lacks + 1), drain)
    strangers = columns.free_mib[rows] - room[rows]
    drain = np.where(total[rows] - strangers < mib, _NEVER, drain)
    # Nor a node that couldn't hold the pod if it were empty.
    drain = np.where(columns.shut[rows] | ~seen.nodes[:, None], _NEVER, drain)
    for name in this.given_up.get(pod.uid, ()):
        drain[rows == columns.row.get(name, -1)] = _NEVER
    place = {row: at for at, row in enumerate(rows.tolist())}
    for each in this.reservations.values():
        at = place.get(columns.row[each.node])
        if at is not None:
            drain[at, list(each.devices)] = _NEVER
    return drain


def _drain_linked(work: Allocation, rows: Ints, drain: Ints, count: int) -> None:
    """Leave on each row [K] the one group of linked devices with the least to drain, in place."""
    for at, row in enumerate(rows.tolist()):
        links = work.trial.columns.links.get(row)
        if links is not None:
            groups = {each: [i for i, link in enumerate(links) if link == each] for each in links}
            costs = {each: sum(sorted(drain[at, of])[:count]) for each, of in groups.items()}
            large = [each for each, of in groups.items() if len(of) >= count]
            best = min(large, key=costs.__getitem__, default=None)
            drain[at, [i for i, link in enumerate(links) if link != best]] = _NEVER


def _has_room(work: Allocation, pod: Pod, row: int) -> bool:
    return work.packer.place(pod.request, among=np.array([row])) is not None


def _going(there: Sequence[Running]) -> Counter[int]:
    """Milli-GPU on each device that were asked to go, for this very pod it may be."""
    going = Counter[int]()
    for each in there:
        if each.ending:
            going.update({slot.index: slot.milli for slot in each.placement.slots})
    return going


def _ends(work: Allocation, there: Sequence[Running]) -> defaultdict[int, float]:
    """When all that runs on each device has ended for sure (seconds); inf: that isn't known."""
    ends = defaultdict[int, float](lambda: math.inf)
    for each in there:
        most = work.this.max_runtime(each.pod)
        end = math.inf if most is None else each.since + most
        for slot in each.placement.slots:
            ends[slot.index] = max(end, ends.get(slot.index, 0.0))
    return ends


def _has_ends(
    work: Allocation, reservation: Reservation, row: int, there: Sequence[Running]
) -> bool:
    """Whether anything on the devices has a known end, or is on its way and may have one."""
    columns, running = work.trial.columns, Counter[int]()
    for each in there:
        slots = [slot for slot in each.placement.slots if slot.index in reservation.devices]
        if slots and work.this.max_runtime(each.pod) is not None:
            return True
        running.update({slot.index: slot.milli for slot in slots})
    return any(
        running[index] != columns.cap[row, index] - columns.free[row, index]
        for index in reservation.devices
    )


def _sorted(devices: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(int(index) for index in devices))
