"""The recent past for the charts, in bounded memory: when it is full it keeps every second moment.

So it always reaches back to its start, at a resolution that halves as time goes by.
"""

import math
from array import array
from typing import TypedDict

from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import TenantName
from scheduler.core.model.standing import Standing

SAMPLES = 360


class Track(TypedDict):
    """One leaf tenant over time, GPUs; null where it didn't exist."""

    name: str
    due: list[float | None]
    got: list[float | None]


class Past(TypedDict):
    """The JSON of /api/v1/history: all lists are as long as `at` (seconds since the epoch).

    `step` is the least time between two samples, in seconds.
    """

    step: float
    at: list[float]
    jain: list[float]
    free: list[float]
    fragmented: list[float]
    tenants: list[Track]


class History:
    """Samples of what tenants were due and got, of Jain's index, of free and fragmented GPUs.

    `samples` (at least 4) is the most that is kept, `step` the seconds between two at first.
    """

    def __init__(self, samples: int = SAMPLES, *, step: float = 1.0) -> None:
        self._capacity, self._step = max(4, samples), step
        self._slack = step / 10
        self._at = array("d")
        self._cluster = {name: array("d") for name in ("jain", "free", "fragmented")}
        self._due: dict[TenantName, array[float]] = {}
        self._got: dict[TenantName, array[float]] = {}

    def __len__(self) -> int:
        return len(self._at)

    def record(self, standing: Standing) -> None:
        """Keep this moment, unless the last one that was kept is too recent, or later."""
        if self._too_soon(standing.at):
            return
        if len(self._at) >= self._capacity:
            self._thin()
            if self._too_soon(standing.at):
                return
        self._append(standing)

    def past(self, after: float = -math.inf) -> Past:
        """Return what is kept of the time after `after` (seconds since the epoch)."""
        start = next((i for i, at in enumerate(self._at) if at > after), len(self._at))
        return Past(
            step=self._step,
            at=list(self._at[start:]),
            jain=list(self._cluster["jain"][start:]),
            free=list(self._cluster["free"][start:]),
            fragmented=list(self._cluster["fragmented"][start:]),
            tenants=[
                Track(name=name, due=_nulls(due[start:]), got=_nulls(self._got[name][start:]))
                for name, due in self._due.items()
            ],
        )

    def _too_soon(self, at: float) -> bool:
        # A poll that comes a little early must not cost a sample.
        return bool(self._at) and at - self._at[-1] < self._step - self._slack

    def _append(self, standing: Standing) -> None:
        before = len(self._at)
        self._at.append(standing.at)
        self._cluster["jain"].append(round(standing.jain, 4))
        self._cluster["free"].append(standing.free_milli / MILLI)
        self._cluster["fragmented"].append(standing.fragments.milli / MILLI)
        for tenant in standing.tenants:
            if tenant.leaf:
                for tracks, amount in (
                    (self._due, tenant.fair_share),
                    (self._got, tenant.allocated),
                ):
                    track = tracks.setdefault(tenant.name, array("d", [math.nan]) * before)
                    track.append(round(float(amount), 3))
        for track in (*self._due.values(), *self._got.values()):
            if len(track) == before:
                track.append(math.nan)

    def _thin(self) -> None:
        self._step *= 2
        # Counted from the end, so that what is newest stays.
        self._at = _every_second(self._at)
        self._cluster = {name: _every_second(track) for name, track in self._cluster.items()}
        self._due = {name: _every_second(track) for name, track in self._due.items()}
        self._got = {name: _every_second(track) for name, track in self._got.items()}
        for name in [name for name, track in self._due.items() if all(map(math.isnan, track))]:
            del self._due[name], self._got[name]


def _every_second(track: "array[float]") -> "array[float]":
    return track[::-1][::2][::-1]


def _nulls(track: "array[float]") -> list[float | None]:
    return [None if math.isnan(value) else value for value in track]
