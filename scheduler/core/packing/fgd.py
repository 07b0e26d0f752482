"""Fragmentation gradient descent: place a pod where it makes the least fragmentation.

Weng et al., "Beware of Fragmentation" (USENIX ATC'23), algorithm 1. Sums are exact integers, so the
order of summation can't matter; the published one adds floats.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from scheduler.core.ledger.block import Bools, Ints
from scheduler.core.ledger.columns import Columns
from scheduler.core.model.amounts import MILLI
from scheduler.core.packing.fit import Candidates
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.single import Seen


def score(columns: Columns, seen: Candidates, mix: Mix) -> Ints:
    """Return int(100·sigmoid(−ΔF ÷ 1000)), F in milli-GPU.

    A share of one device is tried on each device that fits, [K, D]; any other pod once per node, on
    the devices it would get, [K].
    """
    request = seen.request
    if not mix.total:
        return np.zeros(len(seen.nodes), dtype=np.int64)
    cpu = columns.free_cpu[seen.rows]
    cpu_left = cpu - request.cpu_milli
    whole = (seen.room == columns.cap[seen.rows]) & (seen.room > 0)
    before = mix.usable(columns, seen.rows, seen.room, whole, cpu)
    if request.devices == 1 and not request.whole:
        after = _after_share(columns, seen, mix, whole, cpu_left)
        gain = seen.milli * mix.total + after - before[:, None]
        return np.where(seen.devices, _sigmoids(gain, mix.total), -1)
    chosen = first(seen.devices, seen.room, request.devices)
    taken = chosen * seen.milli
    after = mix.usable(columns, seen.rows, seen.room - taken, whole & ~chosen, cpu_left)
    gain = taken.sum(axis=1) * mix.total + after - before
    return _sigmoids(gain, mix.total)


def score_one(columns: Columns, seen: Seen, mix: Mix) -> int | list[int]:
    """Return the same of one row: by device [D] for a share of one, else one number."""
    if not mix.total:
        return 0
    row, steps, cpu = seen.row, _steps(mix.total), seen.left
    if row.before is None:
        row.before = mix.usable_of(columns, row.model, row.cap, row.room, row.cpu)

    def after(taken: Sequence[int]) -> int:
        usable = mix.usable_of(columns, row.model, row.cap, seen.room_after(taken), cpu)
        milli = sum(seen.milli[at] for at in taken)
        return bisect_right(steps, milli * mix.total + usable - row.before)

    if not seen.is_share:
        return after(seen.tightest())
    return seen.by_device(lambda at: after((at,)))


def first(fits: Bools, order: Ints, count: int) -> Bools:
    """Mask [K, D] of the `count` first fitting devices in that order; ties by index."""
    if not count:
        return np.zeros_like(fits)
    ranked = np.argsort(np.where(fits, order, MILLI * MILLI), axis=1, kind="stable")[:, :count]
    mask = np.zeros_like(fits)
    np.put_along_axis(mask, ranked, True, axis=1)
    return mask & fits


def _after_share(
    columns: Columns, seen: Candidates, mix: Mix, whole: Bools, cpu_left: Ints
) -> Ints:
    """Usable milli-GPU, times `total`, if the share went to device d: [K, D].

    Device by device only d itself changes: what the others are worth is the sum less d's own.
    """
    room, lines = seen.room, mix.lines(columns, seen.rows, cpu_left)
    left = np.maximum(room - seen.milli, 0)
    stays, gets = mix.value(lines, room), mix.value(lines, left)
    if mix.has_several:
        gets = gets + mix.value_of_several(columns, seen.rows, room, left, cpu_left)
    if not mix.has_wholes:
        alone: Ints = stays.sum(axis=1, keepdims=True) - stays + gets
        return alone
    untouched = np.count_nonzero(whole, axis=1)
    fresh = whole * room
    with_all = stays + fresh * mix.value_of_wholes(lines, untouched)
    with_one_less = stays + fresh * mix.value_of_wholes(lines, untouched - 1)
    others_if_used = with_all.sum(axis=1, keepdims=True) - with_all
    others_if_fresh = with_one_less.sum(axis=1, keepdims=True) - with_one_less
    after: Ints = np.where(whole, others_if_fresh, others_if_used) + gets
    return after


@lru_cache(maxsize=64)
def _steps(total: int) -> tuple[int, ...]:
    """From how much milli-GPU on, times `total`, int(100·sigmoid(x ÷ 1000)) is 1, 2, … 99."""
    return tuple(math.ceil(total * MILLI * math.log(k / (100 - k))) for k in range(1, 100))


def _sigmoids(gain: Ints, total: int) -> Ints:
    return np.searchsorted(np.array(_steps(total), dtype=np.int64), gain, side="right")
