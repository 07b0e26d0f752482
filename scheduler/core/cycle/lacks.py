"""What waits although its tenant is due it, for want of a node: what an autoscaler should add."""

from collections import Counter
from collections.abc import Iterator

from scheduler.core.cycle.caps import over_caps
from scheduler.core.cycle.rounds import Round
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import TenantName
from scheduler.core.model.plans import Lack
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason


def lacks(this: Round) -> tuple[Lack, ...]:
    """Sum up, once everything is decided, what no present node can take, by shape of node.

    NoRoom counts as far as the tenant's fair share goes. What never fits is no demand and has no
    share, so it counts as far as limits go: a cluster that begins without a GPU has to get one.
    """
    missing: Counter[tuple[Reason, tuple[str, ...], int]] = Counter()
    for reason, pod, milli in (*_due(this), *_never_fitting(this)):
        missing[reason, pod.request.models, pod.request.devices] += milli
    return tuple(Lack(*shape, milli) for shape, milli in sorted(missing.items()))


def _due(this: Round) -> Iterator[tuple[Reason, Pod, int]]:
    left = {leaf: int(this.shares[leaf] * MILLI) for leaf in this.tree.leaves}
    for leaf, milli in _held(this).items():
        if leaf in left:
            left[leaf] -= milli
    for pod in _held_for(this, Reason.NO_ROOM):
        if (
            left[pod.tenant] > 0
            and 0 < (milli := this.kinds.of(pod).milli or 0) <= left[pod.tenant]
        ):
            left[pod.tenant] -= milli
            yield Reason.NO_ROOM, pod, milli


def _never_fitting(this: Round) -> Iterator[tuple[Reason, Pod, int]]:
    pods = list(_held_for(this, Reason.NEVER_FITS))
    if not pods:
        return
    held = this.caps.roll_up(_held(this), 0)
    fixed = this.caps.roll_up({name: h.fixed_milli for name, h in this.snapshot.held.items()}, 0)
    for pod in pods:
        # By memory, on a card that isn't there: what part of it is not known, so it counts whole.
        milli = pod.request.total_milli or pod.request.devices * MILLI
        if milli and over_caps(this.caps, pod, milli, held=held, fixed=fixed) is None:
            this.caps.charge(held, pod.tenant, milli)
            if not pod.preemptible:
                this.caps.charge(fixed, pod.tenant, milli)
            yield Reason.NEVER_FITS, pod, milli


def _held(this: Round) -> Counter[TenantName]:
    """Milli-GPU by tenant, with what was admitted."""
    held = Counter({name: held.milli for name, held in this.snapshot.held.items()})
    for admit in this.admits:
        held[admit.pod.tenant] += admit.placement.milli
    return held


def _held_for(this: Round, reason: Reason) -> Iterator[Pod]:
    return (hold.pod for hold in this.holds if hold.verdict.reason is reason)
