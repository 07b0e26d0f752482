"""What the cluster could hold were it empty: who counts as demand, and what a request counts."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from scheduler.core.ledger.block import Ints
from scheduler.core.ledger.columns import Columns
from scheduler.core.ledger.eligibility import KINDS_KEPT, Eligibility
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.constraints import NO_CONSTRAINTS, Constraints
from scheduler.core.model.requests import Request
from scheduler.core.packing.fit import candidates, how_many


class Capacity:
    """The kinds of nodes that there are, empty. Nodes of equal make are looked at once.

    `eligibility` says which of them the constraints of a pod leave; without it, all.
    """

    def __init__(self, columns: Columns, eligibility: Eligibility | None = None) -> None:
        self._columns = self.empty = _empty(columns)
        self._eligibility = eligibility or Eligibility()
        self._kind_of, self._kinds = _kinds(self._columns)
        self._counts: dict[tuple[Request, Constraints], int | None] = {}
        self._among: dict[tuple[Request, bytes], int | None] = {}
        self._missing: dict[tuple[Request, Constraints], str] = {}
        shut = columns.shut
        in_use = np.where(shut, columns.cap - columns.free, columns.cap)
        self.gpus = Fraction(int(in_use.sum()), MILLI)
        """GPUs to share, exact: all that are open, and what is still held on those that aren't."""

    def counts(self, request: Request, constraints: Constraints = NO_CONSTRAINTS) -> int | None:
        """Return milli-GPU that a waiting request counts; None if no empty node could hold it.

        A request by memory counts as its part of the smallest card that it may use.
        """
        asked = request, constraints
        try:
            return self._counts[asked]
        except KeyError:
            if len(self._counts) >= KINDS_KEPT:
                self._counts.clear()
                self._missing.clear()
            return self._counts.setdefault(asked, self._count(request, constraints))

    def most(self, request: Request, constraints: Constraints = NO_CONSTRAINTS) -> int:
        """Return how many such pods all nodes together would hold at once were they empty."""
        rows = self._eligibility.ever(constraints)
        kinds = np.bincount(self._kind_of if rows is None else self._kind_of[rows])
        numbers = np.flatnonzero(kinds)
        most = how_many(self._columns, self._kinds[numbers], request)
        return int((most * kinds[numbers]).sum())

    def most_on_each(self, request: Request, constraints: Constraints) -> Ints:
        """Return how many such pods each row [N] would hold were it empty."""
        rows = self._eligibility.ever(constraints)
        most = how_many(self._columns, self._kinds, request)
        made: Ints = most[self._kind_of]
        return made if rows is None else _only(made, rows)

    def milli_for(self, requests: Sequence[Request]) -> int | None:
        """Return how many milli-GPU all nodes together have, if so many pods at once take more.

        None if they have enough: that doesn't mean that each finds its place.
        """
        total = int(self._columns.cap.sum())
        return total if sum(each.total_milli for each in requests) > total else None

    def missing(self, request: Request, constraints: Constraints = NO_CONSTRAINTS) -> str:
        """Say what to change about a pod that no empty node could hold."""
        asked = request, constraints
        if asked not in self._missing:
            anywhere = self._count_among(request, self._kinds) is not None
            lacks = self._excluded(request, constraints) if anywhere else self._lacks(request)
            self._missing[asked] = lacks
        return self._missing[asked]

    def _lacks(self, request: Request) -> str:
        columns = self._columns
        # Models of nodes that are gone are still in the list.
        here = [columns.models[at] for at in np.unique(columns.model[columns.cap > 0])]
        if request.devices and not here:
            return "no node has a GPU; add one that has"
        if request.models and not set(request.models) & set(here):
            return f"no node has {' or '.join(request.models)}; models here: {', '.join(here)}"
        if request.linked:
            if self._count_among(replace(request, linked=False), self._kinds) is not None:
                what = f"{request.devices} GPUs"
                return f"no node has {what} that are linked by NVLink; ask for fewer"
            request = replace(request, linked=False)
        seen = candidates(self._columns, self._kinds, request)
        most = int(np.count_nonzero(seen.devices, axis=1).max(initial=0))
        if most < request.devices:
            what = request.describe()
            if most == 0 and request.whole:
                return f"it asks for {what}, but only MIG slices are there; name their model"
            if most == 0:
                return f"it asks for {what}, more than any card has; ask for less"
            return f"it asks for {what}, the largest node has {most} such GPUs; ask for fewer"
        if not request.devices:
            return "no node that has GPUs has so much CPU and memory; ask for less"
        return "no node with enough such GPUs has the CPU and memory beside them; ask for less"

    def _excluded(self, request: Request, constraints: Constraints) -> str:
        """Say what keeps the pod off the nodes that could hold it."""
        could = np.flatnonzero(candidates(self._columns, slice(None), request).nodes)
        first = int(could[0])
        why = self._eligibility.objection(constraints, first, passing=False)
        return (
            f"{len(could)} could but for its nodeSelector, affinity or tolerations, such as "
            f"{self._columns.names[first]}, where {why}; change these, or the nodes"
        )

    def _count(self, request: Request, constraints: Constraints) -> int | None:
        rows, kinds = self._eligibility.ever(constraints), self._kinds
        if rows is not None:
            there = np.zeros(len(kinds), dtype=np.bool_)
            there[self._kind_of[rows]] = True
            kinds = kinds[there]
        # Constraints are many, the makes of nodes that they leave few.
        among = request, kinds.tobytes()
        if among not in self._among:
            self._among[among] = self._count_among(request, kinds)
        return self._among[among]

    def _count_among(self, request: Request, kinds: Ints) -> int | None:
        seen = candidates(self._columns, kinds, request)
        if not seen.nodes.any():
            return None
        if request.whole or request.memory_mib:
            # By memory the smallest card has the largest part taken; a MIG slice counts less.
            usable = seen.devices & seen.nodes[:, None]
            each = np.where(usable, np.broadcast_to(seen.milli, usable.shape), 0)
            return int(each.max()) * request.devices
        return request.total_milli


def _only(amounts: Ints, rows: Ints) -> Ints:
    """The same with 0 on all other rows."""
    found = np.zeros_like(amounts)
    found[rows] = amounts[rows]
    return found


def _empty(columns: Columns) -> Columns:
    empty = columns.copy()
    there = empty.cap > 0
    empty.free_cpu[...], empty.free_ram[...] = empty.cpu_cap, empty.ram_cap
    empty.free_pods[...] = empty.pods_cap
    empty.crowded[...] = empty.pods_cap < 1
    empty.free[...], empty.free_mib[...] = empty.cap, empty.mib_cap
    empty.room[...] = np.where(there, empty.cap, -1)
    empty.room_mib[...] = np.where(there, empty.mib_cap, -1)
    empty.shut[...] = ~there
    return empty


def _kinds(columns: Columns) -> tuple[Ints, Ints]:
    """The make of each row [N], as a number from 0, and the first row of each make."""
    described = np.concatenate(
        (
            columns.cpu_cap[:, None],
            columns.ram_cap[:, None],
            columns.pods_cap[:, None],
            columns.cap,
            columns.mib_cap,
            columns.model,
        ),
        axis=1,
    )
    makes: dict[bytes, int] = {}
    kind_of = [
        makes.setdefault(line.tobytes() + columns.links.get(row, b""), len(makes))
        for row, line in enumerate(described)
    ]
    numbers = np.array(kind_of, dtype=np.int64)
    return numbers, np.unique(numbers, return_index=True)[1]
