"""Bid prices: place a pod where what is left over is worth most to those who come next.

A node is worth what its free devices and CPU would fetch (see prices.py), less a charge for GPUs
that are left with too few cores to serve anybody. Nodes are filled in one fixed order unless the
difference is clear. Without prices only the charge and the order count, which packs tightly and
strands no GPU.

All amounts are integers, in billionths of a GPU, so that no order of summation matters.
"""

import numpy as np

from scheduler.core.ledger.columns import Columns, Ints
from scheduler.core.model.amounts import MILLI
from scheduler.core.packing.fgd import first
from scheduler.core.packing.fit import Candidates
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.prices import Tables

ORDER = 115_100_000
"""So much dearer the last node is than the first one: how clear a difference must be."""

_STEP = 1_390_000
"""Worth is compared in steps of it."""

_FREE_GPU, _FREE_CORE, _FREE_DEVICE = 447_500, 836, 300_000
"""Charged for each GPU, core, and GPU of the very device that stay free: full nodes stay full."""

_CORE_ALONE = 41_016
"""Granted for each free core to a pod without a GPU: it goes where there are many."""

_STRANDED = ((7, 69_700), (12, 537), (24, 14_630), (36, 381))
"""Twice the cores that a GPU should find, and what one without them loses, in 1e-5 of its worth."""


def score(columns: Columns, seen: Candidates, mix: Mix) -> Ints:
    """Return what the nodes would be worth after it, less what they are worth before.

    A share of one device is tried on each device [K, D]; any other pod once per node, on the
    devices it would get, [K].
    """
    request, tables = seen.request, mix.tables(columns)
    cpu = columns.free_cpu[seen.rows]
    left = cpu - request.cpu_milli
    model = columns.model[seen.rows]
    before = _worth(tables, model, seen.room, cpu)
    if request.devices == 1 and not request.whole:
        return _of_share(tables, model, seen, left, before)
    chosen = first(seen.devices, seen.room, request.devices)
    room = np.where(chosen, seen.room - seen.milli, seen.room)
    value = (_worth(tables, model, room, left) - before) // _STEP * _STEP
    value -= (room.sum(axis=1) * _FREE_GPU + left * _FREE_CORE) // MILLI
    if not request.devices:
        value += cpu * _CORE_ALONE // MILLI
    return value


def _of_share(tables: Tables, model: Ints, seen: Candidates, left: Ints, before: Ints) -> Ints:
    """Only one device changes: what the others are worth is the sum less its own."""
    room, remains = seen.room, np.maximum(seen.room - seen.milli, 0)
    parts, parts_left = tables.parts(room), tables.parts(remains)
    stays, gets = tables.value[model, parts], tables.value[model, parts_left]
    fetched = stays.sum(axis=1, keepdims=True) - stays + gets + left[:, None, None] * tables.cores
    useful = tables.useful[model, parts]
    after = useful.sum(axis=1, keepdims=True) - useful + tables.useful[model, parts_left]
    worth = fetched.min(axis=2) - _stranded(after, left[:, None])
    value: Ints = (worth - before[:, None]) // _STEP * _STEP
    free = room.sum(axis=1)[:, None] - seen.milli
    value -= (free * _FREE_GPU + left[:, None] * _FREE_CORE + remains * _FREE_DEVICE) // MILLI
    return value


def _worth(tables: Tables, model: Ints, room: Ints, cpu: Ints) -> Ints:
    """Return what each node [K] would fetch with so much free."""
    parts = tables.parts(room)
    fetched = tables.value[model, parts].sum(axis=1) + cpu[:, None] * tables.cores
    worth: Ints = fetched.min(axis=1) - _stranded(tables.useful[model, parts].sum(axis=1), cpu)
    return worth


def _stranded(useful: Ints, cpu: Ints) -> Ints:
    """Return the charge for useful free GPUs that can't get their cores each."""
    # Broadcasts: useful [K] or [K, D], cpu [K] or [K, 1].
    lost = np.zeros_like(useful)
    for halves, weight in _STRANDED:
        lost += weight * np.maximum(useful - cpu * 2_000_000 // halves, 0)
    return lost // 100_000
