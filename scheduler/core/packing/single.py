"""One row as plain numbers: what of it fits, as fit.py says it of many rows at once.

After a placement one row is to be looked at anew. For so few, plain numbers are ten times as fast
as arrays; for many it is the other way round. Tests hold both against each other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.requests import Request
from scheduler.core.packing.fit import enough_linked, mib_of

Numbers = tuple[int, ...]


@dataclass(slots=True)
class Single:
    """A row: free CPU (milli-CPU) and memory (MiB), whether it takes no more pods; by device [D].

    `room` is what a new pod may take, 0 if that is shut; the others are as in Columns. `links`: b""
    where all are linked with each other.
    """

    cpu: int
    ram: int
    crowded: bool
    room: Numbers
    mib: Numbers
    cap: Numbers
    mib_cap: Numbers
    model: Numbers
    mig: bytes
    closed: bool
    links: bytes = b""
    before: Any = None
    """What a policy remembers of it."""

    @classmethod
    def of(cls, columns: Columns, row: int) -> "Single":
        """Read a row of columns."""
        ints, truths = columns.plain(row)
        width = columns.width
        room, mib, cap, mib_cap, model = (
            tuple(ints[at : at + width]) for at in range(4, len(ints), width)
        )
        return cls(
            cpu=ints[1],
            ram=ints[3],
            crowded=columns.pods_matter and bool(truths[2 * width]),
            room=room if min(room) >= 0 else tuple(max(milli, 0) for milli in room),
            mib=mib,
            cap=cap,
            mib_cap=mib_cap,
            model=model,
            mig=truths[:width],
            closed=all(truths[width : 2 * width]),
            links=columns.links.get(row, b""),
        )


@dataclass(slots=True)
class Seen:
    """A row seen by a request that fits. `milli` [D] of one share, 0 where it does not fit."""

    request: Request
    row: Single
    milli: Sequence[int]

    @property
    def left(self) -> int:
        """CPU (milli-CPU) that stays free."""
        return self.row.cpu - self.request.cpu_milli

    @property
    def is_share(self) -> bool:
        """Whether it is tried on each device by itself."""
        return self.request.devices == 1 and not self.request.whole

    def tightest(self) -> list[int]:
        """Return the devices that it would take, those with the least room first."""
        return sorted(self.fitting(), key=self.row.room.__getitem__)[: self.request.devices]

    def fitting(self) -> list[int]:
        """Return the devices that could take one share."""
        return [at for at, milli in enumerate(self.milli) if milli]

    def by_device(self, score: Callable[[int], int]) -> list[int]:
        """Return the score of each device [D] that fits; devices that are alike fare alike."""
        row, alike = self.row, dict[tuple[int, ...], int]()
        devices = zip(self.milli, row.room, row.model, row.cap, strict=True)
        scores = [-1] * len(row.room)
        for at, device in enumerate(devices):
            if device[0]:
                found = alike.get(device)
                if found is None:
                    found = alike[device] = score(at)
                scores[at] = found
        return scores

    def room_after(self, taken: Sequence[int]) -> Numbers:
        """Return what is free of each device [D] once it has taken those."""
        room = list(self.row.room)
        for at in taken:
            room[at] -= self.milli[at]
        return tuple(room)


def look(columns: Columns, row: Single, request: Request, may: Sequence[bool]) -> Seen | None:
    """Look at a row with the eyes of the request; None if the pod can't go there.

    `may` [models + 1]: which models it may use, the last: no device.
    """
    if row.cpu < request.cpu_milli or row.ram < request.ram_mib or row.crowded:
        return None
    if not request.devices:
        return None if row.closed else Seen(request, row, ())
    milli = _shares(columns, row, request, may)
    if request.linked and row.links:
        fits = [at for at, each in enumerate(milli) if each]
        linked = set(enough_linked(row.links, fits, request.devices))
        milli = [each if at in linked else 0 for at, each in enumerate(milli)]
    enough = len(milli) - milli.count(0) >= request.devices
    return Seen(request, row, milli) if enough else None


def _shares(columns: Columns, row: Single, request: Request, may: Sequence[bool]) -> list[int]:
    """Milli-GPU of one share on each device [D], 0 where it doesn't fit."""
    if columns.memory_matters or columns.mig_models or request.memory_mib:
        devices = enumerate(row.model)
        return [_milli(columns, row, request, at) if may[model] else 0 for at, model in devices]
    if request.whole:
        cards = zip(row.room, row.cap, row.model, strict=True)
        return [cap if room == cap and may[model] else 0 for room, cap, model in cards]
    need, parts = request.milli, zip(row.room, row.model, strict=True)
    return [need if room >= need and may[model] else 0 for room, model in parts]


def _milli(columns: Columns, row: Single, request: Request, at: int) -> int:
    """Milli-GPU of one share on the device, 0 if it doesn't fit."""
    room, cap, total = row.room[at], row.cap[at], row.mib_cap[at]
    short = columns.memory_matters and row.mib[at] < mib_of(request, total)
    if request.whole:
        return cap if 0 < cap == room and not short else 0
    if row.mig[at]:
        return 0
    if request.memory_mib:
        if request.memory_mib > min(total, row.mib[at]):
            return 0
        milli = max(1, request.memory_mib * cap // max(total, 1))
        return milli if room >= milli else 0
    return request.milli if room >= request.milli and not short else 0
