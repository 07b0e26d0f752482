"""Rounds as lines: the first one whole, each later one as what changed since."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scheduler.core.journal.changes import changes
from scheduler.core.journal.codec import encode
from scheduler.core.journal.inputs import Inputs
from scheduler.core.journal.plans import parts
from scheduler.core.ledger.snapshot import Runs
from scheduler.core.model.ids import NodeName
from scheduler.core.model.nodes import Node
from scheduler.core.model.plans import Plan

VERSION = 1

Measured = tuple[tuple[int, int], ...]
"""Load (permille) and strangers' memory (MiB) of each device of a node."""

_ABSENT = object()


@dataclass(slots=True)
class _Told:
    """What the lines until now say."""

    rows: Mapping[NodeName, Node | None] = field(default_factory=dict)
    mappings: dict[str, Mapping[Any, Any]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    plan: Plan = field(default_factory=Plan)


class Recorder:
    """Writes lines for one reader, who gets every one of them, in their order.

    What a line says of a mapping is what was put, and null for what was dropped.
    """

    def __init__(self) -> None:
        self._told: _Told | None = None

    def start_over(self) -> None:
        """Have the next line say all: its reader hasn't seen the last one, or not all of it."""
        self._told = None

    def line(self, inputs: Inputs, plan: Plan, *, lost: int = 0) -> str:
        """Return the line of a round, without its end; `lost` rounds before it have none."""
        return "".join(self.pieces(inputs, plan, lost=lost))

    def pieces(self, inputs: Inputs, plan: Plan, *, lost: int = 0) -> Iterator[str]:
        """Yield the line in small pieces, all of which have to be taken.

        As one text a large cluster would take its size in memory several times over, and keep
        every other thread waiting.
        """
        head: dict[str, Any] = {"v": VERSION, "at": inputs.now}
        if self._told is None:
            self._told, head["whole"] = _Told(), True
        if lost:
            head["lost"] = lost
        told = self._told
        yield _dumps(head)[:-1]
        yield from _inputs(told, inputs)
        for name, part in parts(plan, told.plan, inputs.snapshot.memory):
            yield f',"{name}":{_dumps(part)}'
        yield "}"
        told.plan, told.values["memory"] = plan, plan.memory


def _inputs(told: _Told, inputs: Inputs) -> Iterator[str]:
    snapshot = inputs.snapshot
    yield from _value(told, "remains", snapshot.columns.remains)
    yield from _mapping(told, "closed", inputs.closed)
    yield from _nodes(told, inputs)
    yield from _mapping(told, "holdings", inputs.holdings)
    yield from _running(told, inputs.runs)
    yield from _mapping(told, "pending", inputs.pending)
    yield from _value(told, "tenants", snapshot.tenants)
    yield from _mapping(told, "lags", snapshot.lags)
    if snapshot.spent or "spent" in told.values:
        # Most clusters have no budgets.
        yield from _value(told, "spent", snapshot.spent)
    through = {name: each.finished for name, each in snapshot.gathered.items() if each.finished}
    yield from _mapping(told, "finished", through)
    yield from _value(told, "leaving", snapshot.leaving)
    yield from _value(told, "memory", snapshot.memory)
    # A mix is equal to itself alone, and made anew when it changes.
    yield from _value(told, "profile", inputs.profile)


def _nodes(told: _Told, inputs: Inputs) -> Iterator[str]:
    """Nodes by row, null where one is gone. What is measured moves more often: it is told apart."""
    rows = {name: inputs.nodes.get(name) for name in inputs.snapshot.columns.names}
    anew = [name for name, node in rows.items() if told.rows.get(name, _ABSENT) is not node]
    known = {name: _calm(told.rows[name]) for name in anew if name in told.rows}
    yield from _section("nodes", changes(known, {name: _calm(rows[name]) for name in anew}))
    measured = {name: _measured(node) for name, node in inputs.nodes.items()}
    moving = {name: found for name, found in measured.items() if any(map(any, found))}
    yield from _mapping(told, "measured", moving)
    told.rows = rows


def _running(told: _Told, runs: Runs | None) -> Iterator[str]:
    if runs is not None:
        yield from _mapping(told, "since", runs.since)
        yield from _value(told, "ending", runs.ending)
    yield from _value(told, "running", runs is not None)


def _calm(node: Node | None) -> Node | None:
    """The node without what is measured on it."""
    if node is None:
        return None
    devices = (replace(each, load=0, foreign_mib=0, used_mib=0) for each in node.devices)
    return replace(node, devices=tuple(devices))


def _measured(node: Node) -> Measured:
    return tuple((each.load, each.foreign_mib) for each in node.devices)


def _value(told: _Told, name: str, value: Any) -> Iterator[str]:
    """What is told whole whenever it changed."""
    if told.values.get(name, _ABSENT) != value:
        told.values[name] = value
        yield f',"{name}":{_dumps(encode(value))}'


def _mapping(told: _Told, name: str, after: Mapping[Any, Any]) -> Iterator[str]:
    """What is told key by key."""
    before = told.mappings.get(name, {})
    told.mappings[name] = after
    yield from _section(name, changes(before, after))


def _section(name: str, changed: Iterator[tuple[Any, Any]]) -> Iterator[str]:
    before = f',"{name}":{{'
    for key, value in changed:
        yield f"{before}{_dumps(key)}:{_dumps(encode(value))}"
        before = ","
    if before == ",":
        yield "}"


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
