"""Which nodes the constraints of a pod leave, worked out once for each kind of constraints.

Nodes are looked at by column, as for room: what a label is on every node, then for each line of a
term which of its values will do. So thousands of nodes cost a look at a few values.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import eq

import numpy as np

from scheduler.core.ledger.block import Bools, Ints
from scheduler.core.model.constraints import NAME_FIELD, Constraints, Taint, Term
from scheduler.core.model.ids import NodeName
from scheduler.core.model.nodes import Node

Selector = tuple[tuple[str, str], ...]
"""Labels and their values."""

KINDS_KEPT = 2048
"""Different constraints that are remembered; past that many it begins anew."""


@dataclass(frozen=True, slots=True)
class _Column:
    """What something is on each row: the `values` that occur, and which of them, by row [N]."""

    values: tuple[str | None, ...]
    codes: Ints

    @classmethod
    def of(cls, found: Iterable[str | None]) -> "_Column":
        known: dict[str | None, int] = {}
        codes = [known.setdefault(value, len(known)) for value in found]
        return cls(tuple(known), np.array(codes, dtype=np.int64))

    def where(self, holds: Callable[[str | None], bool]) -> Bools:
        """Rows [N] for whose value it holds."""
        truth = np.array([holds(value) for value in self.values], dtype=np.bool_)
        return truth[self.codes]


@dataclass(frozen=True, slots=True)
class Domains:
    """Nodes that agree in some labels: `selectors` say in which values, `of` [N] which each is of.

    -1 for a node without the last of the labels; others it may lack.
    """

    selectors: tuple[Selector, ...]
    of: Ints

    @classmethod
    def of_nodes(cls, nodes: Iterable[Node | None], labels: tuple[str, ...]) -> "Domains":
        """Sort the nodes by these labels."""
        known: dict[Selector, int] = {}
        codes = []
        for node in nodes:
            has = node.labels if node else {}
            found = tuple((key, has[key]) for key in labels if key in has)
            inside = labels[-1] in has
            codes.append(known.setdefault(found, len(known)) if inside else -1)
        return cls(tuple(known), np.array(codes, dtype=np.int64))

    def sums(self, amounts: Ints) -> Ints:
        """Sum up what there is on each row [N], by domain."""
        inside, count = self.of >= 0, len(self.selectors)
        # Weights are floats, exact up to 2**53.
        found = np.bincount(self.of[inside], weights=amounts[inside], minlength=count)
        return found.astype(np.int64)


class Eligibility:
    """Answers by row, for rows that keep their nodes: the ledger makes a new one when they don't.

    All that it remembers follows from the nodes, so that threads may share it: at worst two of them
    work out the same thing. A row whose node is gone counts as allowed, for nothing fits there.
    """

    def __init__(
        self, names: Sequence[NodeName] = (), nodes: Mapping[NodeName, Node] | None = None
    ) -> None:
        known = nodes or {}
        self._nodes = tuple(known.get(name) for name in names)
        self._gone = np.array([node is None for node in self._nodes], dtype=np.bool_)
        groups: dict[tuple[Taint, ...], int] = {}
        codes = [groups.setdefault(n.taints if n else (), len(groups)) for n in self._nodes]
        self._taints, self._taint_codes = tuple(groups), np.array(codes, dtype=np.int64)
        self._labels: dict[str, _Column] = {}
        self._names, self._nothing = _Column.of(names), _Column.of("" for _ in names)
        self._domains: dict[tuple[str, ...], Domains] = {}
        self._now: dict[Constraints, Ints | None] = {}
        self._ever: dict[Constraints, Ints | None] = {}

    def now(self, constraints: Constraints) -> Ints | None:
        """Return the rows [K] that kube-scheduler would take now, in order; None for all."""
        try:
            return self._now[constraints]
        except KeyError:
            return _keep(self._now, constraints, self._rows(constraints, passing=True))

    def ever(self, constraints: Constraints) -> Ints | None:
        """Return the rows that it takes once states of the moment, such as "not ready", are over.

        Who counts as demand must not change with them.
        """
        try:
            return self._ever[constraints]
        except KeyError:
            return _keep(self._ever, constraints, self._rows(constraints, passing=False))

    def domains(self, labels: tuple[str, ...]) -> "Domains":
        """Return the domains of nodes that agree in all of these labels, from wide to narrow."""
        if labels not in self._domains:
            self._domains[labels] = Domains.of_nodes(self._nodes, labels)
        return self._domains[labels]

    def objection(self, constraints: Constraints, row: int, *, passing: bool) -> str:
        """Say in a few words what keeps such a pod off the row now, or with `passing` False ever.

        "" where nothing does.
        """
        node = self._nodes[row]
        return "" if node is None else constraints.objection(node, passing=passing)

    def _rows(self, constraints: Constraints, *, passing: bool) -> Ints | None:
        mask = self._tolerated(constraints, passing=passing)
        for key, value in constraints.selector:
            mask &= self._label(key).where(partial(eq, value))
        for group in constraints.terms:
            mask &= self._any_of(group)
        mask |= self._gone
        if mask.all():
            return None
        rows = np.flatnonzero(mask)
        rows.flags.writeable = False
        return rows

    def _tolerated(self, constraints: Constraints, *, passing: bool) -> Bools:
        truth = [
            constraints.tolerate(taint for taint in taints if passing or not taint.passing)
            for taints in self._taints
        ]
        return np.array(truth, dtype=np.bool_)[self._taint_codes]

    def _any_of(self, group: Iterable[Term]) -> Bools:
        mask = np.zeros(len(self._nodes), dtype=np.bool_)
        for term in group:
            mask |= self._all_of(term)
        return mask

    def _all_of(self, term: Term) -> Bools:
        mask = np.full(len(self._nodes), bool(term.labels or term.fields))
        for line in term.labels:
            mask &= self._label(line.key).where(line.holds)
        for line in term.fields:
            column = self._names if line.key == NAME_FIELD else self._nothing
            mask &= column.where(line.holds_for_field)
        return mask

    def _label(self, key: str) -> _Column:
        column = self._labels.get(key)
        if column is None:
            column = _Column.of(node.labels.get(key) if node else None for node in self._nodes)
            self._labels[key] = column
        return column


def _keep(
    known: dict[Constraints, Ints | None], constraints: Constraints, rows: Ints | None
) -> Ints | None:
    if len(known) >= KINDS_KEPT:
        known.clear()
    known[constraints] = rows
    return rows
