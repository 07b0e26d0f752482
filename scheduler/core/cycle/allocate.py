"""Allocate: turn by turn, give the next pod of the tenant whose turn it is the best place."""

from collections import Counter
from dataclasses import dataclass, field
from zlib import crc32

from scheduler.core.cycle.caps import over_caps
from scheduler.core.cycle.explain import Explainer
from scheduler.core.cycle.rounds import Round
from scheduler.core.fairness.lag import Lags
from scheduler.core.fairness.order import Turns
from scheduler.core.ledger.snapshot import Trial
from scheduler.core.model.constraints import Constraints
from scheduler.core.model.ids import TenantName
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Admit, Hold
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.verdicts import Verdict
from scheduler.core.packing.packer import Packer

ALTERNATIVES = 2
"""Nodes that a pod is pinned to beside the planned one, should that one fail meanwhile."""


Asked = tuple[Request, Constraints]
"""What decides where a pod finds room: pods that agree in it are alike."""


@dataclass(slots=True)
class _Allocation:
    """Work in progress: a trial to place pods on, and who found no place, by tenant.

    Room only shrinks in a round, so for what was asked in vain it stays `full`. `misses` counts how
    often a place was looked for in vain.
    """

    this: Round
    trial: Trial
    packer: Packer
    turns: Turns
    fixed: dict[TenantName, int]
    full: set[Asked] = field(default_factory=set)
    capped: dict[tuple[TenantName, bool, Asked], Verdict] = field(default_factory=dict)
    tried: dict[TenantName, list[Pod]] = field(default_factory=dict)
    misses: Counter[TenantName] = field(default_factory=Counter)


def allocate(this: Round) -> None:
    """Admit pods in the order of turns until nothing more fits; hold the rest with a reason."""
    work = _begin(this)
    heads = {leaf: this.counts(queue[0]) for leaf, queue in this.queues.items()}
    while (leaf := work.turns.next(heads)) is not None:
        _give_turn(work, leaf)
        _pass_over(work, leaf)
        queue = this.queues[leaf]
        if queue and work.misses[leaf] < this.profile.lookahead:
            heads[leaf] = this.counts(queue[0])
        else:
            # Set aside for this round; its lag stays as it is.
            del heads[leaf]
    _hold_the_rest(work)


def _begin(this: Round) -> _Allocation:
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
    return _Allocation(this, trial, packer, turns, this.tree.roll_up(fixed, 0))


def _give_turn(work: _Allocation, leaf: TenantName) -> None:
    """Try the leaf's next pod. One that can't go now can't go later in this round either."""
    this, pod = work.this, work.this.queues[leaf].popleft()
    alike = (leaf, pod.preemptible, _asked(pod))
    # By memory a pod counts by the card that it lands on, which is known only once it has one.
    known = not pod.request.memory_mib and not work.trial.columns.mig_models
    if known and alike not in work.capped:
        _check_caps(work, pod, this.counts(pod))
    placement = None if alike in work.capped else _place(work, leaf, pod)
    if placement is not None and not known:
        _check_caps(work, pod, placement.milli)
    if alike in work.capped:
        this.holds.append(Hold(pod, work.capped[alike]))
        return
    if placement is None:
        work.tried.setdefault(leaf, []).append(pod)
        return
    among = this.snapshot.eligibility.now(pod.constraints)
    others = work.packer.others(pod.request, placement.node, ALTERNATIVES, among=among)
    work.trial.take(placement, pod.request)
    work.turns.took(leaf, placement.milli)
    if not pod.preemptible:
        this.tree.charge(work.fixed, leaf, placement.milli)
    this.admits.append(Admit(pod, placement, others))


def _pass_over(work: _Allocation, leaf: TenantName) -> None:
    """Try who is next as long as it fits nowhere: it takes nothing, so it needs no turn of its own.

    As nothing is taken meanwhile, caps are looked at once for all alike.
    """
    queue, below_caps = work.this.queues[leaf], set[tuple[bool, Asked]]()
    while queue and (asked := _asked(pod := queue[0])) in work.full:
        alike = pod.preemptible, asked
        if alike in below_caps:
            work.tried[leaf].append(queue.popleft())
            continue
        _give_turn(work, leaf)
        if (leaf, *alike) not in work.capped:
            below_caps.add(alike)


def _check_caps(work: _Allocation, pod: Pod, milli: int) -> None:
    """Remember a refusal for all pods alike: what is held only grows in a round."""
    refused = over_caps(work.this.tree, pod, milli, held=work.turns.held, fixed=work.fixed)
    if refused is not None:
        work.capped[pod.tenant, pod.preemptible, _asked(pod)] = refused


def _place(work: _Allocation, leaf: TenantName, pod: Pod) -> Placement | None:
    asked = _asked(pod)
    if asked in work.full:
        return None
    among = work.this.snapshot.eligibility.now(pod.constraints)
    placement = work.packer.place(pod.request, among=among, seed=crc32(pod.uid.encode()))
    if placement is None:
        work.full.add(asked)
        work.misses[leaf] += 1
    return placement


def _asked(pod: Pod) -> Asked:
    return pod.request, pod.constraints


def _hold_the_rest(work: _Allocation) -> None:
    """Hold who was tried in vain, and who stands behind them in the same queue."""
    this = work.this
    explainer = Explainer(work.trial.columns, this.snapshot.eligibility)
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
            this.holds.extend(Hold(pod, verdict) for pod in pods)
        else:
            this.holds.extend(Hold(pod, explainer.no_room(*_asked(pod))) for pod in pods)
