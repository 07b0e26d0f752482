"""The card under test: how its driver is asked, and how programs are started on it."""

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hack.verify_card.daemon import Daemon
from hack.verify_card.program import Answer, NoAnswer, Program
from scheduler.device.driver import DeviceRecord, DeviceUsage, Driver, ProcessUse

MPS_PREFIX = "CUDA_MPS_"
PROC = Path("/proc")


class Started(Protocol):
    """A program on the card; hack/verify_card/program.py says what it can be asked."""

    pid: int
    refused: str

    def ask(self, command: str) -> Answer: ...
    def tell(self, command: str) -> None: ...
    def answer(self) -> Answer: ...
    def close(self) -> None: ...
    def kill(self) -> None: ...


def cgroup(pid: int) -> str:
    """Return what the kernel says of a process's cgroup."""
    return (PROC / str(pid) / "cgroup").read_text(encoding="utf-8", errors="replace")


@dataclass
class Bench:
    """One card, `record`, as `driver` tells of it, and the library `nvml` with its `handle`."""

    driver: Driver
    nvml: Any
    record: DeviceRecord
    handle: Any
    start: Callable[..., Started] = Program
    daemon: Callable[[str], Daemon] = Daemon
    cgroup: Callable[[int], str] = cgroup
    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    _open: list[Started] = field(default_factory=list)

    def program(
        self, env: Mapping[str, str] | None = None, *, forget: Sequence[str] = ()
    ) -> Started:
        """Start a program that sees this card alone; raise NoAnswer if CUDA refuses it."""
        found = self.start(self.environment(env or {}), forget=forget)
        self._open.append(found)
        if found.refused:
            raise NoAnswer(f"CUDA doesn't start: {found.refused}")
        return found

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return this process's environment without what it says of MPS, and `more`."""
        mine = {name: text for name, text in os.environ.items() if not name.startswith(MPS_PREFIX)}
        return {**mine, "CUDA_VISIBLE_DEVICES": self.record.uuid, **more}

    def end(self) -> None:
        """Close all programs that were started."""
        while self._open:
            self._open.pop().close()

    def use(self) -> DeviceUsage:
        """Return the card's use as it is now; raise NoAnswer if the driver doesn't tell it."""
        for use in self.driver.usage():
            if use.uuid == self.record.uuid:
                return use
        raise NoAnswer("the driver tells no use of the card")

    def within(self, seconds: float, wanted: Callable[[DeviceUsage], bool]) -> float | None:
        """Return after how many seconds the use is as wanted; None if it isn't in time."""
        begin = self.now()
        while not wanted(self.use()):
            if self.now() - begin > seconds:
                return None
            self.pause(0.02)
        return self.now() - begin


def of(use: DeviceUsage, pid: int) -> ProcessUse | None:
    """Return what the driver lists of a process."""
    return next((each for each in use.processes if each.pid == pid), None)


def told(entry: ProcessUse | None) -> str:
    return f"{entry.kind}, {entry.used_mib} MiB" if entry else "not listed"


def unexplained(use: DeviceUsage, ours: Collection[int]) -> int:
    """Return the MiB that are left when what these processes are seen to hold is taken off."""
    return use.used_mib - sum(each.used_mib or 0 for each in use.processes if each.pid in ours)


def seconds(value: float | None) -> str:
    return "not within the time" if value is None else f"{value:.2f} s"
