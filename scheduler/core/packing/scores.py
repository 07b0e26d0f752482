"""What is known of how good places are: scores by kind of request and class of rows.

Only classes that came to be since are scored, so that a placement doesn't cost a look at the whole
cluster: a few of them one by one in plain numbers, many by arrays. Both give the same.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from scheduler.core.ledger.block import Ints
from scheduler.core.ledger.columns import Columns
from scheduler.core.model.requests import Request, Spreading
from scheduler.core.packing.classes import Classes
from scheduler.core.packing.fit import allowed_models, candidates
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.policies import POLICIES, Policy, Scored
from scheduler.core.packing.single import Seen, look

SHAPES_KEPT = 512
"""Scores of at most so many request shapes are kept; 16 bytes a class of rows and shape."""

BLOCK = 512
"""Rows scored at a time, so that arrays stay in the processor's cache."""

FEW = 12
"""Up to so many rows are scored one by one, which is faster for few."""

NO, _FAR = -(2**61), 2**61
"""The score of what doesn't fit, and what the place of a class without a row costs."""

FITS = -(2**60)
"""Keys of what fits are above it."""

STEPS = 2**20
"""More nodes than there are: a score is worth so many places in the order of nodes."""

_LEAST = -(2**38)
"""Less than any score: those of "bid-price" are up to 10^9 for each of 128 GPUs."""

_ROOMS = 2**11

Chosen = tuple[tuple[int, int, int], ...]
"""Indices of devices, with milli-GPU and memory (MiB) of each."""


@dataclass(slots=True)
class Known:
    """What is known of one shape: `scores` [S] by class (`NO` where it doesn't fit), times STEPS.

    Scores are valid where `version` is that of the class; classes were looked at up to
    `classes.born[:seen]`. `costs` [N + 1]: what each place in the order of nodes takes from a
    score. `may` [models + 1]: which models it may use, the last: no device. `chosen`: what a pod
    would get of a row of the class, with the version and the load that it holds for. `fresh`: what
    was seen of classes that were scored last: they are often the best.
    """

    request: Request
    policy: Policy
    costs: Ints
    may: list[bool]
    scores: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    version: list[int] = field(default_factory=list)
    seen: int = 0
    fresh: dict[int, tuple[Seen, Scored]] = field(default_factory=dict)
    chosen: dict[int, tuple[tuple[int, list[int]], Chosen]] = field(default_factory=dict)

    def resize(self, classes: int) -> None:
        """Make room for so many classes; nothing is known of new ones."""
        more = classes - len(self.scores)
        if more > 0:
            self.scores = np.append(self.scores, np.full(more, NO, dtype=np.int64))
            self.version += [0] * more


