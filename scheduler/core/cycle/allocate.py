"""Allocate: turn by turn, give the next pod of the tenant whose turn it is the best place."""

from collections.abc import Sequence

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.cycle.explain import Explainer
from scheduler.core.cycle.kinds import Kind
from scheduler.core.cycle.reservations.backfill import lend
from scheduler.core.cycle.reservations.reserve import honour, note_waits, reserve
from scheduler.core.cycle.rounds import Round
from scheduler.core.model.ids import TenantName
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Hold
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason, Verdict

IN_LINE = Verdict(Reason.IN_LINE)


def allocate(this: Round) -> None:
    """Admit pods in the order of turns until nothing more fits; hold the rest with a reason.

    Or until as many are on their way as may be: the turns go on in the next round.
    """
    work = this.work = Allocation.begin(this)
    honour(work)
    turns = work.turns
    for name, pods in this.queues.items():
        if pods:
            turns.offer(name, this.counts(pods[0]))
    backlog, leaving = this.profile.backlog, this.snapshot.leaving
    while (leaf := turns.next()) is not None:
        if backlog is not None and leaving + len(this.admits) >= backlog:
            this.left = turns.offered
            break
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
    if this.is_spent(leaf):
        # It is owed nothing whatever it does, and what others leave is left to all of its pods.
        return False
    since = this.snapshot.memory.blocked.get(work.tried[leaf][0].uid)
    if patience is None or since is None or this.now - since < patience:
        return False
    return work.is_behind_others(leaf)


def _give_turn(work: Allocation, leaf: TenantName) -> None:
    """Try the leaf's next pod. One that can't go now can't go later in this round either."""
    this, pod = work.this, work.this.queues[leaf].popleft()
    kind = this.kind(pod)
    # By memory a pod counts by the card that it lands on, which is known only once it has one.
    known = not kind.by_memory and not work.trial.columns.mig_models
    capped = work.capped.get((leaf, pod.preemptible, kind))
    if known and capped is None:
        capped = _check_caps(work, pod, kind, kind.milli or 0)
    places = None if capped is not None else _place(work, pod, kind)
    if places is not None and not known:
        capped = _check_caps(work, pod, kind, sum(place.milli for place in places))
    if capped is not None:
        this.holds.extend(Hold(each, capped) for each in this.gangs.all(pod))
        work.limited.setdefault(leaf, []).append(pod)
    elif places is None:
        work.tried.setdefault(leaf, []).append(pod)
    else:
        for each, place in zip(this.gangs.members(pod), places, strict=True):
            work.admit(each, place)
        this.line_up_behind(pod)


def _pass_over(work: Allocation, leaf: TenantName) -> None:
    """Try who is next as long as it fits nowhere: it takes nothing, so it needs no turn of its own.

    As nothing is taken meanwhile, caps are looked at once for all alike.
    """
    this, below_caps = work.this, set[tuple[bool, Kind]]()
    queue = this.queues[leaf]
    while queue and (kind := this.kind(pod := queue[0])) in work.full:
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


def _place(work: Allocation, pod: Pod, kind: Kind) -> Sequence[Placement] | None:
    """Return places for the pod and all that start with it, in their order; None: there are none.

    Nothing is taken yet.
    """
    places = None
    if kind not in work.full:
        places = work.places_for(work.this.gangs.members(pod))
        if places is None:
            work.full.add(kind)
            work.misses[pod.tenant] += 1
    if places is None and not kind.parts:
        lent = lend(work, pod)
        return None if lent is None else (lent,)
    return places


def _hold_the_rest(work: Allocation) -> None:
    """Hold who was tried in vain, and who stands behind them in the same queue."""
    this = work.this
    kept = sum(each.milli for each in work.kept.values())
    explainer = Explainer(work.trial.columns, this.snapshot.eligibility, kept_milli=kept)
    for leaf in this.left:
        for pod in this.queues[leaf]:
            _hold(this, pod, IN_LINE)
    left = {
        leaf: pods
        for leaf, queue in this.queues.items()
        if (pods := [*work.tried.get(leaf, ()), *(() if leaf in this.left else queue)])
    }
    for leaf, pods in left.items():
        # By what is due, not by who took the last room: that would change with every pod that ends.
        due, holds = this.shares[leaf], work.turns.held[leaf]
        has_due = this.capacity.gpus and (work.turns.owed_seconds(leaf) or 0.0) <= 0
        if has_due and (len(left) > 1 or not due):
            verdict = explainer.waits_for_turn(leaf, due=due, holds=holds)
            if this.is_spent(leaf):
                verdict = explainer.over_budget(leaf)
            _hold(this, pods[0], verdict)
            if work.tried.get(leaf) and _saves_up(work, leaf):
                verdict = explainer.saves_up(leaf, first=pods[0])
            for pod in pods[1:]:
                _hold(this, pod, verdict)
        else:
            for pod in pods:
                _hold(this, pod, _no_room(this, pod, explainer))


def _hold(this: Round, pod: Pod, verdict: Verdict) -> None:
    """Hold a pod, and those of its gang."""
    this.holds.extend(Hold(each, verdict) for each in this.gangs.all(pod))


def _no_room(this: Round, pod: Pod, explainer: Explainer) -> Verdict:
    members = this.gangs.members(pod)
    kept = [this.reservations[each.uid] for each in members if each.uid in this.reservations]
    level = pod.gang.level if pod.gang and not kept else ""
    if level and (node := this.gangs.beside(level, this.gangs.near(pod))) is not None:
        return explainer.no_room_beside(members, level, node)
    if level and len(members) > 1:
        domain, free = this.places.roomiest(level, explainer.after)
        return explainer.no_room_near(members, level, domain, free)
    if len(members) > 1:
        return explainer.no_room_for_all(members, kept)
    if kept:
        return explainer.drains(pod.request, kept[0])
    return explainer.no_room(pod.request, pod.constraints)
