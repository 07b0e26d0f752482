"""What other rules are made of: the same requests, places and division as a round of ours."""

from collections import Counter
from collections.abc import Iterable
from zlib import crc32

from scheduler.core.cycle.admit import admit
from scheduler.core.cycle.kinds import Kind
from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.rounds import Round
from scheduler.core.ledger.snapshot import Snapshot
from scheduler.core.model.ids import TenantName
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Admit, Plan
from scheduler.core.model.pods import Pod
from scheduler.core.packing.packer import Packer


def begin(snapshot: Snapshot, pending: Iterable[Pod], now: float, profile: Profile) -> Round:
    """Return a round with its queues, the exact division made: it says what everybody is due."""
    this = Round.begin(snapshot, pending, now, profile)
    admit(this)
    return this


class Places:
    """Gives pods the best place that is free. `misses` counts, by tenant, searches in vain.

    As in a round of ours, a request known to fit nowhere is passed over without a search. Limits
    and guarantees of pods that can't be stopped aren't looked at: no workload here has any.
    """

    def __init__(self, this: Round) -> None:
        self._this, self.trial = this, this.snapshot.trial()
        self._packer = Packer(self.trial.columns, this.profile.policy, mix=this.profile.mix)
        self._full: set[Kind] = set()
        self.misses: Counter[TenantName] = Counter()

    def is_full(self, pod: Pod) -> bool:
        """Whether a place for such a pod was looked for in vain."""
        return self._this.kinds.of(pod) in self._full

    def admit(self, pod: Pod) -> bool:
        """Let the pod start if there is room for it."""
        if self.is_full(pod):
            return False
        if not self.fits(pod):
            self._full.add(self._this.kinds.of(pod))
            self.misses[pod.tenant] += 1
            return False
        self.start(pod)
        return True

    def fits(self, pod: Pod) -> bool:
        """Whether there is room for the pod now."""
        return self._place(pod) is not None

    def start(self, pod: Pod) -> None:
        """Let a pod start for which there is room."""
        placement = self._place(pod)
        assert placement is not None
        self.trial.take(placement, pod.request)
        self._this.admits.append(Admit(pod, placement))

    def _place(self, pod: Pod) -> Placement | None:
        among = self._this.snapshot.eligibility.now(pod.constraints)
        return self._packer.place(pod.request, among=among, seed=crc32(pod.uid.encode()))

    def plan(self) -> Plan:
        """Return what was decided."""
        this = self._this
        return Plan(
            admits=tuple(this.admits),
            shares=this.shares,
            demand=this.demand,
            evicts=tuple(this.evicts),
        )
