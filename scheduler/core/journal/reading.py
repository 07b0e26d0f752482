"""Lines back as rounds: what each saw, and the plan that it came to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scheduler.core.cycle.profile import Profile
from scheduler.core.journal.changes import apply
from scheduler.core.journal.codec import decode
from scheduler.core.journal.inputs import Inputs
from scheduler.core.journal.plans import plan_of
from scheduler.core.journal.writing import VERSION, Measured
from scheduler.core.ledger.columns import Remains
from scheduler.core.ledger.holdings import Holding
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.ledger.snapshot import Runs, Snapshot
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.gangs import Gathered
from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.nodes import Node
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Memory
from scheduler.core.model.tenants import Tenant

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One round of a journal: inputs and plan; `lost` rounds before it were not written."""

    inputs: Inputs
    plan: Plan
    lost: int = 0


@dataclass(slots=True)
class _Known:
    """What the lines until now say. `calm`: nodes without what is measured on them."""

    ledger: Ledger = field(default_factory=Ledger)
    calm: dict[NodeName, Node] = field(default_factory=dict)
    measured: dict[NodeName, Measured] = field(default_factory=dict)
    closed: dict[NodeName, str] = field(default_factory=dict)
    holdings: dict[PodUID, Holding] = field(default_factory=dict)
    since: dict[PodUID, float] = field(default_factory=dict)
    ending: frozenset[PodUID] = frozenset()
    running: bool = False
    pending: dict[PodUID, Pod] = field(default_factory=dict)
    tenants: tuple[Tenant, ...] = ()
    lags: dict[TenantName, float] = field(default_factory=dict)
    spent: frozenset[TenantName] = frozenset()
    finished: dict[str, int] = field(default_factory=dict)
    remains: Remains = field(default_factory=Remains)
    leaving: int = 0
    memory: Memory = field(default_factory=Memory)
    profile: Profile = field(default_factory=Profile)
    plan: Plan = field(default_factory=Plan)


class Reader:
    """Reads the lines of one journal, in their order."""

    def __init__(self) -> None:
        self._known: _Known | None = None

    def read(self, line: Line) -> Entry:
        """Return the round of a line, parsed as JSON; raise InvalidInput, and then read no more."""
        if line.get("v") != VERSION:
            raise InvalidInput(
                f"its format is {line.get('v')!r}, and only {VERSION} is known; replay it with "
                "the Equipoise that wrote it"
            )
        if line.get("whole") is True:
            self._known = _Known()
        if self._known is None:
            raise InvalidInput("the lines before it are missing; give the file from its start")
        try:
            return _entry(self._known, line)
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as problem:
            raise InvalidInput(f"it can't be understood ({problem!r})") from None


def parse(text: str) -> Line:
    """Return a line as JSON; raise ValueError if it is none, as after a crash."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    return found


def _entry(known: _Known, line: Line) -> Entry:
    _read_values(known, line)
    _read_nodes(known, line)
    _read_holdings(known, line)
    apply(known.since, line.get("since", {}), float)
    apply(known.pending, line.get("pending", {}), Pod)
    apply(known.lags, line.get("lags", {}), float)
    apply(known.finished, line.get("finished", {}), int)
    inputs = _inputs(known, decode(float, line["at"]))
    known.plan = plan_of(line, known.plan, inputs)
    known.memory = known.plan.memory
    return Entry(inputs, known.plan, decode(int, line.get("lost", 0)))


_VALUES: Mapping[str, Any] = {
    "remains": Remains,
    "ending": frozenset[PodUID],
    "running": bool,
    "tenants": tuple[Tenant, ...],
    "leaving": int,
    "spent": frozenset[TenantName],
    "memory": Memory,
    "profile": Profile,
}
"""What is told whole whenever it changed."""


def _read_values(known: _Known, line: Line) -> None:
    for name, kind in _VALUES.items():
        if name in line:
            setattr(known, name, decode(kind, line[name]))


def _read_nodes(known: _Known, line: Line) -> None:
    ledger, closed, anew = known.ledger, line.get("closed", {}), list[Node]()
    ledger.columns.resume(known.remains)
    apply(known.closed, closed, str)
    for name in closed:
        if name in known.closed:
            ledger.close_node(name, known.closed[name])
        else:
            ledger.open_node(name)
    apply(known.calm, line.get("nodes", {}), Node)
    apply(known.measured, line.get("measured", {}), Measured)
    for name in {**line.get("nodes", {}), **line.get("measured", {})}:
        node = known.calm.get(name)
        # The row of a node that is gone stays, so that those after it are where they were.
        anew.append(_measured(node, known) if node else Node(name, (), 0, 0))
    ledger.put_nodes(anew)
    for node in anew:
        if node.name not in known.calm:
            ledger.drop_node(node.name)


def _measured(node: Node, known: _Known) -> Node:
    measured = known.measured.get(node.name)
    if measured is None:
        return node
    devices = (
        replace(device, load=load, foreign_mib=foreign)
        for device, (load, foreign) in zip(node.devices, measured, strict=True)
    )
    return replace(node, devices=tuple(devices))


def _read_holdings(known: _Known, line: Line) -> None:
    told = line.get("holdings", {})
    apply(known.holdings, told, Holding)
    for uid in told:
        holding = known.holdings.get(uid)
        if holding is None:
            known.ledger.release(uid)
        else:
            # What is reserved takes as much as what is bound, even where it fits no longer.
            known.ledger.bind(holding.pod, holding.placement)


def _inputs(known: _Known, now: float) -> Inputs:
    holdings, ledger = dict(known.holdings), known.ledger
    running = Runs(holdings, dict(known.since), known.ending) if known.running else ()
    snapshot: Snapshot = ledger.snapshot(tenants=known.tenants, lags=known.lags)
    snapshot.columns.resume(known.remains)
    gathered = dict(snapshot.gathered) | {
        name: replace(snapshot.gathered.get(name, Gathered()), finished=count)
        for name, count in known.finished.items()
    }
    snapshot = replace(
        snapshot,
        running=running,
        memory=known.memory,
        gathered=gathered,
        spent=known.spent,
        leaving=known.leaving,
    )
    return Inputs(
        snapshot=snapshot,
        pending=dict(known.pending),
        now=now,
        profile=known.profile,
        nodes=dict(ledger.nodes),
        closed=dict(known.closed),
        holdings=holdings,
    )
