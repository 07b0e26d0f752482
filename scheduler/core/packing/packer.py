"""The packer: the best place for a request, by one policy."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np

from scheduler.core.ledger.block import Bools, Ints
from scheduler.core.ledger.columns import Columns
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import NodeName
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.requests import Request
from scheduler.core.packing.fit import mib_of
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.policies import POLICIES
from scheduler.core.packing.scores import FITS, NO, STEPS, Chosen, Known, Scores

CHOSEN_KEPT = 1024
"""For so many classes it is remembered which devices a shape would get."""

PASSED = 64
"""So many rows that aren't asked about are passed over before all that are have a look."""

MASKS_KEPT = 256
"""Of so many arrays of rows it is remembered which rows they are."""

_LOADS = 16


class Packer:
    """Finds places on `columns`, which others change; books nothing itself.

    `mix` is what people ask for (policies "fgd" and "bid-price"); `rank` [N] orders nodes of equal
    score, smaller first, by default the order in which they came: nodes are filled in one fixed
    order, to which "bid-price" gives a weight of its own. Of places that are alike the less loaded
    card wins. Raises InvalidInput for an unknown policy.
    """

    def __init__(
        self,
        columns: Columns,
        policy: str,
        *,
        mix: Mix | None = None,
        rank: Ints | None = None,
    ) -> None:
        if policy not in POLICIES:
            raise InvalidInput(f'no policy "{policy}"; choose one of {", ".join(POLICIES)}')
        self._columns = columns
        # A mix of its own: its tables are made for these columns, and others are in other threads.
        own = Mix(()) if mix is None else mix.twin()
        self._scores = Scores(columns, POLICIES[policy], own, rank)
        self._masks: dict[int, tuple[Ints, int, Bools]] = {}

    def place(
        self, request: Request, *, among: Ints | None = None, seed: int = 0
    ) -> Placement | None:
        """Return the best place, or None if no node has room.

        `among`: only these rows. `seed` drives policy "random": the same seed, the same place.
        """
        known = self._scores.of(request)
        if known.policy.by_chance:
            row = self._any_row(known, among, seed)
        else:
            row = self._first(known) if among is None else next(self._best(known, among, 1), None)
            if row is not None and self._columns.load_matters and request.devices:
                row = self._calmest(known, row, among)
        if row is None:
            return None
        return Placement(self._columns.names[row], self._slots(known, row, seed))

    def others(
        self, request: Request, node: NodeName, count: int, *, among: Ints | None = None
    ) -> tuple[NodeName, ...]:
        """Return at most `count` other nodes with room for the request, the best first.

        `among`: only these rows.
        """
        # One more than asked for: the node itself may be among them.
        ranked = self.ranked(request, count + 1, among=among)
        return tuple(name for name in ranked if name != node)[:count]

    def ranked(
        self, request: Request, count: int, *, among: Ints | None = None
    ) -> tuple[NodeName, ...]:
        """Return at most `count` nodes with room for the request, the best first.

        `among`: only these rows.
        """
        rows = self._best(self._scores.of(request), among, count)
        return tuple(self._columns.names[row] for row in rows)

    def scored(
        self, request: Request, *, among: Ints | None = None
    ) -> tuple[tuple[NodeName, int], ...]:
        """Return all nodes with room for the request and their scores, the best first.

        `among`: only these rows. A score includes what the policy takes off for the node's place in
        the order of nodes. What scores mean differs by policy: see Policy.tells.
        """
        known, names = self._scores.of(request), self._columns.names
        rows = np.arange(len(names)) if among is None else among
        keys = self._scores.row_keys(known, rows)
        best = [at for at in (-keys).argsort(kind="stable").tolist() if keys[at] > FITS]
        # Rounded up: that equal nodes come one after the other is no part of it.
        return tuple((names[int(rows[at])], -(-int(keys[at]) // STEPS)) for at in best)

    def fits(self, request: Request) -> bool:
        """Whether there is room anywhere."""
        return bool((self._scores.keys(self._scores.of(request)) > FITS).any())

    def _first(self, known: Known) -> int | None:
        """Return the best row, if any has room."""
        classes, keys = self._scores.classes, self._scores.keys(known)
        if not keys.size:
            return None
        number = int(keys.argmax())
        return int(classes.by_order[classes.first[number]]) if keys[number] > FITS else None

    def _best(self, known: Known, among: Ints | None, count: int) -> Iterator[int]:
        """Yield at most `count` rows with room, the best first; `among`: only of these."""
        if among is None:
            return islice(self._ranking(known), count)
        if 2 * len(among) > len(self._columns.names):
            # Most rows will do: the first that does is soon found, whatever their number.
            mask, ranking = self._mask(among), self._ranking(known)
            near = (row for row in islice(ranking, count + PASSED) if mask[row])
            passing = list(islice(near, count))
            if len(passing) >= count or next(ranking, None) is None:
                return iter(passing)
        return iter(self._best_of(known, among, count))

    def _ranking(self, known: Known) -> Iterator[int]:
        """Yield rows with room, the best first."""
        classes, keys, taken = self._scores.classes, self._scores.keys(known), Counter[int]()
        while keys.size:
            number = int(keys.argmax())
            if keys[number] <= FITS:
                return
            places = classes.places(number, taken[number] + 2)
            yield int(classes.by_order[places[taken[number]]])
            taken[number] += 1
            rest = places[taken[number] :]
            keys[number] = known.scores[number] - known.costs[rest[0]] if rest else NO

    def _best_of(self, known: Known, among: Ints, count: int) -> list[int]:
        """Return at most `count` of these rows with room, the best first."""
        if count < 1:
            return []
        keys = self._scores.row_keys(known, among)
        best = np.argpartition(keys, -count)[-count:] if len(keys) > count else np.arange(len(keys))
        best = best[np.argsort(-keys[best])]
        rows: list[int] = among[best[keys[best] > FITS]].tolist()
        return rows

    def _mask(self, among: Ints) -> Bools:
        """Which rows these are [N]; the same few arrays come again and again."""
        nodes = len(self._columns.names)
        found = self._masks.get(id(among))
        if found is None or found[0] is not among or found[1] != nodes:
            if len(self._masks) >= MASKS_KEPT:
                self._masks.clear()
            mask = np.zeros(nodes, dtype=np.bool_)
            mask[among] = True
            found = self._masks[id(among)] = among, nodes, mask
        return found[2]

    def _any_row(self, known: Known, among: Ints | None, seed: int) -> int | None:
        """Return one of the rows with room, by chance."""
        of = self._scores.classes.of
        rows = np.arange(len(of)) if among is None else among
        fits = known.scores[of[rows]] > FITS
        if not fits.any():
            return None
        drawn = np.where(fits, _scramble(len(rows), seed), np.iinfo(np.int64).min)
        return int(rows[drawn.argmax()])

    def _calmest(self, known: Known, row: int, among: Ints | None) -> int:
        """Of rows in the very same state, the one with the calmest card.

        Only those: load must not break the order in which nodes are filled.
        """
        classes = self._scores.classes
        number = int(classes.of[row])
        if among is None:
            rows = np.flatnonzero(classes.of == number)
        else:
            rows = among[classes.of[among] == number]
        if len(rows) == 1:
            return row
        # Devices of all these rows are alike, so those of one tell which would be taken first.
        fits, order = self._scores.preferred(known, row)
        least = min(order[at] for at in fits)
        first = [at for at in fits if order[at] == least]
        load = self._columns.load[rows[:, None], first].min(axis=1)
        return int(rows[(load * len(classes.of) + classes.order[rows]).argmin()])

    def _slots(self, known: Known, row: int, seed: int) -> tuple[Slot, ...]:
        request, columns = known.request, self._columns
        if not request.devices:
            return ()
        if known.policy.by_chance and not request.whole:
            fits, _ = self._scores.preferred(known, row)
            drawn = _scramble(columns.width, seed + 1).tolist()
            chosen = self._first_devices(known, row, fits, drawn)
        else:
            chosen = self._same_devices(known, row)
        uuids = columns.uuids[row]
        return tuple([Slot(index, uuids[index], milli, mib) for index, milli, mib in chosen])

    def _same_devices(self, known: Known, row: int) -> Chosen:
        """Look up which devices the pod would get, or remember it."""
        classes = self._scores.classes
        number = int(classes.of[row])
        load = self._columns.load[row].tolist() if self._columns.load_matters else []
        state = classes.version[number], load
        found = known.chosen.get(number)
        if found is None or found[0] != state:
            if len(known.chosen) >= CHOSEN_KEPT:
                known.chosen.clear()
            found = known.chosen[number] = state, self._chosen(known, row, load)
        return found[1]

    def _chosen(self, known: Known, row: int, load: Sequence[int]) -> Chosen:
        """Which devices of the row the pod would get, and how much of each."""
        fits, order = self._scores.preferred(known, row)
        if load:
            order = [each * _LOADS + busy for each, busy in zip(order, load, strict=True)]
        return self._first_devices(known, row, fits, order)

    def _first_devices(
        self, known: Known, row: int, fits: Mapping[int, int], order: Sequence[int]
    ) -> Chosen:
        """Return the first devices that fit, as many as are asked for; of equals the first one."""
        request, total = known.request, self._columns.mib_cap[row].tolist()
        first = sorted(fits, key=order.__getitem__)
        if request.devices > 1 and row in self._columns.links:
            first = _linked_first(first, self._columns.links[row], request.devices)
        first = first[: request.devices]
        return tuple([(at, fits[at], mib_of(request, total[at])) for at in sorted(first)])


def _linked_first(devices: Sequence[int], links: bytes, count: int) -> list[int]:
    """Return the same with devices first that are linked, in their order otherwise.

    All of one group if one is enough, the smallest such: larger ones are kept for larger requests.
    Else as few groups as there can be.
    """
    sizes = Counter(links[at] for at in devices)
    large = [group for group, size in sizes.items() if size >= count]
    first = [min(large, key=sizes.__getitem__)] if large else []
    rest = sorted(sizes, key=lambda group: -sizes[group])
    rank = {group: at for at, group in reversed(list(enumerate([*first, *rest])))}
    return sorted(devices, key=lambda at: rank[links[at]])


def _scramble(count: int, seed: int) -> Ints:
    """Return `count` numbers in an order of chance [count], the same for the same seed.

    SplitMix64 (Steele et al., OOPSLA'14): a counter through a mixing function.
    """
    state = np.arange(1, count + 1, dtype=np.uint64) + np.uint64((seed * 0x9E3779B9) % 2**63)
    state *= np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (state ^ (state >> np.uint64(31))).view(np.int64) >> 1
