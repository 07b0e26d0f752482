"""The linear program: which part of a demand an empty cluster would serve, and at what prices.

The cores of nodes of one make are pooled. Columns are pods on a group, and patterns: sets of shares
that fill one device together. There are too many patterns to list; one is added when the prices so
far say that it pays (column generation, Gilmore and Gomory 1961).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scheduler.core.ledger.block import Ints
from scheduler.core.ledger.columns import Columns
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.requests import Request
from scheduler.core.packing import knapsack
from scheduler.core.packing.need import Cards
from scheduler.core.packing.prices import PARTS, parts_of

Floats = npt.NDArray[np.float64]

CORES_ROUNDED = 4
"""Nodes whose cores are the same by fours are of one make."""

MOST_PATTERNS = 200
"""Rounds in which patterns are added; each adds one a group at most."""

LEAST_GAIN = 1e-6
"""GPUs by which a pattern must pay to be added."""

CORE_ALONE = 100.0
"""GPUs that a core brings to a pod without one: more than any other pod, so it is served first."""


@dataclass(frozen=True, slots=True)
class Group:
    """`devices` of one model in each of some nodes, whose cores are those of `pool`."""

    model: int
    devices: int
    nodes: int
    pool: int


@dataclass(frozen=True, slots=True)
class Pool:
    """`nodes` of one make, with so many cores each."""

    cores: float
    nodes: int


def sort_nodes(columns: Columns) -> tuple[list[Group], list[Pool]]:
    """Sort them by make; devices that are ill count too, for they come back."""
    found: dict[tuple[tuple[tuple[int, int], ...], int], tuple[float, int]] = {}
    for row in range(len(columns.names)):
        models, counts = np.unique(columns.model[row], return_counts=True)
        each = zip(models.tolist(), counts.tolist(), strict=True)
        devices = tuple((model, count) for model, count in each if model >= 0)
        cores = int(columns.cpu_cap[row]) / MILLI
        if devices:
            make = devices, round(cores / CORES_ROUNDED)
            total, nodes = found.get(make, (0.0, 0))
            found[make] = total + cores, nodes + 1
    makes = sorted(found.items())
    pools = [Pool(total / nodes, nodes) for _, (total, nodes) in makes]
    groups = [
        Group(model, count, nodes, pool)
        for pool, ((devices, _), (_, nodes)) in enumerate(makes)
        for model, count in devices
    ]
    return groups, pools


class Program:
    """The program for some requests; GPUs given out are made as many as can be."""

    def __init__(self, columns: Columns, requests: Sequence[Request]) -> None:
        # Only one policy needs a solver: the others are spared 50 ms and its memory.
        import highspy  # noqa: PLC0415

        self._cards = Cards(columns)
        self._groups, self._pools = sort_nodes(columns)
        self._requests = requests
        self._cpu = np.array([request.cpu_milli / MILLI for request in requests])
        self._lp: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        self._lp.setOptionValue("output_flag", False)
        self._lp.setOptionValue("threads", 1)
        self._lp.changeObjectiveSense(highspy.ObjSense.kMaximize)
        for _ in requests:
            self._row(0.0)
        for group in self._groups:
            self._row(float(group.devices * group.nodes))
        for pool in self._pools:
            self._row(pool.cores * pool.nodes)
        self._given: list[float] = []
        self._sizes, self._worth = self._shares()
        self._add_pods()

    @property
    def served(self) -> float:
        """GPUs that would be given out."""
        return float(np.dot(self._lp.getSolution().col_value, self._given))

    def solve(self, pods: Sequence[float]) -> list[float]:
        """Return what one more pod of each request would add, GPUs, where so many are asked for.

        A pod's share less that is what it pays for the devices and cores that it takes. Patterns
        that were found are kept for the next solution.
        """
        for row, most in enumerate(pods):
            self._lp.changeRowBounds(row, -np.inf, most)
        rents = self._run()
        for _ in range(MOST_PATTERNS):
            if not self._add_patterns(rents):
                break
            rents = self._run()
        return [max(0.0, float(rent)) for rent in rents[: len(self._requests)]]

    def _run(self) -> Floats:
        self._lp.run()
        return np.array(self._lp.getSolution().row_dual, dtype=np.float64)

    def _add_pods(self) -> None:
        for row, request in enumerate(self._requests):
            for at, group in enumerate(self._groups):
                milli = self._cards.need(request, group.model) if request.devices else 0
                if milli is None or request.devices > group.devices:
                    continue
                if self._cpu[row] <= self._pools[group.pool].cores:
                    given = request.devices * milli / MILLI
                    self._column(given, {row: 1}, at, devices=request.devices)

    def _add_patterns(self, rents: Floats) -> bool:
        """Add the set of shares that pays best on a device of each group, where one does."""
        asked, made = len(self._requests), len(self._groups)
        devices = rents[asked : asked + made]
        cores = rents[asked + made :][[group.pool for group in self._groups]]
        gain = self._worth - rents[:asked] - cores[:, None] * self._cpu
        added = False
        best, took = knapsack.fill(self._sizes, gain, PARTS)
        for at, sizes in enumerate(self._sizes):
            if best[at, PARTS] > devices[at] + LEAST_GAIN:
                pattern = knapsack.items(took[at], sizes)
                given = sum(float(self._worth[at, row]) * times for row, times in pattern.items())
                self._column(given, pattern, at, devices=1)
                added = True
        return added

    def _shares(self) -> tuple[Ints, Floats]:
        """Hundredths of a device that each share takes in each group, and its worth there."""
        shape = len(self._groups), len(self._requests)
        sizes, worth = np.full(shape, PARTS, dtype=np.int64), np.full(shape, -np.inf)
        for at, group in enumerate(self._groups):
            for row, request in enumerate(self._requests):
                milli = self._cards.need(request, group.model)
                if request.devices == 1 and not request.whole and milli is not None:
                    sizes[at, row] = parts_of(milli)
                    worth[at, row] = milli / MILLI
        return sizes, worth

    def _row(self, most: float) -> None:
        self._lp.addRow(-np.inf, most, 0, np.zeros(0, dtype=np.int32), np.zeros(0))

    def _column(self, given: float, pods: Mapping[int, int], at: int, *, devices: int) -> None:
        """Add what serves so many pods of each row, and gives out so much, on a group's devices."""
        first = len(self._requests)
        cores = sum(float(self._cpu[row]) * times for row, times in pods.items())
        pool = first + len(self._groups) + self._groups[at].pool
        entries = {**pods, first + at: devices, pool: cores}
        kept = {row: float(value) for row, value in entries.items() if value}
        rows, values = np.array(list(kept), dtype=np.int32), np.array(list(kept.values()))
        worth = given if devices else cores * CORE_ALONE
        self._lp.addCol(worth, 0.0, np.inf, len(kept), rows, values)
        self._given.append(given)
