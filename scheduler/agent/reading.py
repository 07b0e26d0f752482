"""One look at the machine: its devices, what is used of them, and whose processes use them.

The driver's calls block, and a broken driver blocks them for good. So each look is a thread of its
own that nobody waits for at exit, one at a time and with a time limit.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from scheduler.agent import processes
from scheduler.clock import Clock
from scheduler.core.model.errors import DeviceError
from scheduler.core.model.ids import PodUID
from scheduler.device.driver import DeviceRecord, DeviceUsage, Driver

T = TypeVar("T")

SILENT = "the driver doesn't answer: look at the kernel's log (dmesg), and reboot the machine"


@dataclass(frozen=True, slots=True)
class Reading:
    """What the machine told at `at` (seconds since the epoch).

    `about` is the driver in a few words; `owners` says to which pod a process (PID of the host)
    belongs.
    """

    at: float
    about: str
    records: tuple[DeviceRecord, ...]
    usage: tuple[DeviceUsage, ...] = ()
    owners: Mapping[int, PodUID] = field(default_factory=dict)


class Look(Protocol):
    """Takes a look; raises DeviceError if the driver as a whole doesn't answer."""

    async def __call__(self) -> Reading:
        """Return what the machine tells now."""
        ...


class Reader:
    """A driver that is opened when it is first needed, and again after it failed to open."""

    def __init__(self, opening: Callable[[], Driver], *, proc: Path, clock: Clock) -> None:
        self._opening, self._proc, self._clock = opening, proc, clock
        self._driver: Driver | None = None
        self._opened = 0.0

    def read(self) -> Reading:
        """Ask the driver; blocks, and raises DeviceError if it doesn't answer."""
        now = self._clock.now()
        if self._driver is None:
            self._driver, self._opened = self._opening(), now
        driver, at = self._driver, now - self._opened
        records, usage = driver.inventory(at), driver.usage(at)
        pids = [process.pid for use in usage for process in use.processes]
        owners = processes.owners(pids, proc=self._proc)
        return Reading(now, driver.about(), records, usage, owners)

    def close(self) -> None:
        """Let go of the driver."""
        if self._driver is not None:
            self._driver.close()
            self._driver = None


class Patience:
    """Runs something that blocks, in a thread, and waits for it `seconds` at most."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: Future[object] | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises.

        Raises DeviceError if it takes too long, and at once while an earlier one still does.
        """
        if self._running is not None and not self._running.done():
            raise DeviceError(SILENT)
        outcome: Future[T] = Future()
        self._running = outcome  # type: ignore[assignment]  # only asked whether it is done
        threading.Thread(
            target=_settle, args=(outcome, work), daemon=True, name="device driver"
        ).start()
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.wrap_future(outcome)
        except TimeoutError:
            raise DeviceError(SILENT) from None


def _settle(outcome: "Future[T]", work: Callable[[], T]) -> None:
    # Running: whoever stops waiting for it can't take it back.
    outcome.set_running_or_notify_cancel()
    try:
        outcome.set_result(work())
    except BaseException as problem:
        outcome.set_exception(problem)
