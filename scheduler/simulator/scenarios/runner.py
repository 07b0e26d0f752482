"""Runs a scenario on the live core, round by round."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.errors import InvalidInput, LedgerError
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.plans import Plan
from scheduler.core.model.running import Memory, Running
from scheduler.core.model.verdicts import Verdict
from scheduler.core.packing.fit import candidates, mib_of
from scheduler.simulator.scenarios.scenariofile import Running as Begun
from scheduler.simulator.scenarios.scenariofile import Scenario

PROFILE = Profile(
    policy="gpu-packing",
    reclaim_after=0.0,
    min_runtime=0.5,
    broken_after=0.0,
    consolidate_after=0.0,
)
"""Scenarios say "pack" and mean the fullest card that fits, whatever else people ask for.

What takes patience elsewhere happens at once: they look at what it comes to, not when.
"""

PHASES = ("allocate", "reclaim", "preempt", "consolidation")

MOST_ROUNDS = 1000
AGE = 86_400.0
"""Seconds that pods have run for when a scenario begins."""

ROUNDS_SETTLED = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What really happened.

    `needs` says what a scenario needs that isn't there yet; then nothing was run. `places` are all
    pods that run in the end; `settled`: five more rounds changed nothing.
    """

    scenario: Scenario
    needs: str = ""
    places: Mapping[str, Placement] = field(default_factory=dict)
    pending: Mapping[str, Verdict] = field(default_factory=dict)
    shares: Mapping[TenantName, Fraction] = field(default_factory=dict)
    stopped: frozenset[str] = frozenset()
    settled: bool = False

    @property
    def bound(self) -> Mapping[str, Placement]:
        """Pods that waited in the beginning and run now."""
        waited = {pod.name for pod in self.scenario.pending}
        return {name: place for name, place in self.places.items() if name in waited}

    @property
    def still_running(self) -> tuple[str, ...]:
        """Pods that ran in the beginning and were never stopped."""
        return tuple(name for name in self._ran if name not in self.stopped)

    @property
    def moved(self) -> Mapping[str, Placement]:
        """Pods that ran in the beginning, were stopped, and run in the end."""
        places = self.places
        return {n: places[n] for n in self._ran if n in self.stopped and n in places}

    @property
    def evicted(self) -> tuple[str, ...]:
        """Pods that ran in the beginning, were stopped, and wait."""
        return tuple(n for n in self._ran if n in self.stopped and n not in self.places)

    @property
    def _ran(self) -> tuple[str, ...]:
        return tuple(each.pod.name for each in self.scenario.running)


def run(scenario: Scenario) -> Outcome:
    """Run one scenario; raise InvalidInput if its running pods don't fit their nodes."""
    needs = _not_yet(scenario)
    if needs:
        return Outcome(scenario, needs)
    ledger = Ledger(scenario.nodes)
    # Who names its devices goes first; the others take what is left.
    for running in sorted(scenario.running, key=lambda each: not each.devices):
        _start(ledger, running, scenario.id)
    story = _Story(scenario, ledger)
    plan, settled = story.play()
    return Outcome(
        scenario,
        places={each.pod.name: each.placement for each in ledger.holdings.values()},
        pending={hold.pod.name: hold.verdict for hold in plan.holds},
        shares=plan.shares,
        stopped=frozenset(story.stopped),
        settled=settled,
    )


def _not_yet(scenario: Scenario) -> str:
    if scenario.phase not in (None, *PHASES):
        return f'the phase "{scenario.phase}"'
    return ""


def _start(ledger: Ledger, running: Begun, scenario: str) -> None:
    pod, columns = running.pod, ledger.columns
    row = columns.row[running.node]
    seen = candidates(columns, slice(row, row + 1), pod.request)
    fits = [index for index, fit in enumerate(seen.devices[0]) if fit]
    devices = running.devices or tuple(fits[: pod.request.devices])
    each = int(seen.milli.max())
    slots = tuple(
        Slot(
            index,
            columns.uuids[row][index],
            each,
            mib_of(pod.request, int(columns.mib_cap[row, index])),
        )
        for index in devices
    )
    try:
        if len(slots) != pod.request.devices:
            raise LedgerError(f"it needs {pod.request.describe()} there")
        ledger.reserve(pod, Placement(running.node, slots))
    except LedgerError as problem:
        raise InvalidInput(
            f'scenario "{scenario}", pod "{pod.name}": can\'t run on {running.node}: {problem}'
        ) from None
    ledger.bind(pod, Placement(running.node, slots))


def _profile(phase: str | None) -> Profile:
    """With what that phase alone does, if the scenario names one."""
    if phase is None:
        return PROFILE
    moves, stops = phase == "consolidation", phase in ("reclaim", "preempt")
    return replace(
        PROFILE,
        reclaim_after=0.0 if stops else None,
        consolidate_after=0.0 if moves else None,
    )


class _Story:
    """Rounds on one ledger: who is stopped is gone at once, and waits in line again."""

    def __init__(self, scenario: Scenario, ledger: Ledger) -> None:
        self._scenario, self._ledger = scenario, ledger
        self._waiting, self._memory = list(scenario.pending), Memory()
        self._profile = _profile(scenario.phase)
        # Of those that ran before, the last one listed is the youngest.
        self._since: dict[PodUID, float] = {
            each.pod.uid: at - AGE for at, each in enumerate(scenario.running)
        }
        self.stopped: set[str] = set()

    def play(self) -> tuple[Plan, bool]:
        """Run rounds until five in a row change nothing, or once if the scenario says so."""
        once = self._scenario.phase is not None
        last, quiet = self._round(0.0), 0
        for now in range(1, MOST_ROUNDS):
            if once or quiet == ROUNDS_SETTLED:
                break
            plan = self._round(float(now))
            quiet = 0 if plan.admits or plan.evicts else quiet + 1
            last = plan
        if once and last.evicts:
            # What is bound now "will be, once the victims are gone".
            last = self._round(1.0)
        return last, quiet == ROUNDS_SETTLED or not self._waiting or once

    def _round(self, now: float) -> Plan:
        snapshot = replace(
            self._ledger.snapshot(tenants=self._scenario.tenants),
            running=tuple(
                Running(each.pod, each.placement, self._since[uid])
                for uid, each in self._ledger.holdings.items()
            ),
            memory=self._memory,
        )
        plan = run_cycle(snapshot, self._waiting, now, self._profile)
        self._memory = plan.memory
        for admit in plan.admits:
            self._ledger.bind(admit.pod, admit.placement)
            self._since[admit.pod.uid] = now
            self._waiting.remove(admit.pod)
        for evict in plan.evicts:
            self._ledger.release(evict.pod.uid)
            self._waiting.append(evict.pod)
            self.stopped.add(evict.pod.name)
        return plan