class Scores:
    """Scores on `columns`, which others change, by one policy; see Packer for its arguments."""

    def __init__(self, columns: Columns, policy: Policy, mix: Mix, rank: Ints | None) -> None:
        self._columns, self._policy, self._mix, self._given_rank = columns, policy, mix, rank
        self._known: OrderedDict[Request, Known] = OrderedDict()
        self._costs: dict[int, Ints] = {}
        # Nothing is worked out before it is asked for: most rounds ask for nothing.
        self._epoch = -1
        self.classes: Classes

    def of(self, request: Request) -> Known:
        """Return what is known of the shape, with a score for every class that has rows."""
        if self._epoch != self._columns.epoch:
            self._start_over()
        classes = self.classes
        classes.update(self._columns)
        known = self._known.get(request)
        if known is None:
            known = self._known[request] = self._begin(request)
            if len(self._known) > SHAPES_KEPT:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(request)
        if known.seen < len(classes.born):
            known.resize(len(classes.first))
            news = classes.news(known.seen, known.version)
            known.seen = len(classes.born)
            self._learn(known, news)
        return known

    def keys(self, known: Known) -> Ints:
        """Sort keys of classes [S]: score, less what the place of their first row costs."""
        used = self.classes.used
        keys: Ints = known.scores[:used] - known.costs[self.classes.first[:used]]
        return keys

    def row_keys(self, known: Known, rows: Ints) -> Ints:
        """Sort keys of rows [K]."""
        keys: Ints = known.scores[self.classes.of[rows]] - known.costs[self.classes.order[rows]]
        return keys

    def preferred(self, known: Known, row: int) -> tuple[dict[int, int], Sequence[int]]:
        """Return which devices of the row fit, with milli-GPU of a share, and which come first.

        By device [D], smaller first; equal where devices are alike.
        """
        request, policy = known.request, known.policy
        if policy.one is None:
            seen = candidates(self._columns, np.array([row]), request)
            milli = np.broadcast_to(seen.milli, seen.devices.shape)[0]
            fits = {at: int(milli[at]) for at in np.flatnonzero(seen.devices[0]).tolist()}
            score = policy.score(self._columns, seen, self._mix)
            # A score is coarse: of devices with the same one the tightest is filled first.
            order = policy.devices(seen) if score.ndim == 1 else seen.room - score * _ROOMS
            return fits, order[0].tolist()
        number = int(self.classes.of[row])
        found = known.fresh.get(number) or self._look(known, number)
        if found is None:
            return {}, ()
        seen_one, scored = found
        fits = {at: milli for at, milli in enumerate(seen_one.milli) if milli}
        room = seen_one.row.room
        if isinstance(scored, int):
            return fits, room
        return fits, [free - each * _ROOMS for free, each in zip(room, scored, strict=True)]

    def _start_over(self) -> None:
        self._known.clear()
        self._costs.clear()
        self._epoch = self._columns.epoch
        nodes = len(self._columns.names)
        rank = np.arange(nodes, dtype=np.int64)
        if self._given_rank is not None:
            given = self._given_rank[:nodes]
            rank[: len(given)] = given
        self.classes = Classes(self._columns, rank, hosted=self._policy.by_hosted)

    def _begin(self, request: Request) -> Known:
        spreads = request.spreading is Spreading.SPREAD
        policy = POLICIES["spread"] if spreads else self._policy
        if policy.order not in self._costs:
            self._costs[policy.order] = _costs(len(self._columns.names), policy.order)
        may = allowed_models(self._columns, request).tolist()
        return Known(request, policy, self._costs[policy.order], may)

    def _learn(self, known: Known, numbers: Sequence[int]) -> None:
        """Score these classes."""
        known.fresh.clear()
        for number in numbers:
            known.version[number] = self.classes.version[number]
        if known.policy.one is not None and len(numbers) <= FEW:
            for number in numbers:
                known.scores[number] = self._score_one(known, number)
        else:
            for at in range(0, len(numbers), BLOCK):
                block = np.array(numbers[at : at + BLOCK], dtype=np.int64)
                known.scores[block] = self._score(known, self.classes.row_of(block))

    def _score(self, known: Known, rows: Ints) -> Ints:
        """Return scores of rows [K]."""
        seen = candidates(self._columns, rows, known.request)
        score = known.policy.score(self._columns, seen, self._mix)
        if score.ndim == 2:
            score = np.where(seen.devices, score, _LEAST).max(axis=1)
        return np.where(seen.nodes, score * STEPS, NO)

    def _score_one(self, known: Known, number: int) -> int:
        """Return the score of one class, as `_score` does for many."""
        found = self._look(known, number)
        if found is None:
            return NO
        seen, score = known.fresh[number] = found
        if not isinstance(score, int):
            score = max(each for each, milli in zip(score, seen.milli, strict=True) if milli)
        return score * STEPS

    def _look(self, known: Known, number: int) -> tuple[Seen, Scored] | None:
        """Look at a row of the class, and say how good it is; None if the pod can't go there."""
        one, row = known.policy.one, self.classes.single(self._columns, number)
        seen = look(self._columns, row, known.request, known.may)
        return None if seen is None or one is None else (seen, one(self._columns, seen, self._mix))


def _costs(nodes: int, order: int) -> Ints:
    """What each place in the order of nodes takes from a score [N + 1]; the last: no row."""
    costs = np.arange(nodes + 1, dtype=np.int64)
    costs += order * costs // max(nodes, 1) * STEPS
    costs[nodes] = _FAR
    return costs
