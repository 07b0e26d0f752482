"""How near a gang sits: which domains it tries, racks before blocks, and in which order.

A domain is the nodes that agree in a label, and in the wider ones that the settings name before it.
Of those with room the one with the least: large ones are kept for large gangs. That is Kueue's
order, too (KEP-2724, BestFit).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import islice

import numpy as np

from scheduler.core.cycle.kinds import Kind, Kinds
from scheduler.core.ledger.block import Bools, Ints
from scheduler.core.ledger.columns import Columns
from scheduler.core.ledger.eligibility import Domains, Eligibility, Selector
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.gangs import Topology
from scheduler.core.model.ids import NodeName
from scheduler.core.model.pods import Pod
from scheduler.core.packing.fit import how_many

MOST_TRIED = 32
"""So many domains of a level at most are looked at for one gang: each may take a place a pod."""

ANYWHERE: Selector = ()


class Places:
    """The domains of a cluster in one round. `levels` are labels of nodes, from wide to narrow."""

    def __init__(self, levels: Iterable[str], eligibility: Eligibility, kinds: Kinds) -> None:
        self._eligibility, self._kinds, self._said = eligibility, kinds, tuple(levels)
        self._levels: tuple[str, ...] | None = None

    @property
    def levels(self) -> tuple[str, ...]:
        """Those that any node has. Most rounds have no gang, and need not know."""
        if self._levels is None:
            self._levels = tuple(name for name in self._said if self._domains((name,)).selectors)
        return self._levels

    def tries(
        self, members: Sequence[Pod], columns: Columns, near: Sequence[NodeName]
    ) -> Iterator[Selector]:
        """Yield where to look for room for those that start together, the best first.

        `near`: where others of their gang are already.
        """
        gang = members[0].gang
        if gang is None or not (self.levels or gang.topology):
            yield ANYWHERE
            return
        room_for = cache(partial(self._room_on_each, columns))
        for labels in self._labels(gang.topology):
            found = self._domains(labels)
            if near:
                yield from islice(_domains_of(near, found, columns), 1)
            elif len(members) > 1 or gang.level:
                fits = self._room_for(found, members, room_for) & _within(found, gang.level)
                if fits.any():
                    fits &= _room_for_the_sum(found, members, columns)
                    yield from self._ordered(found, fits, _free(found, columns))
        # Where it is required they go nowhere else by then, if others are anywhere.
        if near or not gang.level:
            yield ANYWHERE

    def possible(self, members: Sequence[Pod], columns: Columns) -> Iterator[Selector]:
        """Yield where all of them would have room were it empty, that with the most free first.

        Anywhere, for those that need not be near each other.
        """
        gang = members[0].gang
        if gang is None or not gang.level:
            yield ANYWHERE
            return
        found = self._domains(self._path(gang.level))
        fits = self._room_for(found, members, self._kinds.most_on_each)
        yield from self._ordered(found, fits, -_free(found, columns))

    def domain_of(self, node: NodeName, level: str, columns: Columns) -> Selector | None:
        """Return the domain of a node; None if it is of none."""
        return next(_domains_of((node,), self._domains(self._path(level)), columns), None)

    def most(self, kind: Kind, level: str) -> int:
        """Return how many such pods the largest domain would hold were it empty."""
        found = self._domains(self._path(level))
        return int(found.sums(self._kinds.most_on_each(kind)).max(initial=0))

    def roomiest(self, level: str, columns: Columns) -> tuple[Selector, int]:
        """Return the domain with the most free, and how much that is (milli-GPU)."""
        found = self._domains(self._path(level))
        if not found.selectors:
            return ANYWHERE, 0
        free = _free(found, columns)
        return found.selectors[int(free.argmax())], int(free.max())

    def _labels(self, topology: Topology | None) -> Iterator[tuple[str, ...]]:
        """The levels to try, narrow ones first; wider ones than what is required are of no use."""
        level, required = (topology.level, topology.required) if topology else ("", False)
        if level and level not in self.levels:
            yield (level,)
            if required:
                return
        for name in reversed(self.levels):
            yield self._path(name)
            if required and name == level:
                return

    def _path(self, level: str) -> tuple[str, ...]:
        """The level, and those wider than it."""
        if level not in self.levels:
            return (level,)
        return self.levels[: self.levels.index(level) + 1]

    def _domains(self, labels: tuple[str, ...]) -> Domains:
        return self._eligibility.domains(labels)

    def _room_on_each(self, columns: Columns, kind: Kind) -> Ints:
        """How many such pods each row [N] has room for."""
        rows = self._eligibility.now(kind.constraints)
        most = how_many(columns, slice(None), kind.request)
        if rows is None:
            return most
        found = np.zeros_like(most)
        found[rows] = most[rows]
        return found

    def _room_for(
        self, found: Domains, members: Sequence[Pod], on_each: Callable[[Kind], Ints]
    ) -> Bools:
        """Which domains have room for all of them, kind by kind."""
        fits = np.ones(len(found.selectors), dtype=np.bool_)
        for kind, count in Counter(map(self._kinds.of, members)).items():
            fits &= found.sums(on_each(kind)) >= count
        return fits

    @staticmethod
    def _ordered(found: Domains, fits: Bools, key: Ints) -> Iterator[Selector]:
        at = np.flatnonzero(fits)
        at = at[np.argsort(key[at], kind="stable")]
        # Of too many the other end, too: what is too small for all kinds at once may be most of it.
        for number in (*at[: MOST_TRIED - 1], *at[MOST_TRIED - 1 :][-1:]):
            yield found.selectors[number]


def _domains_of(nodes: Iterable[NodeName], found: Domains, columns: Columns) -> Iterator[Selector]:
    """Yield the domain of each node that is of one."""
    rows = (columns.row[node] for node in nodes if node in columns.row)
    return (found.selectors[at] for row in rows if (at := int(found.of[row])) >= 0)


def _within(found: Domains, level: str) -> Bools:
    """Which domains are inside of one of that level: a rack may be in no block; "": all."""
    inside = (not level or any(key == level for key, _ in each) for each in found.selectors)
    return np.fromiter(inside, dtype=np.bool_, count=len(found.selectors))


def _room_for_the_sum(found: Domains, members: Sequence[Pod], columns: Columns) -> Bools:
    """Which domains have as much free as they ask for together, and as many whole devices."""
    requests = [pod.request for pod in members]
    milli = sum(request.total_milli for request in requests)
    whole = sum(request.devices for request in requests if request.milli == MILLI)
    unused = np.count_nonzero(columns.room >= MILLI, axis=1)
    return (_free(found, columns) >= milli) & (found.sums(unused) >= whole)


def _free(found: Domains, columns: Columns) -> Ints:
    """Milli-GPU that are free in each domain."""
    return found.sums(np.maximum(columns.room, 0).sum(axis=1))
