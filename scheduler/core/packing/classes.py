"""Rows in the same state, which are as good as each other to whoever comes: classes of them.

Large clusters have few kinds of nodes, and these go through the same few states again and again. So
scores are kept by class, and of a class the first row in the order of nodes stands for all.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from scheduler.core.ledger.block import Ints
from scheduler.core.ledger.columns import Columns
from scheduler.core.packing.single import Single

SPARE = 256
"""So many classes without a row are remembered."""


class Classes:
    """The classes of `columns`, as of the last `update`.

    `of` [N]: the class of each row. By class, `used` of them: `first` [S], the place in the order
    of nodes of its first row (N where it has none), and `version`, which changes when the number
    comes to mean another state. `born` lists classes that came to have rows, oldest first.
    `order` [N]: where in the order of nodes each row comes, `by_order` [N]: the row at each place.
    """

    def __init__(self, columns: Columns, rank: Ints, *, hosted: bool) -> None:
        nodes = len(columns.names)
        self.by_order = np.argsort(rank, kind="stable")
        self.order = np.empty(nodes, dtype=np.int64)
        self.order[self.by_order] = np.arange(nodes, dtype=np.int64)
        self.of = np.zeros(nodes, dtype=np.int64)
        self.used = 0
        self.born: list[int] = []
        self.version: list[int] = []
        self.first = np.zeros(0, dtype=np.int64)
        self._hosted = hosted
        self._numbers: dict[bytes, int] = {}
        self._states: list[bytes] = []
        self._members: list[list[int]] = []
        self._singles: list[Single | None] = []
        self._empty: OrderedDict[int, None] = OrderedDict()
        self._seen = len(columns.changes)
        for place, row in enumerate(self.by_order.tolist()):
            number = self._number(columns.state(row, hosted=hosted))
            self.of[row] = number
            self._members[number].append(place)
        self.born = list(range(self.used))
        self.first[: self.used] = [members[0] for members in self._members]

    def update(self, columns: Columns) -> None:
        """Follow what changed since; the epoch of the columns must be the same still."""
        changes = columns.changes
        if len(changes) == self._seen:
            return
        for row in dict.fromkeys(changes[self._seen :]):
            before = int(self.of[row])
            state = columns.state(row, hosted=self._hosted)
            if self._states[before] != state:
                place = int(self.order[row])
                self._leave(before, place)
                self.of[row] = number = self._number(state)
                self._join(number, place)
        self._seen = len(changes)

    def places(self, number: int, count: int) -> list[int]:
        """Return the first `count` places in the order of nodes that rows of the class have."""
        return self._members[number][:count]

    def news(self, since: int, known: Sequence[int]) -> list[int]:
        """Return classes with rows that are in `born[since:]` and of another version than known."""
        version, members = self.version, self._members
        numbers = set(self.born[since:])
        return [each for each in numbers if members[each] and known[each] != version[each]]

    def single(self, columns: Columns, number: int) -> Single:
        """Return a row of the class as plain numbers; it must have some."""
        single = self._singles[number]
        if single is None:
            row = int(self.by_order[self._members[number][0]])
            single = self._singles[number] = Single.of(columns, row)
        return single

    def row_of(self, numbers: Ints) -> Ints:
        """Return a row of each of the classes [K]; they must have some."""
        rows: Ints = self.by_order[self.first[numbers]]
        return rows

    def _leave(self, number: int, place: int) -> None:
        members = self._members[number]
        del members[bisect_left(members, place)]
        if not members:
            self.first[number] = len(self.of)
            self._empty[number] = None
        elif members[0] > place:
            self.first[number] = members[0]

    def _join(self, number: int, place: int) -> None:
        members = self._members[number]
        if not members:
            self._empty.pop(number, None)
            self.born.append(number)
        insort(members, place)
        self.first[number] = members[0]

    def _number(self, state: bytes) -> int:
        known = self._numbers.get(state)
        if known is not None:
            return known
        number = self._forget() if len(self._empty) > SPARE else self._add()
        self._states[number] = state
        self._singles[number] = None
        self._numbers[state] = number
        self.version[number] += 1
        return number

    def _add(self) -> int:
        if self.used == len(self.first):
            size = max(2 * self.used, 16)
            self.first = _longer(self.first, size, filler=len(self.of))
        self.used += 1
        self._states.append(b"")
        self.version.append(0)
        self._members.append([])
        self._singles.append(None)
        return self.used - 1

    def _forget(self) -> int:
        """Return the number of the class that has been without a row for longest."""
        number, _ = self._empty.popitem(last=False)
        del self._numbers[self._states[number]]
        return number


def _longer(array: Ints, size: int, *, filler: int) -> Ints:
    longer = np.full(size, filler, dtype=np.int64)
    longer[: len(array)] = array
    return longer
