"""Bid prices: place a pod where what is left over is worth most to those who come next.

A node is worth what its free devices and CPU would fetch (see prices.py), less a charge for GPUs
that are left with too few cores to serve anybody. Nodes are filled in one fixed order unless the
difference is clear. Without prices only the charge and the order count, which packs tightly and
strands no GPU.

All amounts are integers, in billionths of a GPU, so that no order of summation matters.
"""

from collections.abc import Sequence

import numpy as np

from scheduler.core.ledger.block import Ints
from scheduler.core.ledger.columns import Columns
from scheduler.core.model.amounts import MILLI
from scheduler.core.packing.fgd import first
from scheduler.core.packing.fit import Candidates
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.single import Seen
from scheduler.core.packing.worths import Worths, stranded

ORDER = 115_100_000
"""So much dearer the last node is than the first one: how clear a difference must be."""

_STEP = 1_390_000
"""Worth is compared in steps of it."""

_FREE_GPU, _FREE_CORE, _FREE_DEVICE = 447_500, 836, 300_000
"""Charged for each GPU, core, and GPU of the very device that stay free: full nodes stay full."""

_CORE_ALONE = 41_016
"""Granted for each free core to a pod without a GPU: it goes where there are many."""


def score(columns: Columns, seen: Candidates, mix: Mix) -> Ints:
    """Return what the nodes would be worth after it, less what they are worth before.

    A share of one device is tried on each device [K, D]; any other pod once per node, on the
    devices it would get, [K].
    """
    request, now = seen.request, mix.worths(columns)
    before, left = now.worth[seen.rows], columns.free_cpu[seen.rows] - request.cpu_milli
    if request.devices == 1 and not request.whole:
        return _of_share(columns, seen, now, left)
    room, fetched, useful = seen.room, now.fetched[seen.rows], now.useful[seen.rows]
    if request.devices:
        tables, model = now.tables, columns.model[seen.rows]
        chosen = first(seen.devices, room, request.devices)
        parts, room = tables.parts(room), np.where(chosen, room - seen.milli, room)
        parts_left = tables.parts(room)
        lost = tables.value[model, parts] - tables.value[model, parts_left]
        fetched = fetched - lost.sum(axis=1)
        useful = useful + (tables.useful[model, parts_left] - tables.useful[model, parts]).sum(1)
    after = (fetched + left[:, None] * now.tables.cores).min(axis=1) - stranded(useful, left)
    value: Ints = (after - before) // _STEP * _STEP
    value -= (room.sum(axis=1) * _FREE_GPU + left * _FREE_CORE) // MILLI
    if not request.devices:
        value += columns.free_cpu[seen.rows] * _CORE_ALONE // MILLI
    return value


def _of_share(columns: Columns, seen: Candidates, now: Worths, left: Ints) -> Ints:
    """Only one device changes: what the others are worth is the sum less its own."""
    tables, model = now.tables, columns.model[seen.rows]
    room, remains = seen.room, np.maximum(seen.room - seen.milli, 0)
    parts, parts_left = tables.parts(room), tables.parts(remains)
    gained = tables.value[model, parts_left] - tables.value[model, parts]
    fetched = (now.fetched[seen.rows] + left[:, None] * tables.cores)[:, None] + gained
    useful = tables.useful[model, parts_left] - tables.useful[model, parts]
    useful += now.useful[seen.rows][:, None]
    worth = fetched.min(axis=2) - stranded(useful, left[:, None])
    value: Ints = (worth - now.worth[seen.rows][:, None]) // _STEP * _STEP
    free = room.sum(axis=1)[:, None] - seen.milli
    value -= (free * _FREE_GPU + left[:, None] * _FREE_CORE + remains * _FREE_DEVICE) // MILLI
    return value


def score_one(columns: Columns, seen: Seen, mix: Mix) -> int | list[int]:
    """Return the same of one row: by device [D] for a share of one, else one number."""
    row, tables = seen.row, mix.tables(columns)
    if row.before is None:
        row.before = mix.worth_of(columns, row.model, row.room).with_cpu(tables, row.cpu)
    free, beside = sum(row.room), seen.left * _FREE_CORE

    def gain(taken: Sequence[int]) -> int:
        """What it is worth more, in steps, once they are taken."""
        after = mix.worth_of(columns, row.model, seen.room_after(taken))
        gained: int = after.with_cpu(tables, seen.left) - row.before
        return gained // _STEP * _STEP

    if not seen.is_share:
        taken = seen.tightest()
        free -= sum(seen.milli[at] for at in taken)
        alone = 0 if seen.request.devices else row.cpu * _CORE_ALONE // MILLI
        return gain(taken) - (free * _FREE_GPU + beside) // MILLI + alone

    def of_device(at: int) -> int:
        milli = seen.milli[at]
        charge = (free - milli) * _FREE_GPU + beside + (row.room[at] - milli) * _FREE_DEVICE
        return gain((at,)) - charge // MILLI

    return seen.by_device(of_device)
