"""Reserve: devices drain for a request that has been next for long, and that nothing has room for.

Devices, not nodes: others may use what else the node has. What ends on them isn't given to others.
The reservation ends in the round in which its pod starts, there or elsewhere; not because its
tenant has had its due meanwhile, as what has drained would be lost. Nobody is charged for what
drains: with long jobs that would ruin small tenants.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.cycle.reservations.draining import drains, least, moved
from scheduler.core.model.ids import NodeName
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Reservation, Running

MOST_SECONDS = 3600.0
"""After so long without a start a node is given up for the next one: what runs may never end."""

MOST_PART = 6
"""Of all devices at most one in so many is reserved at once, unless it is for one request.

With half of them, a production trace with hours-long jobs idled 33 %, with a sixth 25 %, and
waits were shorter: what drains for many at once drains for none of them soon.
"""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A reservation that stands from the round before, and whom it is for."""

    pod: Pod
    reservation: Reservation
    row: int


def honour(work: Allocation) -> None:
    """Keep everybody off reserved devices, and start those who have their room by now."""
    if not work.this.snapshot.memory.reservations:
        return
    claims = list(_claims(work))
    work.this.reservations.update({claim.pod.uid: claim.reservation for claim in claims})
    there = _running(work, {claim.reservation.node for claim in claims})
    # All of them before anyone starts: else one would start on what another one waits for.
    for claim in claims:
        kept = work.this.reservations.pop(claim.pod.uid)
        _keep_off(work, claim.row, moved(work, claim.pod, kept, there[kept.node]))
    for claim in claims:
        if work.over_caps(claim.pod, work.this.counts(claim.pod)) is not None:
            work.free(claim.pod.uid)
        else:
            _start(work, claim)


def note_waits(work: Allocation) -> None:
    """Note who is next of each tenant, and since when it waits in vain."""
    this = work.this
    before = this.snapshot.memory.blocked
    for pods in (*work.tried.values(), *work.limited.values()):
        # They stand in the order of their turns.
        this.blocked.setdefault(pods[0].uid, before.get(pods[0].uid, this.now))
    # Who has a reservation keeps its place in line, though others of its tenant may come before it.
    for uid in this.reservations:
        this.blocked.setdefault(uid, before.get(uid, this.now))
    # An admission may fail still, and then its patience goes on.
    for admit in this.admits:
        if admit.pod.uid in before:
            this.blocked[admit.pod.uid] = before[admit.pod.uid]
    given_up = this.snapshot.memory.given_up
    this.given_up = {uid: given_up[uid] for uid in this.blocked if uid in given_up} | this.given_up


def reserve(work: Allocation) -> None:
    """Choose devices for those who have waited for long enough, and whose tenant is owed."""
    this = work.this
    if this.profile.reserve_after is None:
        return
    for pod in _heads(work, this.profile.reserve_after):
        if work.is_behind_others(pod.tenant):
            continue
        if _is_too_much(work, pod.request.devices):
            # Whoever has waited for less would keep it from ever being its turn.
            break
        found = least(work, pod)
        if found is not None:
            this.reservations[pod.uid] = found


def _claims(work: Allocation) -> Iterator[_Claim]:
    """Yield the reservations that are of use still."""
    this = work.this
    waiting = {pod.uid: pod for queue in this.queues.values() for pod in queue}
    for each in this.snapshot.memory.reservations:
        pod, row = waiting.get(each.uid), work.trial.columns.row.get(each.node)
        if pod is not None and row is not None and _may(work, pod, row, each.devices):
            yield _Claim(pod, each, row)


def _running(work: Allocation, nodes: Collection[NodeName]) -> dict[NodeName, list[Running]]:
    """Who runs on each of the nodes."""
    found: dict[NodeName, list[Running]] = {node: [] for node in nodes}
    for each in work.this.snapshot.running:
        if each.placement.node in found and (known := work.located(each)) is not None:
            found[each.placement.node].append(known)
    return found


def _may(work: Allocation, pod: Pod, row: int, devices: tuple[int, ...]) -> bool:
    """Whether the devices could be the pod's still."""
    among = work.this.snapshot.eligibility.now(pod.constraints)
    eligible = among is None or bool((among == row).any())
    return eligible and not work.trial.columns.shut[row, list(devices)].any()


def _keep_off(work: Allocation, row: int, reservation: Reservation) -> None:
    """Take what is free of the devices, so that nobody else gets it."""
    columns = work.trial.columns
    slots = tuple(
        Slot(
            index,
            columns.uuids[row][index],
            max(int(columns.room[row, index]), 0),
            max(int(columns.room_mib[row, index]), 0),
        )
        for index in reservation.devices
    )
    work.keep(reservation, Placement(columns.names[row], slots))


def _start(work: Allocation, claim: _Claim) -> None:
    """Start the pod where its devices are, or wherever there is room; or go on, or give up."""
    this, pod, since = work.this, claim.pod, claim.reservation.since
    with work.without(pod.uid):
        among = this.snapshot.eligibility.now(pod.constraints)
        placement = work.packer.place(pod.request, among=np.array([claim.row]))
        placement = placement or work.packer.place(pod.request, among=among)
        more = drains(work, this.reservations[pod.uid])
    if placement is not None:
        this.queues[pod.tenant].remove(pod)
        work.admit(pod, placement)
    elif not more or this.now - since >= MOST_SECONDS:
        work.free(pod.uid)
        before = this.snapshot.memory.given_up.get(pod.uid, frozenset())
        this.given_up[pod.uid] = before | {claim.reservation.node}


def _heads(work: Allocation, seconds: float) -> Iterator[Pod]:
    """Yield those who have been next, in vain, for so long; who has waited longest comes first."""
    this = work.this
    heads = [pods[0] for pods in work.tried.values()]
    for pod in sorted(heads, key=lambda pod: (this.blocked[pod.uid], pod.turn)):
        if this.now - this.blocked[pod.uid] >= seconds and pod.uid not in this.reservations:
            yield pod


def _is_too_much(work: Allocation, devices: int) -> bool:
    reservations = work.this.reservations.values()
    reserved = sum(len(each.devices) for each in reservations)
    total = int((~work.trial.columns.shut).sum())
    return bool(reservations) and (reserved + devices) * MOST_PART > total
