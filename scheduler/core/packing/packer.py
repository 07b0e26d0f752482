"""The packer: the best place for a request, by one policy.

Scores are kept for each kind of request and class of rows in the same state; only classes that came
to be since are scored, so that a placement doesn't cost a look at the whole cluster.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from scheduler.core.ledger.block import Ints
from scheduler.core.ledger.columns import Columns
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import NodeName
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.requests import Request, Spreading
from scheduler.core.packing.classes import Classes
from scheduler.core.packing.fit import Candidates, allowed_models, candidates, mib_of
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.policies import POLICIES, Policy, Scored
from scheduler.core.packing.single import Seen, look

SHAPES_KEPT = 512
"""Scores of at most so many request shapes are kept; 16 bytes a class of rows and shape."""

CHOSEN_KEPT = 1024
"""For so many classes it is remembered which devices a shape would get."""

BLOCK = 512
"""Rows scored at a time, so that arrays stay in the processor's cache."""

FEW = 12
"""Up to so many rows are scored one by one, which is faster for few."""

_NO, _FAR = -(2**61), 2**61
"""The score of what doesn't fit, and what the place of a class without a row costs."""

_FITS = -(2**60)
"""Keys of what fits are above it."""

_RANKS = 2**24
_LEAST = -(2**36)
"""Less than any score."""

_LOADS = 16
_ROOMS = 2**11

Chosen = tuple[tuple[int, int], ...]
"""Indices of devices, and milli-GPU of each."""


