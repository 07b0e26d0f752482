"""Rounds that may stop pods, on a ledger: whoever is stopped goes at once, and waits again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.nodes import Node
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Evict, Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Memory, Running
from scheduler.core.model.tenants import Tenant
from scheduler.core.packing.packer import Packer

PATIENCE, UNDISTURBED = 60.0, 60.0
AGE = 3_600.0
PROFILE = Profile(policy="gpu-packing", reclaim_after=PATIENCE, min_runtime=UNDISTURBED)


@dataclass
class Stage:
    """What is there; `evicted` is everyone who was ever stopped, in that order."""

    nodes: Iterable[Node]
    tenants: Iterable[Tenant]
    profile: Profile = PROFILE
    lags: Mapping[str, float] = field(default_factory=dict)
    waiting: list[Pod] = field(default_factory=list)
    evicted: list[Evict] = field(default_factory=list)
    now: float = 0.0
    memory: Memory = field(default_factory=Memory)
    finished: Mapping[str, int] = field(default_factory=dict)
    ending: set[PodUID] = field(default_factory=set)
    spent: frozenset[TenantName] = frozenset()

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.nodes)
        self.since: dict[PodUID, float] = {}

    def fits(self, pod: Pod) -> bool:
        """Whether a pod could run now."""
        snapshot = self.ledger.snapshot(tenants=self.tenants)
        return bool(run_cycle(snapshot, [pod], self.now, Profile("gpu-packing")).admits)

    def fits_on(self, name: str, pod: Pod) -> bool:
        """Whether a pod could run on that node now."""
        return self._place(name, pod) is not None

    def place_on(self, name: str, pod: Pod) -> Placement:
        """Return a place for the pod on that node; there must be room."""
        place = self._place(name, pod)
        assert place is not None
        return place

    def _place(self, name: str, pod: Pod) -> Placement | None:
        columns = self.ledger.columns
        row = np.array([columns.row[NodeName(name)]])
        return Packer(columns, "gpu-packing").place(pod.request, among=row)

    def run(self, pod: Pod, place: Placement | None = None, *, age: float = AGE) -> None:
        """Let a pod run, for so many seconds already, where the packer likes it."""
        if place is None:
            alone = replace(pod, gang=None)
            plan = run_cycle(
                self.ledger.snapshot(tenants=self.tenants),
                [alone],
                self.now,
                Profile("gpu-packing"),
            )
            (admit,) = plan.admits
            place = admit.placement
        self.ledger.bind(pod, place)
        self.since[pod.uid] = self.now - age

    def round(self, *, carry_out: bool = True) -> Plan:
        """Decide once; carry it out."""
        running = tuple(
            Running(each.pod, each.placement, self.since[uid], uid in self.ending)
            for uid, each in self.ledger.holdings.items()
        )
        owed = {TenantName(name): lag for name, lag in self.lags.items()}
        snapshot = self.ledger.snapshot(tenants=self.tenants, lags=owed)
        gathered = {
            name: replace(each, finished=self.finished.get(name, 0))
            for name, each in snapshot.gathered.items()
        }
        snapshot = replace(snapshot, running=running, memory=self.memory, gathered=gathered)
        snapshot = replace(snapshot, spent=self.spent)
        plan = run_cycle(snapshot, self.waiting, self.now, self.profile)
        if carry_out:
            self._carry_out(plan)
        return plan

    def pass_by(self, seconds: float = PATIENCE, rounds: int = 6) -> None:
        """Let the time go by, then have rounds at that moment."""
        self.round()
        self.now += seconds
        for _ in range(rounds):
            self.round()

    @property
    def running(self) -> set[str]:
        return {str(uid) for uid in self.ledger.holdings}

    def _carry_out(self, plan: Plan) -> None:
        self.memory = plan.memory
        for admit in plan.admits:
            self.ledger.bind(admit.pod, admit.placement)
            self.since[admit.pod.uid] = self.now
            self.waiting.remove(admit.pod)
        for evict in plan.evicts:
            self.ledger.release(evict.pod.uid)
            self.waiting.append(evict.pod)
            self.evicted.append(evict)
