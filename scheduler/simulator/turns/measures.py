"""What a run came to: service against what was due, waits at the head of the line, losses."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.pods import Pod
from scheduler.simulator.turns.windows import Windows


@dataclass(slots=True)
class Measures:
    """GPU-seconds by leaf: `got`, `due`, and `due_delivered`: due of what was delivered.

    `waits` are those (seconds) of requests that were their tenant's next ones when they started,
    from when they were that; `worst` is the longest one, with those who still wait. `lost` are
    GPU-seconds of jobs that were stopped, `lost_by` the same by leaf, `evictions` how many.
    `delays` are how much longer (seconds) than they run jobs were there that have ended. `area` is
    useful service so far, summed up over time (GPU-seconds × seconds): more where it came sooner.
    """

    tree: TenantTree
    got: dict[TenantName, float] = field(default_factory=dict)
    due: dict[TenantName, float] = field(default_factory=dict)
    due_delivered: dict[TenantName, float] = field(default_factory=dict)
    worst: dict[TenantName, float] = field(default_factory=dict)
    waits: dict[TenantName, list[float]] = field(default_factory=dict)
    delays: dict[TenantName, list[float]] = field(default_factory=dict)
    area: dict[TenantName, float] = field(default_factory=dict)
    windows: Windows | None = None
    lost: float = 0.0
    lost_by: dict[TenantName, float] = field(default_factory=dict)
    evictions: int = 0
    starts: int = 0
    seconds: float = 0.0
    _next: dict[TenantName, tuple[PodUID, float]] = field(default_factory=dict)

    def passed(
        self,
        seconds: float,
        *,
        shares: Mapping[TenantName, Fraction],
        held: Mapping[TenantName, Fraction],
        now: float,
    ) -> None:
        """Add a time in which nothing changed."""
        if seconds <= 0:
            return
        self.seconds += seconds
        due = {leaf: float(shares.get(leaf, 0)) for leaf in self.tree.leaves}
        has = {leaf: float(held.get(leaf, 0)) for leaf in self.tree.leaves}
        total = math.fsum(due.values())
        rho = math.fsum(has.values()) / total if total else 0.0
        delivered = {leaf: due[leaf] * rho for leaf in self.tree.leaves}
        for leaf in self.tree.leaves:
            so_far = self.useful(leaf) + has[leaf] * seconds / 2
            self.area[leaf] = self.area.get(leaf, 0.0) + so_far * seconds
            self.got[leaf] = self.got.get(leaf, 0.0) + has[leaf] * seconds
            self.due[leaf] = self.due.get(leaf, 0.0) + due[leaf] * seconds
            owed = self.due_delivered.get(leaf, 0.0)
            self.due_delivered[leaf] = owed + delivered[leaf] * seconds
        if self.windows is not None:
            self.windows.passed(now - seconds, now, has, delivered)

    def heads(self, now: float, next_ones: Iterable[Pod]) -> None:
        """Note who is next of each tenant now."""
        first = {pod.tenant: pod for pod in next_ones}
        for leaf, pod in first.items():
            if self._next.get(leaf, ("", 0.0))[0] != pod.uid:
                self._next[leaf] = (pod.uid, now)
            self.worst[leaf] = max(self.worst.get(leaf, 0.0), now - self._next[leaf][1])
        for leaf in self._next.keys() - first.keys():
            del self._next[leaf]

    def started(self, now: float, pod: Pod, *, was_next: bool) -> None:
        """A request got its place; `was_next`: it had not passed another one of its tenant."""
        self.starts += 1
        uid, since = self._next.get(pod.tenant, ("", now))
        waited = now - since if uid == pod.uid else 0.0
        self.worst[pod.tenant] = max(self.worst.get(pod.tenant, 0.0), waited)
        if was_next:
            self.waits.setdefault(pod.tenant, []).append(waited)

    def ended(self, now: float, pod: Pod, *, ran: float) -> None:
        """A job is through, which takes it so many seconds when nothing holds it up."""
        self.delays.setdefault(pod.tenant, []).append(now - pod.created - ran)

    def stopped(self, leaf: TenantName, gpus: float, seconds: float) -> None:
        """A job was stopped, and what it did is lost."""
        self.evictions += 1
        self.lost += gpus * seconds
        self.lost_by[leaf] = self.lost_by.get(leaf, 0.0) + gpus * seconds

    def useful(self, leaf: TenantName) -> float:
        """Return the GPU-seconds that it got and didn't lose: of jobs that ended, or still run."""
        return self.got.get(leaf, 0.0) - self.lost_by.get(leaf, 0.0)

    def idle(self, gpus: float) -> float:
        """Return the part of the GPUs that nobody held."""
        return 1 - math.fsum(self.got.values()) / (gpus * self.seconds)

    def served(self, leaf: TenantName) -> float:
        """Return service ÷ due of what was delivered."""
        due = self.due_delivered.get(leaf)
        return self.got[leaf] / due if due else math.nan

    @property
    def evicted_part(self) -> float:
        """Part of all service that was lost."""
        got = math.fsum(self.got.values())
        return self.lost / got if got else 0.0
