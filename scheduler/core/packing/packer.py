"""The packer: the best place for a request, by one policy.

Scores are kept per request shape; only rows that changed since are scored again, so that a
placement doesn't cost a look at the whole cluster. Nodes go through the same few states again and
again: a row in a state that was met before isn't worked out anew either.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from scheduler.core.ledger.columns import Columns, Ints, Rows
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import NodeName
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.requests import Request, Spreading
from scheduler.core.packing.fit import Candidates, candidates, mib_each
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.policies import POLICIES, Policy

SHAPES_KEPT = 512
"""Scores of at most so many request shapes are kept; 8 bytes a node and shape."""

BLOCK = 512
"""Rows scored at a time."""

STATES_KEPT = 64
"""Results for so many states of rows are kept with each shape; 0.8 kB a state of 8 devices."""

T = TypeVar("T")

_NO = np.iinfo(np.int64).min
_RANKS = 2**24
_LEAST = -(2**38)
"""Less than any score."""

_LOADS = 16
_ROOMS = 2**11


Share = tuple[int, int, int]
"""Index of a device, milli-GPU and MiB of it."""


@dataclass(slots=True)
class _Kept:
    """Scores of one shape: keys [N] (`_NO` where it doesn't fit), valid up to `changes[seen:]`.

    By the state of a row `scores`, without its rank, and `shares`, which a pod would get there.
    """

    keys: Ints
    seen: int
    scores: dict[bytes, int] = field(default_factory=dict)
    shares: dict[bytes, tuple[Share, ...]] = field(default_factory=dict)


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
        self._rank = self._ordered = np.zeros(0, dtype=np.int64)
        self._kept: OrderedDict[Request, _Kept] = OrderedDict()
        self._epoch = -1

    def place(
        self, request: Request, *, among: Ints | None = None, seed: int = 0
    ) -> Placement | None:
        """Return the best place, or None if no node has room.

        `among`: only these rows. `seed` drives policy "random": the same seed, the same place.
        """
        keys = self._keys(request)
        if among is not None:
            keys = keys[among]
        if not keys.size:
            return None
        if self._policy_of(request).by_chance:
            keys = np.where(keys != _NO, _scramble(len(keys), seed), _NO)
        best = int(keys.argmax())
        if keys[best] == _NO:
            return None
        row = best if among is None else int(among[best])
        if self._columns.load_matters and request.devices:
            row = self._calmest(request, row, keys, among)
        return Placement(self._columns.names[row], self._slots(request, row, seed))

    def others(
        self, request: Request, node: NodeName, count: int, *, among: Ints | None = None
    ) -> tuple[NodeName, ...]:
        """Return at most `count` other nodes with room for the request, the best first.

        `among`: only these rows.
        """
        keys, names = self._keys(request), self._columns.names
        if among is not None:
            keys = keys[among]
        # One more than asked for: the node itself may be among them.
        best = (
            np.argpartition(keys, -count - 1)[-count - 1 :] if len(keys) > count else keys.argsort()
        )
        best = best[np.argsort(-keys[best])]
        best = best[keys[best] != _NO]
        ranked = [names[row] for row in (best if among is None else among[best])]
        return tuple(name for name in ranked if name != node)[:count]

    def fits(self, request: Request) -> bool:
        """Whether there is room anywhere."""
        return bool((self._keys(request) != _NO).any())

    def _policy_of(self, request: Request) -> Policy:
        return POLICIES["spread"] if request.spreading is Spreading.SPREAD else self._policy

    def _keys(self, request: Request) -> Ints:
        if self._epoch != self._columns.epoch:
            self._start_over()
        kept = self._kept.get(request)
        if kept is None:
            kept = _Kept(self._score_all(request), len(self._columns.changes))
            self._kept[request] = kept
            if len(self._kept) > SHAPES_KEPT:
                self._kept.popitem(last=False)
            return kept.keys
        self._kept.move_to_end(request)
        changed = set(self._columns.changes[kept.seen :])
        kept.seen = len(self._columns.changes)
        if len(changed) == 1:
            row = changed.pop()
            kept.keys[row] = self._key(request, kept, row)
        elif changed:
            rows = np.array(sorted(changed), dtype=np.int64)
            kept.keys[rows] = self._score(request, rows)
        return kept.keys

    def _key(self, request: Request, kept: _Kept, row: int) -> int:
        """Sort key of one row, looked up if it can be; several are worked out faster together."""
        cost, state = int(self._costs(request)[row]), self._columns.state(row)
        score = kept.scores.get(state)
        if score is None:
            key = int(self._score(request, np.array([row], dtype=np.int64))[0])
            score = _keep(kept.scores, state, key if key == _NO else key + cost)
        return score if score == _NO else score - cost

    def _start_over(self) -> None:
        self._kept.clear()
        self._epoch = self._columns.epoch
        nodes = len(self._columns.names)
        rank = np.arange(nodes, dtype=np.int64)
        if self._given_rank is not None:
            given = self._given_rank[:nodes]
            rank[: len(given)] = given
        self._rank = rank
        self._ordered = rank + self._policy.order * rank // max(nodes, 1) * _RANKS

    def _costs(self, request: Request) -> Ints:
        """Return what its place in the order of nodes takes from the key of each row [N]."""
        return self._ordered if self._policy_of(request) is self._policy else self._rank

    def _score_all(self, request: Request) -> Ints:
        """Score every row, in blocks whose arrays stay in the processor's cache."""
        nodes = len(self._columns.names)
        blocks = [slice(at, at + BLOCK) for at in range(0, nodes, BLOCK)] or [slice(0)]
        return np.concatenate([self._score(request, block) for block in blocks])

    def _score(self, request: Request, rows: Rows) -> Ints:
        """Sort keys of rows [K]: score, less what their place in the order costs."""
        columns, policy = self._columns, self._policy_of(request)
        seen = candidates(columns, rows, request)
        score = policy.score(columns, seen, self._mix)
        if score.ndim == 2:
            score = np.where(seen.devices, score, _LEAST).max(axis=1)
        return np.where(seen.nodes, score * _RANKS - self._costs(request)[rows], _NO)

    def _calmest(self, request: Request, row: int, keys: Ints, among: Ints | None) -> int:
        """Of nodes as good as `row` and in the very same state, the one with the calmest card.

        Only those: load must not break the order in which nodes are filled.
        """
        columns = self._columns
        rows = np.arange(len(keys)) if among is None else among
        scores = np.where(keys == _NO, _NO, keys + self._costs(request)[rows])
        rows = rows[scores == scores[rows == row][0]]
        for state in (columns.free_cpu, columns.free_ram):
            rows = rows[state[rows] == state[row]]
        for state in (columns.room, columns.room_mib, columns.model):
            rows = rows[(state[rows] == state[row]).all(axis=1)]
        if len(rows) == 1:
            return row
        seen = candidates(columns, rows, request)
        first = np.where(seen.devices, self._preference(seen), -(_NO + 1))
        load = np.where(first == first.min(axis=1, keepdims=True), columns.load[rows], MILLI)
        calm = load.min(axis=1)
        calmest = rows[calm == calm.min()]
        return int(calmest[self._rank[calmest].argmin()])

    def _slots(self, request: Request, row: int, seed: int) -> tuple[Slot, ...]:
        if not request.devices:
            return ()
        if self._policy_of(request).by_chance:
            shares = self._shares(request, row, seed)
        else:
            known, state = self._kept[request].shares, self._columns.state(row)
            shares = known.get(state) or _keep(known, state, self._shares(request, row, seed))
        uuids = self._columns.uuids[row]
        return tuple(Slot(index, uuids[index], milli, mib) for index, milli, mib in shares)

    def _shares(self, request: Request, row: int, seed: int) -> tuple[Share, ...]:
        """Which devices of the row the pod would get, and how much of each."""
        columns = self._columns
        one = np.array([row], dtype=np.int64)
        seen = candidates(columns, one, request)
        if self._policy_of(request).by_chance and not request.whole:
            order = _scramble(columns.width, seed + 1)
        else:
            order = self._preference(seen)[0] * _LOADS + columns.load[row]
        fits = np.flatnonzero(seen.devices[0])
        chosen = fits[np.argsort(order[fits], kind="stable")][: request.devices].tolist()
        milli = np.broadcast_to(seen.milli, seen.devices.shape)[0]
        return tuple(
            (index, int(milli[index]), mib_each(columns, row, index, request))
            for index in sorted(chosen)
        )

    def _preference(self, seen: Candidates) -> Ints:
        """Which devices first [K, D], smaller first; equal where devices are alike."""
        policy = self._policy_of(seen.request)
        score = policy.score(self._columns, seen, self._mix)
        if score.ndim == 2:
            # A score is coarse: of devices with the same one the tightest is filled first.
            return seen.room - score * _ROOMS
        return policy.devices(seen)


def _keep(known: dict[bytes, T], state: bytes, found: T) -> T:
    """Remember what was found for the state; return it."""
    if len(known) >= STATES_KEPT:
        known.clear()
    known[state] = found
    return found


def _scramble(count: int, seed: int) -> Ints:
    """Return `count` numbers in an order of chance [count], the same for the same seed.

    SplitMix64 (Steele et al., OOPSLA'14): a counter through a mixing function.
    """
    state = np.arange(1, count + 1, dtype=np.uint64) + np.uint64((seed * 0x9E3779B9) % 2**63)
    state *= np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (state ^ (state >> np.uint64(31))).view(np.int64) >> 1
