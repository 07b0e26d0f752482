"""Admit: which pods count as demand, and what everybody's fair share of the moment is."""

from collections import deque
from fractions import Fraction

from scheduler.core.cycle.gangs import line_up
from scheduler.core.cycle.rounds import Round
from scheduler.core.fairness.division import divide
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.plans import Hold
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason, Verdict


def admit(this: Round) -> None:
    """Put pods that may start into their tenants' queues, hold the others, divide the GPUs."""
    able = list[Pod]()
    for pod in sorted(this.pending, key=lambda pod: pod.turn):
        if (refusal := _refusal(this, pod)) is not None:
            this.hold(pod, refusal.reason, refusal.detail)
        else:
            able.append(pod)
    in_line, refused = line_up(this.gangs, able)
    this.holds.extend(Hold(pod, verdict) for pod, verdict in refused)
    for pod in in_line:
        this.queues.setdefault(pod.tenant, deque()).append(pod)
    held = {name: held.milli for name, held in this.snapshot.held.items()}
    asked = {name: sum(_asked(this, pod) for pod in queue) for name, queue in this.queues.items()}
    wanted = {
        name: Fraction(held.get(name, 0) + asked.get(name, 0), MILLI) for name in this.tree.leaves
    }
    this.demand = this.tree.roll_up(wanted, Fraction(0))
    this.shares = divide(this.tree, this.capacity.gpus, wanted)


def tenantless(tree: TenantTree, pod: Pod) -> Verdict | None:
    """Return why the pod's tenant can have no pods; None if it can."""
    if pod.tenant not in tree:
        sentence = f'there is no tenant "{pod.tenant}"; create it'
        return Verdict(Reason.UNKNOWN_TENANT, sentence)
    if not tree.is_leaf(pod.tenant):
        children = ", ".join(tree.children(pod.tenant)[:3])
        sentence = f"choose one below {pod.tenant}, such as {children}"
        return Verdict(Reason.TENANT_HAS_CHILDREN, sentence)
    return None


def _asked(this: Round, pod: Pod) -> int:
    """Milli-GPU of the pod, of those that start with it, and of those that join them later."""
    later = this.gangs.behind.get(pod.uid, ())
    return this.counts(pod) + sum(this.kinds.of(each).milli or 0 for each in later)


def _refusal(this: Round, pod: Pod) -> Verdict | None:
    """Return why the pod is no demand; None if it is."""
    if pod.problem:
        return Verdict(Reason.INVALID_REQUEST, pod.problem)
    if (none := tenantless(this.caps, pod)) is not None:
        return none
    if pod.foreign_gates:
        gates = ", ".join(pod.foreign_gates)
        return Verdict(Reason.FOREIGN_GATE, f"{gates}; it counts once those who set it remove it")
    if this.kinds.of(pod).milli is None:
        lacks = this.capacity.missing(pod.request, pod.constraints)
        return Verdict(Reason.NEVER_FITS, lacks)
    return None
