"""Pods that wait behind the gate, why, and since when."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.plans import Hold
from scheduler.core.model.pods import Pod
from scheduler.core.model.standing import Waiting
from scheduler.core.model.tenants import tenant_part, user_part
from scheduler.core.model.verdicts import Reason, Verdict

QUIET = frozenset(
    (
        *(Reason.INVALID_REQUEST, Reason.UNKNOWN_TENANT, Reason.TENANT_HAS_CHILDREN),
        *(Reason.FOREIGN_GATE, Reason.NEVER_FITS),
        *(Reason.GANG_UNKNOWN, Reason.GANG_INCOMPLETE),
    )
)
"""Who waits for one of these would take no GPU if one were free."""

CAPPED = frozenset((Reason.OVER_LIMIT, Reason.OVER_GUARANTEE))
"""Nor would these, but for one that their own tenant, or one beside it, gives back."""


@dataclass(frozen=True, slots=True)
class Rivals:
    """Who in line goes before one that comes now: `all` of it, or those of `tenants` (capped)."""

    all: bool
    tenants: frozenset[TenantName]


@dataclass(slots=True)
class Queue:
    """Waiting pods by UID, the last verdict on each, and who is first of each tenant."""

    pods: dict[PodUID, Pod] = field(default_factory=dict)
    verdicts: dict[PodUID, Verdict] = field(default_factory=dict)
    _first: dict[TenantName, tuple[PodUID, float]] = field(default_factory=dict)
    _rivals: Rivals | None = None

    @property
    def rivals(self) -> Rivals:
        """Who in it would take a GPU that somebody else gets."""
        if self._rivals is None:
            # Of a long line mostly the first one tells.
            loud = any(self._reason(uid) not in QUIET | CAPPED for uid in self.pods)
            capped = (pod.tenant for uid, pod in self.pods.items() if self._reason(uid) in CAPPED)
            self._rivals = Rivals(loud, frozenset(() if loud else capped))
        return self._rivals

    def _reason(self, uid: PodUID) -> Reason | None:
        verdict = self.verdicts.get(uid)
        return None if verdict is None else verdict.reason

    def put(self, pod: Pod) -> None:
        """Add a pod, or describe it anew."""
        self.pods[pod.uid], self._rivals = pod, None

    def drop(self, uid: PodUID) -> Pod | None:
        """Take a pod out."""
        self.verdicts.pop(uid, None)
        self._rivals = None
        return self.pods.pop(uid, None)

    def judge(self, hold: Hold) -> bool:
        """Note a verdict; return whether its reason is new for its pod, and worth telling.

        That its turn comes soon isn't: were each pod of a burst told, its release would wait for
        that. Nor does it take the place of what the pod was told before.
        """
        uid, verdict = hold.pod.uid, hold.verdict
        if uid not in self.pods:
            return False
        before = self.verdicts.get(uid)
        if verdict.reason is Reason.IN_LINE:
            if before is None or before.reason in QUIET | CAPPED:
                self.verdicts[uid], self._rivals = verdict, None
            return False
        self.verdicts[uid], self._rivals = verdict, None
        return before is None or before.reason != verdict.reason

    def note_first(self, first: Mapping[TenantName, Pod], now: float) -> None:
        """Note who is first of its tenant (`first_of`), and since when (seconds)."""
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


def first_of(pods: Iterable[Pod]) -> dict[TenantName, Pod]:
    """Return who is first of each tenant."""
    first: dict[TenantName, Pod] = {}
    for pod in pods:
        best = first.get(pod.tenant)
        if best is None or pod.turn < best.turn:
            first[pod.tenant] = pod
    return first


def waiting(judged: Iterable[tuple[Pod, Verdict]]) -> list[Waiting]:
    """Return who waits and why, the longest first."""
    listed = [
        Waiting(
            uid=pod.uid,
            pod=pod.key,
            tenant=tenant_part(pod.tenant),
            request=pod.request.describe(),
            since=pod.created,
            verdict=verdict,
            user=user_part(pod.tenant),
        )
        for pod, verdict in judged
    ]
    return sorted(listed, key=lambda each: (each.since, each.uid))
