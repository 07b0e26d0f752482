"""Fit: which devices could take a share of a request, and whether enough of them do."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from scheduler.core.ledger.block import Bools, Ints, Rows
from scheduler.core.ledger.columns import Columns
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.requests import Request

Total = TypeVar("Total", int, Ints)

IMPOSSIBLE = np.int64(2**40)
"""More than any device has."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """K rows seen by one request.

    `rows` [K]; `devices` [K, D]: could take one share; `nodes` [K]: could take the pod. Per device
    `milli` [K, D] is what one share counts, `room` [K, D] what a new pod may take (0 if shut).
    """

    request: Request
    rows: Rows
    devices: Bools
    nodes: Bools
    milli: Ints
    room: Ints


def candidates(columns: Columns, rows: Rows, request: Request) -> Candidates:
    """Look at the rows with the eyes of the request."""
    room = columns.room[rows]
    milli = _milli(columns, rows, request)
    devices = _devices(columns, rows, request, room, milli)
    if request.linked and columns.links:
        _keep_linked(columns, rows, request.devices, devices)
    nodes = columns.free_cpu[rows] >= request.cpu_milli
    nodes &= columns.free_ram[rows] >= request.ram_mib
    if columns.pods_matter:
        nodes &= columns.free_pods[rows] >= 1
    if request.devices:
        nodes &= np.count_nonzero(devices, axis=1) >= request.devices
    else:
        # A pod without a GPU still stays off a node that is closed as a whole.
        nodes &= ~columns.shut[rows].all(axis=1)
    return Candidates(request, rows, devices, nodes, milli, np.maximum(room, 0))


def how_many(columns: Columns, rows: Rows, request: Request) -> Ints:
    """Return how many such pods each row [K] has room for, at most.

    As many as CPU, memory, pods and its devices allow, each looked at by itself.
    """
    seen = candidates(columns, rows, request)
    milli = np.broadcast_to(seen.milli, seen.devices.shape)
    shares = np.where(seen.devices, seen.room // np.maximum(milli, 1), 0).sum(axis=1)
    most = np.minimum(shares // max(request.devices, 1), columns.free_pods[rows])
    for need, free in ((request.cpu_milli, columns.free_cpu), (request.ram_mib, columns.free_ram)):
        if need:
            most = np.minimum(most, free[rows] // need)
    found: Ints = np.where(seen.nodes, most, 0)
    return found


def mib_of(request: Request, total: Total) -> Total | int:
    """Return what goes with one share of a device of `total` MiB: decision 12 of the design."""
    if request.memory_mib:
        return request.memory_mib
    return total if request.whole else total * request.milli // MILLI


def _keep_linked(columns: Columns, rows: Rows, count: int, devices: Bools) -> None:
    """Leave of the devices [K, D] those out that are linked with too few others, in place."""
    numbers = np.arange(len(columns.names))[rows].tolist()
    for at, row in enumerate(numbers):
        links = columns.links.get(row)
        if links is not None:
            fits = np.flatnonzero(devices[at, : len(links)]).tolist()
            devices[at] = False
            devices[at, enough_linked(links, fits, count)] = True


def enough_linked(links: bytes, fits: Iterable[int], count: int) -> list[int]:
    """Return those of the devices, by index, of which so many are linked with each other."""
    fits = list(fits)
    sizes = Counter(links[at] for at in fits)
    return [at for at in fits if sizes[links[at]] >= count]


def _milli(columns: Columns, rows: Rows, request: Request) -> Ints:
    """What one share counts on each device, [K, D] or broadcastable to it.

    Whole: the device's own count. By memory: its part of the card, rounded down, so that three
    thirds of a card's memory fit on it.
    """
    if request.memory_mib:
        total = columns.mib_cap[rows]
        part = request.memory_mib * columns.cap[rows] // np.maximum(total, 1)
        return np.where(request.memory_mib <= total, np.maximum(part, 1), IMPOSSIBLE)
    if request.whole:
        return columns.cap[rows]
    return np.full((1, 1), request.milli if request.devices else IMPOSSIBLE, dtype=np.int64)


def _devices(columns: Columns, rows: Rows, request: Request, room: Ints, milli: Ints) -> Bools:
    fits = (room == milli) & (milli > 0) if request.whole else room >= milli
    if not request.whole and columns.mig_models:
        # A MIG slice is a device of its own and is never shared again.
        fits &= ~columns.mig[rows]
    if request.models or columns.mig_models:
        fits &= allowed_models(columns, request)[columns.model[rows]]
    if columns.memory_matters or request.memory_mib:
        fits &= columns.room_mib[rows] >= mib_needed(columns, rows, request)
    return fits


def mib_needed(columns: Columns, rows: Rows, request: Request) -> Ints | int:
    """Memory (MiB) of one share on each device, [K, D] or one number for all."""
    return mib_of(request, columns.mib_cap[rows])


def allowed_models(columns: Columns, request: Request) -> Bools:
    """Which models it may use [models + 1], the last: no device, where nothing fits anyway."""
    may = [may_use(request, model, columns) for model in columns.models]
    return np.array([*may, True], dtype=np.bool_)


def may_use(request: Request, model: str, columns: Columns) -> bool:
    """Whether the request may go to cards of that model.

    A MIG slice is taken only by who names its model: a slice isn't what "one GPU" means.
    """
    if request.models:
        return model in request.models
    return model not in columns.mig_models
