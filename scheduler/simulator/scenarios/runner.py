"""Runs a scenario on the live core, round by round."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.errors import InvalidInput, LedgerError
from scheduler.core.model.ids import TenantName
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Verdict
from scheduler.core.packing.fit import candidates, mib_each
from scheduler.simulator.scenarios.scenariofile import Running, Scenario

PROFILE = Profile(policy="gpu-packing")
"""Scenarios say "pack" and mean the fullest card that fits, whatever else people ask for."""

MOST_ROUNDS = 1000
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
    settled: bool = False

    @property
    def bound(self) -> Mapping[str, Placement]:
        """Pods that waited in the beginning and run now."""
        waited = {pod.name for pod in self.scenario.pending}
        return {name: place for name, place in self.places.items() if name in waited}

    @property
    def still_running(self) -> tuple[str, ...]:
        """Pods that ran in the beginning and still do. Nothing stops or moves them yet."""
        return tuple(
            each.pod.name for each in self.scenario.running if each.pod.name in self.places
        )


def run(scenario: Scenario) -> Outcome:
    """Run one scenario; raise InvalidInput if its running pods don't fit their nodes."""
    needs = _not_yet(scenario)
    if needs:
        return Outcome(scenario, needs)
    ledger = Ledger(scenario.nodes)
    # Who names its devices goes first; the others take what is left.
    for running in sorted(scenario.running, key=lambda each: not each.devices):
        _start(ledger, running, scenario.id)
    plan, settled = _rounds(scenario, ledger)
    return Outcome(
        scenario,
        places={each.pod.name: each.placement for each in ledger.holdings.values()},
        pending={hold.pod.name: hold.verdict for hold in plan.holds},
        shares=plan.shares,
        settled=settled,
    )


def _not_yet(scenario: Scenario) -> str:
    if scenario.gangs:
        return "gangs"
    if scenario.phase not in (None, "allocate"):
        return f'the phase "{scenario.phase}"'
    if scenario.expected and (scenario.expected.evicted or scenario.expected.moved):
        return "reclaim, preemption or consolidation"
    return ""


def _start(ledger: Ledger, running: Running, scenario: str) -> None:
    pod, columns = running.pod, ledger.columns
    row = columns.row[running.node]
    seen = candidates(columns, slice(row, row + 1), pod.request)
    fits = [index for index, fit in enumerate(seen.devices[0]) if fit]
    devices = running.devices or tuple(fits[: pod.request.devices])
    each = int(seen.milli.max())
    slots = tuple(
        Slot(index, columns.uuids[row][index], each, mib_each(columns, row, index, pod.request))
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


def _rounds(scenario: Scenario, ledger: Ledger) -> tuple[Plan, bool]:
    """Run rounds until five in a row change nothing, or once if the scenario says so."""
    waiting = list(scenario.pending)
    last, quiet = _round(scenario, ledger, waiting, now=0.0), 0
    for now in range(1, MOST_ROUNDS):
        if scenario.phase is not None or quiet == ROUNDS_SETTLED:
            break
        plan = _round(scenario, ledger, waiting, now=float(now))
        quiet = 0 if plan.admits else quiet + 1
        last = plan
    return last, quiet == ROUNDS_SETTLED or not waiting or scenario.phase is not None


def _round(scenario: Scenario, ledger: Ledger, waiting: list[Pod], *, now: float) -> Plan:
    plan = run_cycle(ledger.snapshot(tenants=scenario.tenants), waiting, now, PROFILE)
    for admit in plan.admits:
        ledger.reserve(admit.pod, admit.placement)
        ledger.bind(admit.pod, admit.placement)
        waiting.remove(admit.pod)
    return plan
