"""The mix: what people ask for, as a histogram, and how much of what is free can serve it.

Fragmentation as in Weng et al., "Beware of Fragmentation" (USENIX ATC'23): for a node and a typical
request q, the free milli-GPU that q can't use; weighted by how frequent q is.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from scheduler.core.ledger.block import Bools, Ints, Rows
from scheduler.core.ledger.columns import Columns
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.requests import Request, Spreading
from scheduler.core.packing.need import Cards
from scheduler.core.packing.prices import Bids, Tables, tables
from scheduler.core.packing.single import Numbers
from scheduler.core.packing.worths import Worth, Worths

STATES_KEPT = 16_384
"""Of so many states of single rows it is remembered how much of them is usable."""

NEVER = MILLI + 1
"""More than any card counts: a share that can't go there."""


class Mix:
    """The most frequent requests, and tables that answer "how much is usable" by look-up.

    Weights are counts, so that every sum is an exact integer. `total` is their sum; divide by it to
    get milli-GPU. `bids`: at what prices they would be served (policy "bid-price"); () for none.
    """

    def __init__(self, weights: Sequence[tuple[Request, int]], bids: Sequence[Bids] = ()) -> None:
        self.weights, self.bids = tuple(weights), tuple(bids)
        self.total = sum(count for _, count in weights)
        self._singles = [(q, n) for q, n in weights if q.devices == 1]
        self._wholes = [(q, n) for q, n in weights if q.devices > 1 and q.whole]
        self._several = [(q, n) for q, n in weights if q.devices > 1 and not q.whole]
        self._cores = np.unique(np.array([q.cpu_milli for q, _ in weights], dtype=np.int64))
        self._compiled_for: tuple[Columns, int] | None = None
        self._tables: tuple[Columns, int, Tables] | None = None
        self._worths: Worths | None = None
        self._worth_of: dict[tuple[Numbers, Numbers], Worth] = {}
        self._usable = self._together = np.zeros(0, dtype=np.int64)
        self._most = 0
        self._shares: list[Ints] = []
        self._core_list: list[int] = self._cores.tolist()
        # The tables read one number at a time.
        self._usable_list = self._together_list = self._usable.data
        self._share_lists: list[list[int]] = []
        self._known: dict[tuple[int, Numbers, Numbers, Numbers], int] = {}

    @classmethod
    def of(cls, requests: Iterable[Request], keep: float = 0.95) -> "Mix":
        """Count requests and keep the most frequent that make up `keep` of them."""
        return cls.counted(Counter(requests), keep)

    @classmethod
    def counted(
        cls, seen: Mapping[Request, int], keep: float = 0.95, bids: Sequence[Bids] = ()
    ) -> "Mix":
        """Keep the most frequent of requests that were counted, up to `keep` of all.

        Node memory doesn't count. Ties: larger CPU, share, number of devices, models first.
        """
        counts: Counter[Request] = Counter()
        for request, count in seen.items():
            counts[replace(request, ram_mib=0, spreading=Spreading.PACK)] += count
        ranked = sorted(counts.items(), key=lambda item: _rank(*item), reverse=True)
        enough, taken = keep * counts.total(), 0
        kept = []
        for request, count in ranked:
            if taken >= enough:
                break
            kept.append((request, count))
            taken += count
        return cls(kept, bids)

    def twin(self) -> "Mix":
        """Return the same for other columns, or another thread: it makes tables of its own."""
        return Mix(self.weights, self.bids)

    def tables(self, columns: Columns) -> Tables:
        """Return what devices fetch by the bids; worked out once an epoch."""
        found = self._tables
        if found is None or found[0] is not columns or found[1] != columns.epoch:
            found = self._tables = columns, columns.epoch, tables(columns, self.bids)
            self._worths = None
            self._worth_of.clear()
        return found[2]

    def worths(self, columns: Columns) -> Worths:
        """Return what the rows are worth by the bids."""
        tables = self.tables(columns)
        if self._worths is None:
            self._worths = Worths.of(tables, columns)
        self._worths.update(columns)
        return self._worths

    def worth_of(self, columns: Columns, models: Numbers, room: Numbers) -> Worth:
        """Return the same of the devices of one row; numbers are by device [D]."""
        tables, state = self.tables(columns), (models, room)
        found = self._worth_of.get(state)
        if found is None:
            if len(self._worth_of) >= STATES_KEPT:
                self._worth_of.clear()
            found = self._worth_of[state] = Worth.of(tables, models, room)
        return found

    def fragmented(self, columns: Columns, rows: Rows) -> Ints:
        """F of each row [K], times `total`: free capacity that the mix can't use."""
        room = np.maximum(columns.room[rows], 0)
        free = room.sum(axis=1)
        whole = (room == columns.cap[rows]) & (room > 0)
        usable = self.usable(columns, rows, room, whole, columns.free_cpu[rows])
        fragmented: Ints = free * self.total - usable
        return fragmented

    def usable(
        self, columns: Columns, rows: Rows, room: Ints, whole: Bools, free_cpu: Ints
    ) -> Ints:
        """Return usable milli-GPU of each row [K], times `total`, were the rows in the given state.

        `room` [K, D] milli that new pods may take, `whole` [K, D] untouched, `free_cpu` [K].
        """
        line = self.lines(columns, rows, free_cpu)
        each = self.value(line, room)
        if self._wholes:
            untouched = np.count_nonzero(whole, axis=1)
            each = each + whole * room * self.value_of_wholes(line, untouched)
        total: Ints = each.sum(axis=1)
        for (request, count), need in zip(self._several, self._shares, strict=True):
            fit = room >= need[columns.model[rows]]
            enough = np.count_nonzero(fit, axis=1) >= request.devices
            enough &= free_cpu >= request.cpu_milli
            total = total + count * enough * (room * fit).sum(axis=1)
        return total

    def usable_of(
        self, columns: Columns, models: Numbers, caps: Numbers, room: Numbers, free_cpu: int
    ) -> int:
        """Return usable milli-GPU of one row, times `total`; numbers are by device [D]."""
        self._compile(columns)
        state = bisect_right(self._core_list, free_cpu), models, caps, room
        found = self._known.get(state)
        if found is None:
            if len(self._known) >= STATES_KEPT:
                self._known.clear()
            found = self._known[state] = self._usable_of(*state)
        return found

    def _usable_of(self, bucket: int, models: Numbers, caps: Numbers, room: Numbers) -> int:
        size, buckets = self._most + 1, len(self._core_list) + 1
        untouched = sum(0 < cap == milli for cap, milli in zip(caps, room, strict=True))
        most, total = min(untouched, self._most), 0
        for model, cap, milli in zip(models, caps, room, strict=True):
            if milli > 0:
                line = model * buckets + bucket
                count = self._usable_list[line * (MILLI + 1) + milli]
                if cap == milli:
                    count += self._together_list[line * size + most]
                total += milli * count
        for (request, count), need in zip(self._several, self._share_lists, strict=True):
            if bucket >= self._bucket(request):
                fit = [r for m, r in zip(models, room, strict=True) if r >= need[m]]
                total += count * sum(fit) if len(fit) >= request.devices else 0
        return total

    def lines(self, columns: Columns, rows: Rows, free_cpu: Ints) -> Ints:
        """Return each device's line in the tables [K, D], by its model and its node's free CPU."""
        self._compile(columns)
        bucket = np.searchsorted(self._cores, free_cpu, side="right")
        lines: Ints = columns.model[rows] * (len(self._cores) + 1) + bucket[:, None]
        return lines

    def value(self, lines: Ints, room: Ints) -> Ints:
        """Return what one-device requests can use of each device [K, D], times `total`."""
        # Where there is no device the line is wrong and `room` 0: any entry will do, times 0.
        return room * self._usable.take(lines * (MILLI + 1) + room, mode="clip")

    def value_of_wholes(self, lines: Ints, untouched: Ints) -> Ints:
        """Weight of requests for several whole devices, by untouched devices [K]: [K, D]."""
        count = np.minimum(np.maximum(untouched, 0), self._most)
        return self._together.take(lines * (self._most + 1) + count[:, None], mode="clip")

    def value_of_several(
        self, columns: Columns, rows: Rows, room: Ints, left: Ints, free_cpu: Ints
    ) -> Ints:
        """What requests for shares of several devices can use if device d has only `left`: [K, D].

        Of the whole node, times `total`; `room` [K, D] is what the devices have before.
        """
        value = np.zeros(room.shape, dtype=np.int64)
        for (request, count), need in zip(self._several, self._shares, strict=True):
            least = need[columns.model[rows]]
            before, after = room >= least, left >= least
            used, used_after = room * before, left * after
            devices = np.count_nonzero(before, axis=1)[:, None] - before + after
            usable = used.sum(axis=1, keepdims=True) - used + used_after
            enough = (devices >= request.devices) & (free_cpu >= request.cpu_milli)[:, None]
            value += count * enough * usable
        return value

    def allowed(self, columns: Columns) -> Ints:
        """Return the weight of requests that may use each model [M + 1]; the last: no device."""
        cards = Cards(columns)
        asked = [(request, count) for request, count in self.weights if request.devices]
        each = [sum(n for q, n in asked if cards.may_hold(q, at)) for at in range(len(cards))]
        return np.array([*each, 0], dtype=np.int64)

    @property
    def has_wholes(self) -> bool:
        """Whether requests for several whole devices are among the frequent ones."""
        return bool(self._wholes)

    @property
    def has_several(self) -> bool:
        """Whether requests for shares of several devices are among the frequent ones."""
        return bool(self._several)

    def _compile(self, columns: Columns) -> None:
        """Build the tables, [models, CPU buckets, milli] and [models, CPU buckets, devices]."""
        if self._compiled_for is not None:
            compiled, epoch = self._compiled_for
            if compiled is columns and epoch == columns.epoch:
                return
        # Kept by reference: the id of columns that are gone may be that of the next ones.
        self._compiled_for = (columns, columns.epoch)
        self._known.clear()
        cards = Cards(columns)
        # One entry at least, to be looked up where a cluster has no device at all.
        shape = (max(len(cards), 1), len(self._cores) + 1)
        self._most = max((q.devices for q, _ in self._wholes), default=0)
        usable = np.zeros((*shape, MILLI + 1), dtype=np.int64)
        together = np.zeros((*shape, self._most + 1), dtype=np.int64)
        for at in range(len(cards)):
            for q, count in self._singles:
                usable[at, self._bucket(q) :, _need(cards, q, at) :] += count
            for q, count in self._wholes:
                if cards.may_use(q, at):
                    together[at, self._bucket(q) :, q.devices :] += count
        self._usable, self._together = usable.reshape(-1), together.reshape(-1)
        self._usable_list, self._together_list = self._usable.data, self._together.data
        self._shares = [
            np.array([*(_need(cards, q, at) for at in range(len(cards))), NEVER])
            for q, _ in self._several
        ]
        self._share_lists = [need.tolist() for need in self._shares]

    def _bucket(self, request: Request) -> int:
        return int(np.searchsorted(self._cores, request.cpu_milli, side="right"))


def _rank(request: Request, count: int) -> tuple[int, int, int, int, tuple[str, ...]]:
    return (count, request.cpu_milli, request.milli, request.devices, request.models)


def _need(cards: Cards, request: Request, at: int) -> int:
    """Milli-GPU of one share on a card of model `at`; NEVER if it can't go there."""
    milli = cards.need(request, at)
    return NEVER if milli is None else milli
