"""Allocate: turn by turn, give the next pod of the tenant whose turn it is the best place."""

from collections.abc import Mapping
from zlib import crc32

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.cycle.explain import Explainer
from scheduler.core.cycle.kinds import Kind
from scheduler.core.cycle.reservations.backfill import lend
from scheduler.core.cycle.reservations.reserve import honour, note_waits, reserve
from scheduler.core.cycle.rounds import Round
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Hold
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Reservation
from scheduler.core.model.verdicts import Verdict


def allocate(this: Round) -> None:
    """Admit pods in the order of turns until nothing more fits; hold the rest with a reason."""
    work = this.work = Allocation.begin(this)
    honour(work)
    turns = work.turns
    for name, pods in this.queues.items():
        if pods:
            turns.offer(name, this.counts(pods[0]))
    while (leaf := turns.next()) is not None:
        if work.tried.get(leaf) and _saves_up(work, leaf):
            turns.withdraw(leaf)
            continue
        _give_turn(work, leaf)
        _pass_over(work, leaf)
        queue = this.queues[leaf]
        if queue and work.misses[leaf] < this.profile.lookahead:
            turns.offer(leaf, this.counts(queue[0]))
        else:
            # Set aside for this round; its lag stays as it is.
            turns.withdraw(leaf)
    work.add_others()
    note_waits(work)
    reserve(work)
    _hold_the_rest(work)


def _saves_up(work: Allocation, leaf: TenantName) -> bool:
    """Whether a tenant that is owed nothing lets nobody pass its first pod, as that waits for long.

    While others are owed, those that came after it would use up for ever what it needs to be owed.
    """
    this, patience = work.this, work.this.profile.reserve_after
    since = this.snapshot.memory.blocked.get(work.tried[leaf][0].uid)
    if patience is None or since is None or this.now - since < patience:
        return False
    return work.is_behind_others(leaf)


def _give_turn(work: Allocation, leaf: TenantName) -> None:
    """Try the leaf's next pod. One that can't go now can't go later in this round either."""
    this, pod = work.this, work.this.queues[leaf].popleft()
    kind = this.kinds.of(pod)
    # By memory a pod counts by the card that it lands on, which is known only once it has one.
    known = not pod.request.memory_mib and not work.trial.columns.mig_models
    capped = work.capped.get((leaf, pod.preemptible, kind))
    if known and capped is None:
        capped = _check_caps(work, pod, kind, kind.milli or 0)
    placement = None if capped is not None else _place(work, pod, kind)
    if placement is not None and not known:
        capped = _check_caps(work, pod, kind, placement.milli)
    if capped is not None:
        this.holds.append(Hold(pod, capped))
        work.limited.setdefault(leaf, []).append(pod)
    elif placement is None:
        work.tried.setdefault(leaf, []).append(pod)
    else:
        work.admit(pod, placement)


def _pass_over(work: Allocation, leaf: TenantName) -> None:
    """Try who is next as long as it fits nowhere: it takes nothing, so it needs no turn of its own.

    As nothing is taken meanwhile, caps are looked at once for all alike.
    """
    this, below_caps = work.this, set[tuple[bool, Kind]]()
    queue = this.queues[leaf]
    while queue and (kind := this.kinds.of(pod := queue[0])) in work.full:
        alike = pod.preemptible, kind
        may_borrow = work.kept and this.max_runtime(pod) is not None
        if alike in below_caps and not may_borrow:
            work.tried.setdefault(leaf, []).append(queue.popleft())
            continue
        _give_turn(work, leaf)
        if (leaf, *alike) not in work.capped:
            below_caps.add(alike)


def _check_caps(work: Allocation, pod: Pod, kind: Kind, milli: int) -> Verdict | None:
    """Return why a cap forbids the pod, or None.

    A refusal is remembered for all pods alike: what is held only grows in a round.
    """
    refused = work.over_caps(pod, milli)
    if refused is not None:
        work.capped[pod.tenant, pod.preemptible, kind] = refused
    return refused


def _place(work: Allocation, pod: Pod, kind: Kind) -> Placement | None:
    if kind in work.full:
        return lend(work, pod)
    among = work.this.snapshot.eligibility.now(pod.constraints)
    placement = work.packer.place(pod.request, among=among, seed=crc32(pod.uid.encode()))
    if placement is None:
        work.full.add(kind)
        work.misses[pod.tenant] += 1
        placement = lend(work, pod)
    return placement


def _hold_the_rest(work: Allocation) -> None:
    """Hold who was tried in vain, and who stands behind them in the same queue."""
    this = work.this
    kept = sum(each.milli for each in work.kept.values())
    explainer = Explainer(work.trial.columns, this.snapshot.eligibility, kept_milli=kept)
    left = {
        leaf: pods
        for leaf, queue in this.queues.items()
        if (pods := [*work.tried.get(leaf, ()), *queue])
    }
    for leaf, pods in left.items():
        # By what is due, not by who took the last room: that would change with every pod that ends.
        due, holds = this.shares[leaf], work.turns.held[leaf]
        has_due = this.capacity.gpus and (work.turns.owed_seconds(leaf) or 0.0) <= 0
        if has_due and (len(left) > 1 or not due):
            verdict = explainer.waits_for_turn(leaf, due=due, holds=holds)
            this.holds.append(Hold(pods[0], verdict))
            if work.tried.get(leaf) and _saves_up(work, leaf):
                verdict = explainer.saves_up(leaf, first=pods[0])
            this.holds.extend(Hold(pod, verdict) for pod in pods[1:])
        else:
            this.holds.extend(
                Hold(pod, _no_room(pod, explainer, this.reservations)) for pod in pods
            )


def _no_room(pod: Pod, explainer: Explainer, reserved: Mapping[PodUID, Reservation]) -> Verdict:
    reservation = reserved.get(pod.uid)
    if reservation is None:
        return explainer.no_room(pod.request, pod.constraints)
    return explainer.drains(pod.request, reservation)
