"""The linear program: which part of a demand an empty cluster would serve, and at what prices.

Nodes of one make are one group, whose cores are pooled. Columns are pods on a group, and patterns:
sets of shares that fill one device together. There are too many patterns to list; one is added when
the prices so far say that it pays (column generation, Gilmore and Gomory 1961).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import numpy.typing as npt

from scheduler.core.ledger.columns import Columns, Ints
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.requests import Request
from scheduler.core.packing.need import Cards
from scheduler.core.packing.prices import PARTS

Floats = npt.NDArray[np.float64]

CORES_ROUNDED = 4
"""Nodes whose cores are the same by fours are of one make."""

MOST_PATTERNS = 200
"""Rounds in which patterns are added; each adds one a group at most."""

LEAST_GAIN = 1e-6
"""GPUs by which a pattern must pay to be added."""


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes of one make: `devices` of one model in each of them."""

    model: int
    devices: int
    cores: float
    nodes: int


def groups(columns: Columns) -> list[Group]:
    """Sort the nodes; devices that are ill count too, for they come back."""
    found: dict[tuple[int, int, int], tuple[float, int]] = {}
    for row in range(len(columns.names)):
        models, counts = np.unique(columns.model[row], return_counts=True)
        cores = int(columns.cpu_cap[row]) / MILLI
        for model, count in zip(models.tolist(), counts.tolist(), strict=True):
            if model >= 0:
                make = model, count, round(cores / CORES_ROUNDED)
                total, nodes = found.get(make, (0.0, 0))
                found[make] = total + cores, nodes + 1
    return [
        Group(model, devices, total / nodes, nodes)
        for (model, devices, _), (total, nodes) in sorted(found.items())
    ]


class Program:
    """The program for some requests; GPUs given out are made as many as can be."""

    def __init__(self, columns: Columns, requests: Sequence[Request]) -> None:
        self._cards, self._groups = Cards(columns), groups(columns)
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
        for group in self._groups:
            self._row(group.cores * group.nodes)
        self._sizes, self._worth = self._shares()
        self._add_pods()

    @property
    def served(self) -> float:
        """GPUs that would be given out."""
        return float(self._lp.getInfo().objective_function_value)

    def solve(self, pods: Sequence[float]) -> list[float]:
        """Return what one more pod of each request would add, GPUs, where so many are asked for.

        A pod's share less that is what it pays for the devices and cores that it takes. Patterns
        that were found are kept for the next solution.
        """
        for row, (request, most) in enumerate(zip(self._requests, pods, strict=True)):
            # Who asks for no GPU brings nothing, but is served first.
            self._lp.changeRowBounds(row, 0.0 if request.devices else most, most)
        rents = self._run(pods)
        for _ in range(MOST_PATTERNS):
            if not self._add_patterns(rents):
                break
            rents = self._run(pods)
        return [float(rent) for rent in rents[: len(self._requests)]]

    def _run(self, pods: Sequence[float]) -> Floats:
        self._lp.run()
        if self._lp.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
            # Not all who need no GPU find room: they take what there is.
            for row, most in enumerate(pods):
                self._lp.changeRowBounds(row, 0.0, most)
            self._lp.run()
        return np.array(self._lp.getSolution().row_dual, dtype=np.float64)

    def _add_pods(self) -> None:
        for row, request in enumerate(self._requests):
            for at, group in enumerate(self._groups):
                milli = self._cards.need(request, group.model) if request.devices else 0
                if milli is None or request.devices > group.devices:
                    continue
                if self._cpu[row] <= group.cores:
                    worth = request.devices * milli / MILLI
                    self._column(worth, {row: 1}, at, devices=request.devices)

    def _add_patterns(self, rents: Floats) -> bool:
        """Add the set of shares that pays best on a device of each group, where one does."""
        asked, made = len(self._requests), len(self._groups)
        devices, cores = rents[asked : asked + made], rents[asked + made :]
        gain = self._worth - rents[:asked] - cores[:, None] * self._cpu
        added = False
        for at, (best, pattern) in enumerate(_knapsacks(self._sizes, gain)):
            if best > devices[at] + LEAST_GAIN:
                worth = sum(float(self._worth[at, row]) * times for row, times in pattern.items())
                self._column(worth, pattern, at, devices=1)
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
                    sizes[at, row] = max(1, -(-milli * PARTS // MILLI))
                    worth[at, row] = milli / MILLI
        return sizes, worth

    def _row(self, most: float) -> None:
        self._lp.addRow(0.0, most, 0, np.zeros(0, dtype=np.int32), np.zeros(0))

    def _column(self, worth: float, pods: Mapping[int, int], at: int, *, devices: int) -> None:
        """Add what serves so many pods of each row on so many devices of the group."""
        first = len(self._requests) + at
        cores = sum(float(self._cpu[row]) * times for row, times in pods.items())
        entries = {**pods, first: devices, first + len(self._groups): cores}
        kept = {row: float(value) for row, value in entries.items() if value}
        rows = np.array(list(kept), dtype=np.int32)
        self._lp.addCol(worth, 0.0, np.inf, len(kept), rows, np.array(list(kept.values())))


def _knapsacks(sizes: Ints, gain: Floats) -> Iterator[tuple[float, dict[int, int]]]:
    """Yield for each line [T, J] the best set of items that fits into PARTS: its gain, and times.

    Each item may be taken as often as one likes.
    """
    lines = np.arange(len(sizes))
    # Before the first part lies what is too large.
    best = np.concatenate([np.full((len(sizes), PARTS), -np.inf), np.zeros((len(sizes), 1))], 1)
    best = np.concatenate([best, np.zeros((len(sizes), PARTS))], 1)
    took = np.full((len(sizes), PARTS + 1), -1, dtype=np.int64)
    if gain.size:
        for part in range(1, PARTS + 1):
            reached = np.take_along_axis(best, PARTS + part - sizes, 1) + gain
            item = reached.argmax(axis=1)
            top, before = reached[lines, item], best[:, PARTS + part - 1]
            better = top > before
            best[:, PARTS + part] = np.where(better, top, before)
            took[:, part] = np.where(better, item, -1)
    for line in range(len(sizes)):
        yield float(best[line, -1]), _pattern(took[line], sizes[line])


def _pattern(took: Ints, sizes: Ints) -> dict[int, int]:
    """Return how often each item was taken, from the last part back to the first."""
    found, part = dict[int, int](), PARTS
    while part > 0:
        item = int(took[part])
        if item < 0:
            part -= 1
        else:
            found[item] = found.get(item, 0) + 1
            part -= int(sizes[item])
    return found
