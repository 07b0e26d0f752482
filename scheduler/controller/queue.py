"""Pods that wait behind the gate, why, and since when."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.plans import Hold
from scheduler.core.model.pods import Pod
from scheduler.core.model.standing import Waiting
from scheduler.core.model.verdicts import Reason, Verdict


@dataclass(slots=True)
class Queue:
    """Waiting pods by UID, the last verdict on each, and who is first of each tenant."""

    pods: dict[PodUID, Pod] = field(default_factory=dict)
    verdicts: dict[PodUID, Verdict] = field(default_factory=dict)
    _first: dict[TenantName, tuple[PodUID, float]] = field(default_factory=dict)

    def put(self, pod: Pod) -> None:
        """Add a pod, or describe it anew."""
        self.pods[pod.uid] = pod

    def drop(self, uid: PodUID) -> Pod | None:
        """Take a pod out."""
        self.verdicts.pop(uid, None)
        return self.pods.pop(uid, None)

    def judge(self, holds: Iterable[Hold]) -> list[Hold]:
        """Note verdicts; return those whose reason is new for their pod."""
        news = []
        for hold in holds:
            uid, verdict = hold.pod.uid, hold.verdict
            before = self.verdicts.get(uid)
            if uid in self.pods:
                self.verdicts[uid] = verdict
                if before is None or before.reason != verdict.reason:
                    news.append(hold)
        return news

    def note_first(self, now: float) -> None:
        """Note who is first of its tenant, and since when (seconds)."""
        first: dict[TenantName, Pod] = {}
        for pod in self.pods.values():
            best = first.get(pod.tenant)
            if best is None or pod.turn < best.turn:
                first[pod.tenant] = pod
        known: Mapping[TenantName, tuple[PodUID, float]] = self._first
        self._first = {
            tenant: known[tenant]
            if tenant in known and known[tenant][0] == pod.uid
            else (pod.uid, now)
            for tenant, pod in first.items()
        }

    def next_since(self, pod: Pod, now: float) -> float:
        """Return since when (seconds) the pod is the next of its tenant; `now` if only now.

        What it waited behind others of its own tenant isn't the scheduler's doing.
        """
        uid, since = self._first.get(pod.tenant, (None, now))
        return since if uid == pod.uid else now

    def waiting(self, late: Iterable[Pod] = ()) -> list[Waiting]:
        """Return who waits and why, the longest first; `late` was released and isn't bound yet."""
        listed = [_waiting(self.pods[uid], verdict) for uid, verdict in self.verdicts.items()]
        listed += [_waiting(pod, Verdict(Reason.RELEASED)) for pod in late]
        return sorted(listed, key=lambda each: (each.since, each.uid))


def _waiting(pod: Pod, verdict: Verdict) -> Waiting:
    return Waiting(pod.uid, pod.key, pod.tenant, pod.request.describe(), pod.created, verdict)
