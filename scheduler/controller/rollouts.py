"""Rollouts at a tenant's limit: new pods wait for old ones to end, which wait for the new ones.

With maxUnavailable 0, as any Deployment of up to three replicas has by default, that is for ever.
"""

from collections.abc import Iterable, Iterator, Mapping

from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.plans import Hold
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason

CAPS = (Reason.OVER_LIMIT, Reason.OVER_GUARANTEE)
"""Nothing but an end of the tenant's own pods helps here."""


_Revision = tuple[str, str]


class Rollouts:
    """Pods that wait at a cap, and a pod of another revision that could make way for each.

    Which of the two revisions is the newer one isn't known here. `seconds` is how long a revision
    waits before a pod is named, and again before the next one is.
    """

    def __init__(self, ledger: Ledger, seconds: float) -> None:
        self._ledger, self._seconds = ledger, seconds
        self._since: dict[_Revision, float] = {}

    def due(self, holds: Iterable[Hold], now: float) -> list[tuple[Pod, Pod]]:
        """Return (who waits, who could make way), one for each revision; `now` in seconds."""
        waiting = {_revision(pod): pod for pod in _at_caps(holds)}
        self._since = {each: self._since.get(each, now) for each in waiting}
        late = [each for each, since in self._since.items() if since <= now - self._seconds]
        if not late:
            return []
        bound = self._bound({workload for workload, _ in late})
        pairs = []
        for each in late:
            others = [pod for pod in bound[each[0]] if pod.revision != each[1]]
            if others:
                # The youngest has the least to lose.
                pairs.append((waiting[each], max(others, key=lambda pod: (pod.created, pod.uid))))
                self._since[each] = now
        return pairs

    def _bound(self, workloads: set[str]) -> Mapping[str, list[Pod]]:
        found: dict[str, list[Pod]] = {workload: [] for workload in workloads}
        for holding in self._ledger.holdings.values():
            if holding.bound and holding.placement.slots and holding.pod.workload in found:
                found[holding.pod.workload].append(holding.pod)
        return found


def _at_caps(holds: Iterable[Hold]) -> Iterator[Pod]:
    return (hold.pod for hold in holds if hold.pod.workload and hold.verdict.reason in CAPS)


def _revision(pod: Pod) -> _Revision:
    return pod.workload, pod.revision
