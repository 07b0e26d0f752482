"""Unbounded knapsacks, many at once: what fits best, each item as often as one likes."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from scheduler.core.ledger.block import Ints

Number = TypeVar("Number", np.int64, np.float64)

_TOO_LARGE = -(2**60)
"""Less than any gain: so much brings what doesn't fit."""


def fill(sizes: Ints, gain: npt.NDArray[Number], room: int) -> tuple[npt.NDArray[Number], Ints]:
    """Return for each line [T] the best gain with so much room, [T, room + 1], and the item.

    `sizes` [T, J] from 1 on, at most `room`; `gain` [T, J]. The item [T, room + 1] is the one that
    was added last, -1 where the best is that of a little less room.
    """
    width = 2 * room + 1
    # Before the first part lies what is too large.
    best = np.full((len(sizes), width), _TOO_LARGE, dtype=gain.dtype)
    best[:, room] = 0
    took = np.full((len(sizes), room + 1), -1, dtype=np.int64)
    if not gain.size:
        best[:, room:] = 0
        return best[:, room:], took
    # Where in `best`, read as one line, the room before each item lies; it moves on by a part.
    flat, rest = best.reshape(-1), np.arange(len(sizes))[:, None] * width + room - sizes
    for part in range(1, room + 1):
        rest += 1
        reached = flat.take(rest)
        reached += gain
        top, before = reached.max(axis=1), best[:, room + part - 1]
        better = top > before
        best[:, room + part] = np.where(better, top, before)
        took[:, part] = np.where(better, reached.argmax(axis=1), -1)
    return best[:, room:], took


def items(took: Ints, sizes: Ints) -> dict[int, int]:
    """Return how often each item was taken on one line, from all of the room back to the first."""
    found, part = dict[int, int](), len(took) - 1
    while part > 0:
        item = int(took[part])
        if item < 0:
            part -= 1
        else:
            found[item] = found.get(item, 0) + 1
            part -= int(sizes[item])
    return found