@dataclass(slots=True)
class _Kept:
    """What is known of one shape: `scores` [S] by class (`_NO` where it doesn't fit).

    Scores are valid where `version` is that of the class; classes were looked at up to
    `classes.born[:seen]`. `may` [models + 1]: which models it may use, the last: no device.
    `chosen`: what a pod would get of a row of the class, with the version and the load that it
    holds for. `fresh`: what was seen of classes that were scored last: they are often the best.
    """

    scores: Ints
    version: list[int]
    may: list[bool]
    seen: int = 0
    fresh: dict[int, tuple[Seen, Scored]] = field(default_factory=dict)
    chosen: dict[int, tuple[tuple[int, list[int]], Chosen]] = field(default_factory=dict)

    def resize(self, classes: int) -> None:
        """Make room for so many classes; nothing is known of new ones."""
        more = classes - len(self.scores)
        if more > 0:
            self.scores = np.append(self.scores, np.full(more, _NO, dtype=np.int64))
            self.version += [0] * more


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
        self._policy = POLICIES[policy]
        # A mix of its own: its tables are made for these columns, and others are in other threads.
        self._mix = Mix(()) if mix is None else mix.twin()
        self._given_rank = rank
        self._kept: OrderedDict[Request, _Kept] = OrderedDict()
        # Nothing is worked out before it is asked for: most rounds ask for nothing.
        self._epoch = -1
        self._classes: Classes
        self._places = self._dear = np.zeros(0, dtype=np.int64)

    def place(
        self, request: Request, *, among: Ints | None = None, seed: int = 0
    ) -> Placement | None:
        """Return the best place, or None if no node has room.

        `among`: only these rows. `seed` drives policy "random": the same seed, the same place.
        """
        kept, policy = self._known(request), self._policy_of(request)
        if policy.by_chance:
            row = self._any_row(kept, among, seed)
        elif among is None:
            row = next(self._ranking(kept, policy), None)
        else:
            row = next(self._ranking_among(kept, policy, among, 1), None)
        if row is None:
            return None
        if self._columns.load_matters and request.devices:
            row = self._calmest(request, row, among)
        return Placement(self._columns.names[row], self._slots(request, kept, row, seed))

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
        kept, policy = self._known(request), self._policy_of(request)
        if among is None:
            rows: Iterator[int] = islice(self._ranking(kept, policy), count)
        else:
            rows = self._ranking_among(kept, policy, among, count)
        return tuple(self._columns.names[row] for row in rows)

    def scored(
        self, request: Request, *, among: Ints | None = None
    ) -> tuple[tuple[NodeName, int], ...]:
        """Return all nodes with room for the request and their scores, the best first.

        `among`: only these rows. What scores mean differs by policy: see Policy.tells.
        """
        kept, policy = self._known(request), self._policy_of(request)
        rows = np.arange(len(self._columns.names)) if among is None else among
        ranked = self._ranking_among(kept, policy, rows, max(len(rows), 1))
        scores, of = kept.scores, self._classes.of
        return tuple((self._columns.names[row], int(scores[of[row]]) // _RANKS) for row in ranked)

    def fits(self, request: Request) -> bool:
        """Whether there is room anywhere."""
        kept = self._known(request)
        return bool((self._keys(kept, self._policy) > _FITS).any())

    def _policy_of(self, request: Request) -> Policy:
        return POLICIES["spread"] if request.spreading is Spreading.SPREAD else self._policy

    def _start_over(self) -> None:
        self._kept.clear()
        self._epoch = self._columns.epoch
        nodes = len(self._columns.names)
        rank = np.arange(nodes, dtype=np.int64)
        if self._given_rank is not None:
            given = self._given_rank[:nodes]
            rank[: len(given)] = given
        self._classes = Classes(self._columns, rank, hosted=self._policy.by_hosted)
        # One more: where a class without a row would come.
        self._places = np.append(np.arange(nodes, dtype=np.int64), _FAR)
        self._dear = self._places.copy()
        self._dear[:nodes] += self._policy.order * self._places[:nodes] // max(nodes, 1) * _RANKS

    def _costs(self, policy: Policy) -> Ints:
        """Return what each place in the order of nodes takes from a key [N + 1]."""
        return self._dear if policy is self._policy else self._places

    def _known(self, request: Request) -> _Kept:
        """Return what is known of the shape, with a score for every class that has rows."""
        if self._epoch != self._columns.epoch:
            self._start_over()
        classes = self._classes
        classes.update(self._columns)
        kept = self._kept.get(request)
        if kept is None:
            may = allowed_models(self._columns, request).tolist()
            kept = self._kept[request] = _Kept(np.zeros(0, dtype=np.int64), [], may)
            if len(self._kept) > SHAPES_KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(request)
        if kept.seen < len(classes.born):
            kept.resize(len(classes.first))
            news = classes.news(kept.seen, kept.version)
            kept.seen = len(classes.born)
            self._learn(request, kept, news)
        return kept

    def _learn(self, request: Request, kept: _Kept, numbers: Sequence[int]) -> None:
        """Score these classes."""
        kept.fresh.clear()
        for number in numbers:
            kept.version[number] = self._classes.version[number]
        if self._policy_of(request).one is not None and len(numbers) <= FEW:
            for number in numbers:
                kept.scores[number] = self._score_one(request, kept, number)
        else:
            for at in range(0, len(numbers), BLOCK):
                block = np.array(numbers[at : at + BLOCK], dtype=np.int64)
                kept.scores[block] = self._score(request, self._classes.row_of(block))

    def _score_one(self, request: Request, kept: _Kept, number: int) -> int:
        """Return the score of one class, as `_score` does for many."""
        found = self._look(request, kept, number)
        if found is None:
            return _NO
        seen, score = kept.fresh[number] = found
        if not isinstance(score, int):
            score = max(each for each, milli in zip(score, seen.milli, strict=True) if milli)
        return score * _RANKS

    def _look(self, request: Request, kept: _Kept, number: int) -> tuple[Seen, Scored] | None:
        """Look at a row of the class, and say how good it is; None if the pod can't go there."""
        one = self._policy_of(request).one
        seen = look(self._columns, self._classes.single(self._columns, number), request, kept.may)
        return None if seen is None or one is None else (seen, one(self._columns, seen, self._mix))

    def _keys(self, kept: _Kept, policy: Policy) -> Ints:
        """Sort keys of classes [S]: score, less what the place of their first row costs."""
        used = self._classes.used
        keys: Ints = kept.scores[:used] - self._costs(policy)[self._classes.first[:used]]
        return keys

    def _ranking(self, kept: _Kept, policy: Policy) -> Iterator[int]:
        """Yield rows with room, the best first."""
        keys, costs, taken = self._keys(kept, policy), self._costs(policy), Counter[int]()
        while keys.size:
            number = int(keys.argmax())
            if keys[number] <= _FITS:
                return
            places = self._classes.places(number, taken[number] + 2)
            yield int(self._classes.by_order[places[taken[number]]])
            taken[number] += 1
            rest = places[taken[number] :]
            keys[number] = kept.scores[number] - costs[rest[0]] if rest else _NO

    def _ranking_among(self, kept: _Kept, policy: Policy, among: Ints, count: int) -> Iterator[int]:
        """Yield at most `count` of these rows with room, the best first."""
        classes = self._classes
        keys = kept.scores[classes.of[among]] - self._costs(policy)[classes.order[among]]
        best = np.argpartition(keys, -count)[-count:] if len(keys) > count else np.arange(len(keys))
        best = best[np.argsort(-keys[best])]
        yield from (int(row) for row in among[best[keys[best] > _FITS]])

    def _any_row(self, kept: _Kept, among: Ints | None, seed: int) -> int | None:
        """Return one of the rows with room, by chance."""
        classes = self._classes
        rows = np.arange(len(classes.of)) if among is None else among
        fits = kept.scores[classes.of[rows]] > _FITS
        if not fits.any():
            return None
        drawn = np.where(fits, _scramble(len(rows), seed), np.iinfo(np.int64).min)
        return int(rows[drawn.argmax()])

    def _score(self, request: Request, rows: Ints) -> Ints:
        """Return scores of rows [K], in steps of what places in the order of nodes cost."""
        columns, policy = self._columns, self._policy_of(request)
        seen = candidates(columns, rows, request)
        score = policy.score(columns, seen, self._mix)
        if score.ndim == 2:
            score = np.where(seen.devices, score, _LEAST).max(axis=1)
        return np.where(seen.nodes, score * _RANKS, _NO)

    def _calmest(self, request: Request, row: int, among: Ints | None) -> int:
        """Of rows in the very same state, the one with the calmest card.

        Only those: load must not break the order in which nodes are filled.
        """
        columns, classes = self._columns, self._classes
        rows = classes.rows(int(classes.of[row]))
        if among is not None:
            rows = rows[np.isin(rows, among)]
        if len(rows) == 1:
            return row
        seen = candidates(columns, rows, request)
        first = np.where(seen.devices, self._preference(seen), -_NO)
        load = np.where(first == first.min(axis=1, keepdims=True), columns.load[rows], MILLI)
        # Of equals the first one: they are in the order of nodes.
        return int(rows[load.min(axis=1).argmin()])

    def _slots(self, request: Request, kept: _Kept, row: int, seed: int) -> tuple[Slot, ...]:
        if not request.devices:
            return ()
        if self._policy_of(request).by_chance:
            chosen = self._chosen(request, row, seed)
        else:
            chosen = self._same_devices(request, kept, row)
        columns, uuids = self._columns, self._columns.uuids[row]
        return tuple(
            Slot(index, uuids[index], milli, mib_of(request, int(columns.mib_cap[row, index])))
            for index, milli in chosen
        )

    def _same_devices(self, request: Request, kept: _Kept, row: int) -> Chosen:
        """Look up which devices the pod would get, or remember it."""
        number = int(self._classes.of[row])
        load = self._columns.load[row].tolist() if self._columns.load_matters else []
        state = self._classes.version[number], load
        known = kept.chosen.get(number)
        if known is None or known[0] != state:
            if self._policy_of(request).one is None:
                chosen = self._chosen(request, row)
            else:
                chosen = self._choose_one(request, kept, number, load)
            if len(kept.chosen) >= CHOSEN_KEPT:
                kept.chosen.clear()
            known = kept.chosen[number] = state, chosen
        return known[1]

    def _choose_one(
        self, request: Request, kept: _Kept, number: int, load: Sequence[int]
    ) -> Chosen:
        """Return what `_chosen` does, by the policy's score of one row."""
        found = kept.fresh.get(number) or self._look(request, kept, number)
        if found is None:
            return ()
        seen, score = found
        order: Sequence[int] = seen.row.room
        if not isinstance(score, int):
            # A score is coarse: of devices with the same one the tightest is filled first.
            order = [room - each * _ROOMS for room, each in zip(order, score, strict=True)]
        if load:
            order = [each * _LOADS + busy for each, busy in zip(order, load, strict=True)]
        first = sorted(seen.fitting(), key=order.__getitem__)[: request.devices]
        return tuple((at, seen.milli[at]) for at in sorted(first))

    def _chosen(self, request: Request, row: int, seed: int = 0) -> Chosen:
        """Which devices of the row the pod would get, and how much of each."""
        columns = self._columns
        seen = candidates(columns, np.array([row], dtype=np.int64), request)
        if self._policy_of(request).by_chance and not request.whole:
            order = _scramble(columns.width, seed + 1)
        else:
            order = self._preference(seen)[0] * _LOADS + columns.load[row]
        fits = np.flatnonzero(seen.devices[0])
        chosen = fits[np.argsort(order[fits], kind="stable")][: request.devices].tolist()
        milli = np.broadcast_to(seen.milli, seen.devices.shape)[0]
        return tuple((at, int(milli[at])) for at in sorted(chosen))

    def _preference(self, seen: Candidates) -> Ints:
        """Which devices first [K, D], smaller first; equal where devices are alike."""
        policy = self._policy_of(seen.request)
        score = policy.score(self._columns, seen, self._mix)
        if score.ndim == 2:
            # A score is coarse: of devices with the same one the tightest is filled first.
            return seen.room - score * _ROOMS
        return policy.devices(seen)


def _scramble(count: int, seed: int) -> Ints:
    """Return `count` numbers in an order of chance [count], the same for the same seed.

    SplitMix64 (Steele et al., OOPSLA'14): a counter through a mixing function.
    """
    state = np.arange(1, count + 1, dtype=np.uint64) + np.uint64((seed * 0x9E3779B9) % 2**63)
    state *= np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (state ^ (state >> np.uint64(31))).view(np.int64) >> 1
