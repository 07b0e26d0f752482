"""Reserve: devices drain for a request that has been next for long, and that nothing has room for.

Devices, not nodes: others may use what else the node has. Those with the least to drain are chosen,
once; what ends on them isn't given to others. The reservation ends in the round in which its pod
starts. Nobody is charged for what drains: with long jobs that would ruin small tenants.
"""

from collections.abc import Iterator

import numpy as np

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.ledger.columns import Ints
from scheduler.core.model.ids import PodUID
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.running import Reservation
from scheduler.core.packing.fit import candidates

NOTHING = Request()
MOST_SECONDS = 3600.0
"""After so long without a start a reservation is given up: what runs there may never end."""

MOST_PART = 2
"""Of all devices at most one in so many is reserved at once, unless it is for one request."""


def honour(work: Allocation) -> None:
    """Start the pods whose devices are free now, and keep all others off those that aren't yet."""
    this = work.this
    if not this.snapshot.memory.reservations:
        return
    waiting = {pod.uid: pod for queue in this.queues.values() for pod in queue}
    for each in this.snapshot.memory.reservations:
        pod = waiting.get(each.uid)
        row = work.trial.columns.row.get(each.node)
        if pod is None or row is None or not _may(work, pod, row, each.devices):
            continue
        placement = work.packer.place(pod.request, among=np.array([row]))
        if work.over_caps(pod, this.counts(pod)) is not None:
            continue
        if placement is None:
            if _drains(work, row, each) and this.now - each.since < MOST_SECONDS:
                _keep_off(work, row, each.devices)
                this.reservations.append(each)
            else:
                # Its patience begins anew.
                this.blocked[each.uid] = this.now
        else:
            this.queues[pod.tenant].remove(pod)
            work.admit(pod, placement)


def note_waits(work: Allocation) -> None:
    """Note who is next of each tenant, and since when it waits in vain."""
    this = work.this
    before = this.snapshot.memory.blocked
    for pods in (*work.tried.values(), *work.limited.values()):
        # They stand in the order of their turns.
        this.blocked.setdefault(pods[0].uid, before.get(pods[0].uid, this.now))
    # Who has a reservation keeps its place in line, though others of its tenant may come before it.
    for each in this.reservations:
        this.blocked.setdefault(each.uid, before.get(each.uid, this.now))


def reserve(work: Allocation) -> None:
    """Choose devices for those who have waited for long enough, and whose tenant is owed."""
    this = work.this
    if this.profile.reserve_after is None:
        return
    for pod in _heads(work, this.profile.reserve_after):
        if (work.turns.owed_seconds(pod.tenant) or 0.0) > 0:
            found = _choose(work, pod)
            if found is not None:
                this.reservations.append(found)


def _heads(work: Allocation, seconds: float) -> Iterator[Pod]:
    """Yield those who have been next, in vain, for so long; who is owed most comes first."""
    this = work.this
    taken = {each.uid for each in this.reservations}
    leaves = sorted(work.tried, key=lambda leaf: (-(work.turns.owed_seconds(leaf) or 0.0), leaf))
    for leaf in leaves:
        pod = work.tried[leaf][0]
        if this.now - this.blocked[pod.uid] >= seconds and pod.uid not in taken:
            yield pod


def _may(work: Allocation, pod: Pod, row: int, devices: tuple[int, ...]) -> bool:
    """Whether the devices could be the pod's still."""
    among = work.this.snapshot.eligibility.now(pod.constraints)
    eligible = among is None or bool((among == row).any())
    return eligible and not work.trial.columns.shut[row, list(devices)].any()


def _drains(work: Allocation, row: int, reservation: Reservation) -> bool:
    """Whether anything is left to end there; else it is CPU, memory or pods that the node lacks."""
    columns, devices = work.trial.columns, list(reservation.devices)
    return bool((columns.free[row, devices] < columns.cap[row, devices]).any())


def _keep_off(work: Allocation, row: int, devices: tuple[int, ...]) -> None:
    """Take what is free of the devices, so that nobody else gets it."""
    columns = work.trial.columns
    slots = tuple(
        Slot(
            index,
            columns.uuids[row][index],
            max(int(columns.room[row, index]), 0),
            max(int(columns.room_mib[row, index]), 0),
        )
        for index in devices
    )
    work.trial.take(Placement(columns.names[row], slots), NOTHING)


def _choose(work: Allocation, pod: Pod) -> Reservation | None:
    """Return the devices of one node with the least to drain; None if there are too few."""
    this, columns, request = work.this, work.trial.columns, pod.request
    held = this.reservations
    reserved = sum(len(each.devices) for each in held)
    total = int((~columns.shut).sum())
    if held and (reserved + request.devices) * MOST_PART > total:
        return None
    among = this.snapshot.eligibility.now(pod.constraints)
    rows = np.arange(len(columns.names)) if among is None else among
    drain = _drain(work, rows, request, taken={_key(work, each) for each in held})
    if not len(rows) or drain.shape[1] < request.devices:
        return None
    order = np.argsort(drain, axis=1, kind="stable")[:, : request.devices]
    cost = np.take_along_axis(drain, order, axis=1).sum(axis=1)
    # Where nothing has to end it isn't for want of devices that the pod found no room.
    cost = np.where(cost > 0, cost, _NEVER)
    best = int(cost.argmin())
    if cost[best] >= _NEVER:
        return None
    devices = tuple(sorted(int(index) for index in order[best]))
    return Reservation(pod.uid, columns.names[int(rows[best])], devices, this.now)


_NEVER = 2**40


def _key(work: Allocation, each: Reservation) -> tuple[int, tuple[int, ...]]:
    return work.trial.columns.row[each.node], each.devices


def _drain(
    work: Allocation, rows: Ints, request: Request, *, taken: set[tuple[int, tuple[int, ...]]]
) -> Ints:
    """Milli-GPU that have to end on each device [K, D] before the request has its share there."""
    columns = work.trial.columns
    empty = work.this.capacity.empty
    seen = candidates(empty, rows, request)
    need = np.broadcast_to(seen.milli, seen.devices.shape)
    drain = np.where(seen.devices, np.maximum(need - np.maximum(columns.room[rows], 0), 0), _NEVER)
    # Nor a node that couldn't hold the pod if it were empty.
    drain = np.where(columns.shut[rows] | ~seen.nodes[:, None], _NEVER, drain)
    at = {int(row): place for place, row in enumerate(rows)}
    for row, devices in taken:
        if row in at:
            drain[at[row], list(devices)] = _NEVER
    return drain


def forget(reservations: list[Reservation], uid: PodUID) -> None:
    """Take a pod's reservation away."""
    reservations[:] = [each for each in reservations if each.uid != uid]
