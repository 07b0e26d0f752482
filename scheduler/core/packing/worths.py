"""What nodes are worth as they are: worked out anew only where something changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import add

import numpy as np

from scheduler.core.ledger.block import Ints, Rows
from scheduler.core.ledger.columns import Columns
from scheduler.core.packing.prices import Tables, part_of
from scheduler.core.packing.single import Numbers

_STRANDED = ((7, 69_700), (12, 537), (24, 14_630), (36, 381))
"""Twice the cores that a GPU should find, and what one without them loses, in 1e-5 of its worth."""


@dataclass(slots=True, eq=False)
class Worths:
    """For each row [N], as of `columns.changes[:seen]`, in billionths of a GPU.

    `fetched` [N, L]: what its devices fetch at each price of a core; `useful` [N]: how much of them
    is of use; `worth` [N]: the least of all prices, with its cores, less the charge for stranded
    GPUs.
    """

    tables: Tables
    fetched: Ints
    useful: Ints
    worth: Ints
    seen: int = 0

    @classmethod
    def of(cls, tables: Tables, columns: Columns) -> "Worths":
        """Work out all rows."""
        nodes = len(columns.names)
        empty = np.zeros(nodes, dtype=np.int64)
        fetched = np.zeros((nodes, len(tables.cores)), dtype=np.int64)
        made = cls(tables, fetched, empty, empty.copy())
        made._work_out(columns, slice(None))
        made.seen = len(columns.changes)
        return made

    def update(self, columns: Columns) -> None:
        """Work out the rows that changed since."""
        changed = set(columns.changes[self.seen :])
        if changed:
            self._work_out(columns, np.array(sorted(changed), dtype=np.int64))
            self.seen = len(columns.changes)

    def _work_out(self, columns: Columns, rows: Rows) -> None:
        model, cpu = columns.model[rows], columns.free_cpu[rows]
        parts = self.tables.parts(columns.room[rows])
        fetched = self.tables.value[model, parts].sum(axis=1)
        useful = self.tables.useful[model, parts].sum(axis=1)
        self.fetched[rows], self.useful[rows] = fetched, useful
        with_cores = fetched + cpu[:, None] * self.tables.cores
        self.worth[rows] = with_cores.min(axis=1) - stranded(useful, cpu)


@dataclass(slots=True)
class Worth:
    """The same of the devices of one row, in plain numbers: `fetched` [L]."""

    fetched: Sequence[int]
    useful: int

    @classmethod
    def of(cls, tables: Tables, models: Numbers, room: Numbers) -> "Worth":
        """Work it out; numbers are by device [D]."""
        fetched, useful = [0] * len(tables.cores), 0
        devices = list(zip(models, room, strict=True))
        for model, milli in set(devices):
            part, count = part_of(milli), devices.count((model, milli))
            if part:
                each, of_use = tables.plain[model][part]
                fetched = [total + count * more for total, more in zip(fetched, each, strict=True)]
                useful += count * of_use
        return cls(fetched, useful)

    def with_cpu(self, tables: Tables, cpu: int) -> int:
        """Return what the row is worth: the least of all prices, less what is stranded."""
        lost, useful = 0, self.useful
        for halves, weight in _STRANDED:
            short = useful - cpu * 2_000_000 // halves
            if short > 0:
                lost += weight * short
        least: int = min(map(add, self.fetched, tables.bill(cpu)))
        return least - lost // 100_000


def stranded(useful: Ints, cpu: Ints) -> Ints:
    """Return the charge for useful free GPUs that can't get their cores each.

    `useful` [K] or [K, D], `cpu` (milli-CPU) [K] or [K, 1].
    """
    lost = np.zeros_like(useful)
    for halves, weight in _STRANDED:
        lost += weight * np.maximum(useful - cpu * 2_000_000 // halves, 0)
    return lost // 100_000
