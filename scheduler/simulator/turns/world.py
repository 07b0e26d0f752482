"""A cluster in virtual time: jobs come, wait, run, end or are stopped; rounds decide.

Everything that happens at one instant is dealt with before the next turn. A job that was stopped
has lost what it did and goes back to its place in line.
"""

import heapq
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.fairness.budgets import is_spent
from scheduler.core.fairness.guarantees import guaranteed
from scheduler.core.fairness.lag import Lags, advance, forget_credit
from scheduler.core.fairness.spending import Used, spend, spent
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.ledger.snapshot import Runs
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Memory
from scheduler.simulator.turns.line import Line
from scheduler.simulator.turns.measures import Measures
from scheduler.simulator.turns.rules import Decide
from scheduler.simulator.turns.workloads import QUEUED, Job, Workload, job


@dataclass(slots=True)
class _Active:
    """A job in line or on its devices; `runs` counts its starts, so that old ends are ignored."""

    job: Job
    pod: Pod
    runs: int = 0


class World:
    """The state between two instants. `decide` says who starts and who is stopped."""

    def __init__(
        self, workload: Workload, profile: Profile, dice: Random, *, decide: Decide = run_cycle
    ) -> None:
        self.workload, self.profile, self.dice = workload, profile, dice
        self.decide = decide
        self.now, self.memory = 0.0, Memory()
        self.ledger = Ledger(self.workload.nodes)
        self.tree = guaranteed(TenantTree(self.workload.tenants), self.ledger.brought)
        self.lags, self.used = Lags({}, 0.0), dict[TenantName, Used]()
        self.shares: Mapping[TenantName, Fraction] = {}
        self.waiting = Line()
        self.since: dict[PodUID, float] = {}
        self.active: dict[PodUID, _Active] = {}
        self.measures = Measures(self.tree)
        self._numbers = itertools.count()
        self._looks: set[float] = set()
        self._events: list[tuple[float, int, str, object]] = []

    def run(self) -> Measures:
        """Play the whole workload."""
        for leaf, maker in self.workload.endless.items():
            for _ in range(self.workload.queued.get(leaf, QUEUED)):
                self._line_up(job(leaf, *maker(self.dice)))
        for at, each in self.workload.arrivals(self.dice):
            self._plan(at, "arrive", each)
        self._round()
        while self._events and self._events[0][0] < self.workload.seconds:
            self._pass(self._events[0][0])
            while self._events and self._events[0][0] == self.now:
                self._happen(*heapq.heappop(self._events)[2:])
            self._round()
        self._pass(self.workload.seconds)
        return self.measures

    def delays(self, leaf: TenantName) -> list[float]:
        """Return how much longer (seconds) than they ran jobs of a leaf were there until now."""
        late = [
            self.since.get(uid, self.now) - each.pod.created
            for uid, each in self.active.items()
            if each.job.tenant == leaf
        ]
        return self.measures.delays.get(leaf, []) + late

    def _plan(self, at: float, what: str, whom: object) -> None:
        heapq.heappush(self._events, (at, next(self._numbers), what, whom))

    def _happen(self, what: str, whom: object) -> None:
        if isinstance(whom, Job):
            self._line_up(whom)
        elif isinstance(whom, tuple):
            uid, runs = whom
            if uid in self.active and self.active[uid].runs == runs:
                self._end(uid)

    def _pass(self, until: float) -> None:
        milli = {name: each.milli for name, each in self.ledger.held.items()}
        held = {name: Fraction(each, MILLI) for name, each in milli.items()}
        seconds = until - self.now
        self.measures.passed(seconds, shares=self.shares, held=held, now=until)
        over = self.spent
        within = {name: gpus for name, gpus in held.items() if not is_spent(self.tree, over, name)}
        self.lags = advance(self.lags, now=until, tree=self.tree, shares=self.shares, held=within)
        self.used = spend(self.used, at=self.now, now=until, tree=self.tree, held=milli)
        self.now = until

    @property
    def spent(self) -> frozenset[TenantName]:
        """Who is over budget now."""
        return spent(self.tree, self.used)

    def _line_up(self, each: Job) -> None:
        number = next(self._numbers)
        uid = PodUID(f"{number:09}")
        pod = Pod(uid, each.tenant, f"job-{number}", each.tenant, each.request, created=self.now)
        self.waiting.add(pod)
        self.active[uid] = _Active(each, pod)

    def _end(self, uid: PodUID) -> None:
        ended = self.active.pop(uid)
        leaf = ended.job.tenant
        self.measures.ended(self.now, ended.pod, ran=ended.job.seconds)
        self.ledger.release(uid)
        del self.since[uid]
        maker = self.workload.endless.get(leaf)
        if maker is not None:
            self._line_up(job(leaf, *maker(self.dice)))

    def _round(self) -> None:
        """Decide until nothing more is stopped: whoever is stopped goes at once."""
        for _ in range(10):
            plan = self._decide()
            self._carry_out(plan)
            if not plan.evicts:
                break
        self.measures.heads(self.now, self.waiting.next_ones())
        for patience in (self.profile.reserve_after, self.profile.reclaim_after):
            if patience is not None:
                self._look_again(patience)

    def _look_again(self, patience: float) -> None:
        """Have a round when the patience of those who are next is over."""
        for since in self.memory.blocked.values():
            at = since + patience
            while at - since < patience:
                # As floats the sum may fall short: nobody's patience would be over then.
                at = math.nextafter(at, math.inf)
            if at > self.now and at not in self._looks:
                self._looks.add(at)
                self._plan(at, "look", None)

    def _decide(self) -> Plan:
        snapshot = replace(
            self.ledger.snapshot(tenants=self.tree.tenants.values(), lags=self.lags.values),
            running=Runs(self.ledger.holdings, self.since),
            memory=self.memory,
            spent=self.spent,
        )
        return self.decide(snapshot, self.waiting, self.now, self.profile)

    def _carry_out(self, plan: Plan) -> None:
        self.memory, self.shares = plan.memory, plan.shares
        idle = [name for name, wanted in plan.demand.items() if not wanted]
        self.lags = forget_credit(self.lags, idle)
        # Another rule may start somebody in the same moment where somebody was stopped for it.
        for evict in plan.evicts:
            uid = evict.pod.uid
            active = self.active[uid]
            held = self.ledger.release(uid)
            assert held is not None
            gpus, seconds = held.placement.milli / MILLI, self.now - self.since.pop(uid)
            self.measures.stopped(evict.pod.tenant, gpus, seconds)
            active.runs += 1
            self.waiting.add(active.pod)
        for admit in plan.admits:
            uid = admit.pod.uid
            self.ledger.bind(admit.pod, admit.placement)
            was_next = self.waiting.remove(uid)
            active = self.active[uid]
            active.runs += 1
            self.since[uid] = self.now
            self.measures.started(self.now, admit.pod, was_next=was_next)
            self._plan(self.now + active.job.seconds, "end", (uid, active.runs))
