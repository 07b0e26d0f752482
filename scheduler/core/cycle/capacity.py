"""What the cluster could hold were it empty: who counts as demand, and what a request counts."""

from fractions import Fraction

import numpy as np

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.requests import Request
from scheduler.core.packing.fit import candidates


class Capacity:
    """The kinds of nodes that there are, empty. Nodes of equal make are looked at once."""

    def __init__(self, columns: Columns) -> None:
        self._columns = _empty(columns)
        self._kinds = _kinds(self._columns)
        self._counts: dict[Request, int | None] = {}
        shut = columns.shut
        in_use = np.where(shut, columns.cap - columns.free, columns.cap)
        self.gpus = Fraction(int(in_use.sum()), MILLI)
        """GPUs to share, exact: all that are open, and what is still held on those that aren't."""

    def counts(self, request: Request) -> int | None:
        """Return milli-GPU that a waiting request counts; None if no empty node could hold it.

        A request by memory counts as its part of the smallest card that it may use.
        """
        try:
            return self._counts[request]
        except KeyError:
            return self._counts.setdefault(request, self._count(request))

    def missing(self, request: Request) -> str:
        """Say what to change about a request that no empty node could hold."""
        columns = self._columns
        # Models of nodes that are gone are still in the list.
        here = [columns.models[at] for at in np.unique(columns.model[columns.cap > 0])]
        if request.devices and not here:
            return "no node has a GPU; add one that has"
        if request.models and not set(request.models) & set(here):
            return f"no node has {' or '.join(request.models)}; models here: {', '.join(here)}"
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

    def _count(self, request: Request) -> int | None:
        seen = candidates(self._columns, self._kinds, request)
        if not seen.nodes.any():
            return None
        if request.whole or request.memory_mib:
            # By memory the smallest card has the largest part taken; a MIG slice counts less.
            usable = seen.devices & seen.nodes[:, None]
            each = np.where(usable, np.broadcast_to(seen.milli, usable.shape), 0)
            return int(each.max()) * request.devices
        return request.total_milli


def _empty(columns: Columns) -> Columns:
    empty = columns.copy()
    there = empty.cap > 0
    empty.free_cpu, empty.free_ram = empty.cpu_cap.copy(), empty.ram_cap.copy()
    empty.free, empty.free_mib = empty.cap.copy(), empty.mib_cap.copy()
    empty.room = np.where(there, empty.cap, -1)
    empty.room_mib = np.where(there, empty.mib_cap, -1)
    empty.shut = ~there
    return empty


def _kinds(columns: Columns) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """One row of each make of node."""
    described = np.concatenate(
        (
            columns.cpu_cap[:, None],
            columns.ram_cap[:, None],
            columns.cap,
            columns.mib_cap,
            columns.model,
        ),
        axis=1,
    )
    first: dict[bytes, int] = {}
    for row, line in enumerate(described):
        first.setdefault(line.tobytes(), row)
    return np.fromiter(first.values(), dtype=np.int64, count=len(first))
