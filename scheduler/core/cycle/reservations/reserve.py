"""Reserve: devices drain for a request that has been next for long, and that nothing has room for.

Devices, not nodes: others may use what else the node has. What ends on them isn't given to others.
The reservation ends in the round in which its pod starts, there or elsewhere; not because its
tenant has had its due meanwhile, as what has drained would be lost. Nobody is charged for what
drains: with long jobs that would ruin small tenants.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.cycle.reservations.draining import drains, least, moved
from scheduler.core.cycle.reservations.moves import bring_back, in_vain, keep_places
from scheduler.core.cycle.rounds import Round
from scheduler.core.model.ids import NodeName, PodUID
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
    known = work.this.snapshot.memory
    if not known.reservations and not known.moves:
        return
    keep_places(work)
    claims = list(_claims(work))
    work.this.reservations.update({claim.pod.uid: claim.reservation for claim in claims})
    there = _running(work, {claim.reservation.node for claim in claims})
    # All of them before anyone starts: else one would start on what another one waits for.
    for claim in claims:
        kept = work.this.reservations.pop(claim.pod.uid)
        _keep_off(work, claim.row, moved(work, claim.pod, kept, there[kept.node]))
    bring_back(work)
    by_pod = {claim.pod.uid: claim for claim in claims}
    for first in _first_ones(work.this, by_pod):
        members = work.this.gangs.members(first)
        theirs = [by_pod[pod.uid] for pod in members if pod.uid in by_pod]
        if work.over_caps(first, work.this.counts(first)) is not None:
            for claim in theirs:
                work.free(claim.pod.uid)
        else:
            _start(work, first, theirs)


def note_waits(work: Allocation) -> None:
    """Note who is next of each tenant, and since when it waits in vain."""
    this = work.this
    before = this.snapshot.memory.blocked
    for pods in (*work.tried.values(), *work.limited.values()):
        # They stand in the order of their turns.
        this.blocked.setdefault(pods[0].uid, before.get(pods[0].uid, this.now))
    # Whose turn goes on in the next round keeps its patience, too.
    still = (pod for leaf in this.left for pod in this.queues[leaf] if pod.uid in before)
    this.blocked.update((pod.uid, before[pod.uid]) for pod in still)
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
    for first in _heads(work, this.profile.reserve_after):
        if work.is_behind_others(first.tenant):
            continue
        members = this.gangs.members(first)
        if _is_too_much(work, members):
            # Whoever has waited for less would keep it from ever being its turn.
            break
        _reserve_for_all(work, members)


def _reserve_for_all(work: Allocation, members: Sequence[Pod]) -> None:
    """Choose devices for each, or for none: parts of two gangs would keep each other waiting.

    Those that have to be near each other get them in one domain.
    """
    this, columns = work.this, work.trial.columns
    kept = [this.reservations[pod.uid] for pod in members if pod.uid in this.reservations]
    lacking, gang = [pod for pod in members if pod.uid not in this.reservations], members[0].gang
    domains = this.places.possible(lacking, columns)
    if kept and gang is not None and gang.level:
        there = this.places.domain_of(kept[0].node, gang.level, columns)
        domains = iter((there,) if there else ())
    for domain in domains:
        with this.kinds.within(lacking, domain):
            if _reserve_all(work, lacking):
                return


def _reserve_all(work: Allocation, members: Sequence[Pod]) -> bool:
    chosen = dict[PodUID, Reservation]()
    for pod in members:
        found = least(work, pod, beside_others=len(members) > 1)
        if found is None:
            for uid in chosen:
                del work.this.reservations[uid]
            return False
        chosen[pod.uid] = work.this.reservations[pod.uid] = found
    return True


def _claims(work: Allocation) -> Iterator[_Claim]:
    """Yield the reservations that are of use still."""
    this, waiting = work.this, {pod.uid: pod for pod, _ in work.this.in_line()}
    vain = in_vain(work)
    for each in this.snapshot.memory.reservations:
        pod, row = waiting.get(each.uid), work.trial.columns.row.get(each.node)
        if pod is None or row is None or each.uid in vain:
            continue
        if this.is_spent(pod.tenant) and work.is_behind_others(pod.tenant):
            # It was due them before its budget was used up.
            continue
        if _may(work, pod, row, each.devices):
            yield _Claim(pod, each, row)


def _first_ones(this: Round, claims: Collection[PodUID]) -> list[Pod]:
    """Those who stand in line for pods with a claim, in the order of the claims.

    Whoever was moved, and is back, has started by now.
    """
    first = {pod.uid: first for pod, first in this.in_line()}
    return list({first[uid].uid: first[uid] for uid in claims if uid in first}.values())


def _running(work: Allocation, nodes: Collection[NodeName]) -> dict[NodeName, list[Running]]:
    """Who runs on each of the nodes."""
    found: dict[NodeName, list[Running]] = {node: [] for node in nodes}
    for each in work.this.snapshot.running:
        if each.placement.node in found and (known := work.located(each)) is not None:
            found[each.placement.node].append(known)
    return found


def _may(work: Allocation, pod: Pod, row: int, devices: tuple[int, ...]) -> bool:
    """Whether the devices could be the pod's still."""
    among = work.this.allowed(pod)
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


def _start(work: Allocation, first: Pod, claims: Sequence[_Claim]) -> None:
    """Start those that start together, where their devices are or wherever there is room.

    Or go on waiting, or give the devices up.
    """
    this, members = work.this, work.this.gangs.members(first)
    rows = {claim.pod.uid: claim.row for claim in claims}
    with work.without(*rows):
        places = work.places_for(members, rows)
        more = any(drains(work, this.reservations[uid]) for uid in rows)
    if places is not None:
        this.queues[first.tenant].remove(first)
        for pod, place in zip(members, places, strict=True):
            work.admit(pod, place)
        this.line_up_behind(first)
        return
    for claim in claims:
        if not more or this.now - claim.reservation.since >= MOST_SECONDS:
            work.free(claim.pod.uid)
            before = this.snapshot.memory.given_up.get(claim.pod.uid, frozenset())
            this.given_up[claim.pod.uid] = before | {claim.reservation.node}


def _heads(work: Allocation, seconds: float) -> Iterator[Pod]:
    """Yield those who have been next, in vain, for so long; who has waited longest comes first."""
    this = work.this
    heads = [pods[0] for pods in work.tried.values()]
    for pod in sorted(heads, key=lambda pod: (this.blocked[pod.uid], pod.turn)):
        lacks = any(each.uid not in this.reservations for each in this.gangs.members(pod))
        if this.now - this.blocked[pod.uid] >= seconds and lacks:
            yield pod


def _is_too_much(work: Allocation, members: Sequence[Pod]) -> bool:
    theirs = {pod.uid for pod in members}
    others = [each for uid, each in work.this.reservations.items() if uid not in theirs]
    devices = sum(len(each.devices) for each in others) + sum(p.request.devices for p in members)
    total = int((~work.trial.columns.shut).sum())
    return bool(others) and devices * MOST_PART > total
