"""Rollouts at a tenant's limit: new pods wait for old ones to end, which wait for the new ones.

With maxUnavailable 0, as any Deployment of up to three replicas has by default, that is for ever.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from scheduler.core.cycle.caps import over_caps
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.holdings import Holding
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.plans import Hold
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason

CAPS = (Reason.OVER_LIMIT, Reason.OVER_GUARANTEE)

KEPT = 10_000
"""So many pods for which another one ended are remembered; the oldest is forgotten first."""

_Revision = tuple[str, str]


class Rollouts:
    """Pods that wait at a cap, and a pod of another revision that could make way for each.

    Which of the two revisions is the newer one isn't known here. `seconds` is how long a revision
    waits before a pod is named, and again before the next one is. For one that waits one pod ends
    at most: what it can't use then, its Deployment's older revision takes again.
    """

    def __init__(self, ledger: Ledger, tree: Callable[[], TenantTree], *, seconds: float) -> None:
        self._ledger, self._tree, self._seconds = ledger, tree, seconds
        self._since: dict[_Revision, float] = {}
        self._served: OrderedDict[PodUID, None] = OrderedDict()

    def due(self, holds: Iterable[Hold], now: float) -> list[tuple[Pod, Pod]]:
        """Return (who waits, who could make way), one for each revision; `now` in seconds."""
        holds = tuple(holds)
        waiting = self._waiting(holds)
        # A round that has ended before their turn says nothing new of these.
        unjudged = {_revision(each.pod) for each in holds if each.verdict.reason is Reason.IN_LINE}
        known = {each: since for each, since in self._since.items() if each in unjudged}
        self._since = known | {each: self._since.get(each, now) for each in waiting}
        late = [each for each in waiting if self._since[each] <= now - self._seconds]
        if not late:
            return []
        bound = self._bound({workload for workload, _ in late})
        caps = _Caps.of(self._tree(), self._ledger)
        pairs = [(waiting[each], caps.victim(waiting[each], bound[each[0]])) for each in late]
        found = [(waits, victim) for waits, victim in pairs if victim is not None]
        self._since.update((_revision(waits), now) for waits, _ in found)
        return found

    def made_way(self, waiting: Pod) -> None:
        """A pod ends, or has ended, for this one."""
        self._served[waiting.uid] = None
        if len(self._served) > KEPT:
            self._served.popitem(last=False)

    def _waiting(self, holds: Iterable[Hold]) -> Mapping[_Revision, Pod]:
        """Return whose turn is the first of each revision's at a cap."""
        pods = [
            hold.pod
            for hold in holds
            if hold.pod.workload
            and hold.verdict.reason in CAPS
            and hold.pod.uid not in self._served
        ]
        return {_revision(pod): pod for pod in sorted(pods, key=lambda pod: pod.turn, reverse=True)}

    def _bound(self, workloads: set[str]) -> Mapping[str, list[Holding]]:
        found: dict[str, list[Holding]] = {workload: [] for workload in workloads}
        for holding in self._ledger.holdings.values():
            if holding.bound and holding.placement.slots and holding.pod.workload in found:
                found[holding.pod.workload].append(holding)
        return found


@dataclass(frozen=True, slots=True)
class _Caps:
    """Milli-GPU that every tenant holds, in all and of non-preemptible pods."""

    tree: TenantTree
    held: dict[TenantName, int]
    fixed: dict[TenantName, int]

    @classmethod
    def of(cls, tree: TenantTree, ledger: Ledger) -> "_Caps":
        held = {name: held.milli for name, held in ledger.held.items()}
        fixed = {name: held.fixed_milli for name, held in ledger.held.items()}
        return cls(tree, tree.roll_up(held, 0), tree.roll_up(fixed, 0))

    def victim(self, waiting: Pod, bound: Iterable[Holding]) -> Pod | None:
        """Return whose end helps the pod that waits; the youngest has the least to lose."""
        helpful = (each.pod for each in bound if self._helps(waiting, each))
        return max(helpful, key=lambda pod: (pod.created, pod.uid), default=None)

    def _helps(self, waiting: Pod, holding: Holding) -> bool:
        """Whether the one could have what the other leaves, before that is made again."""
        pod, freed = holding.pod, holding.placement.milli
        if pod.revision == waiting.revision or pod.priority > waiting.priority:
            return False
        # By memory a pod counts by its card: what is alike counts alike.
        needs = waiting.request.total_milli or (freed if waiting.request == pod.request else 0)
        return bool(needs) and self._lets(waiting, needs, pod, freed)

    def _lets(self, waiting: Pod, needs: int, pod: Pod, freed: int) -> bool:
        if pod.tenant != waiting.tenant or pod.tenant not in self.tree:
            return False
        fixed = 0 if pod.preemptible else freed
        self._change(pod.tenant, -freed, -fixed)
        why = over_caps(self.tree, waiting, needs, held=self.held, fixed=self.fixed)
        self._change(pod.tenant, freed, fixed)
        return why is None

    def _change(self, leaf: TenantName, milli: int, fixed: int) -> None:
        self.tree.charge(self.held, leaf, milli)
        self.tree.charge(self.fixed, leaf, fixed)


def _revision(pod: Pod) -> _Revision:
    return pod.workload, pod.revision
