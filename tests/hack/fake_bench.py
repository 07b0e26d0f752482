# ruff: noqa: N802 - functions are named as NVIDIA names them.
"""A card, programs on it and an MPS daemon that behave as an H200 did under driver 580.159.04."""

import itertools
import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import pynvml

from hack.verify_card.bench import Bench
from hack.verify_card.daemon import Daemon
from hack.verify_card.program import Answer
from scheduler.device.nvml import NvmlDriver
from tests.device.fake_nvml import FakeCard, FakeNvml

CONTEXT_MIB, OWNERLESS_MIB, SERVER_MIB = 518, 6, 66
SMS = 132
MEMORY, THREADS = "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"
PIPE = "CUDA_MPS_PIPE_DIRECTORY"


class Library(FakeNvml):
    """The library with the calls that are only looked at."""

    def __getattr__(self, name: str) -> Any:
        if name in {"_nvmlCheckReturn", "c_nvmlGetMemoryLimits_v1_t", "NVMLLibraryMismatchError"}:
            return getattr(pynvml, name)
        return super().__getattr__(name)

    def nvmlDeviceGetPersistenceMode(self, handle: FakeCard) -> int:
        return 1

    def nvmlDeviceGetComputeMode(self, handle: FakeCard) -> int:
        return 0

    def nvmlDeviceGetProcessUtilization(self, handle: FakeCard, timeStamp: int) -> Any:  # noqa: N803
        raise pynvml.NVMLError_NotFound()

    def nvmlDeviceGetMemoryLimits_v1(self, device: FakeCard, limits: Any) -> None:
        raise pynvml.NVMLError_FunctionNotFound()


class Machine:
    """One card and what runs on it."""

    def __init__(self, *, keeps_limits: bool = True) -> None:
        self.card = FakeCard("GPU-0")
        self.nvml = Library([self.card])
        self.keeps_limits = keeps_limits
        self.pids = itertools.count(100)
        self.running: list[Running] = []
        self.failed = False
        self.seconds = itertools.count()
        self.daemons: list[FakeDaemon] = []

    def bench(self) -> Bench:
        driver = NvmlDriver(self.nvml)
        (record,) = driver.inventory()
        return Bench(
            driver,
            self.nvml,
            record,
            self.card,
            start=lambda env, forget=(): Running(self, env, forget),
            daemon=lambda uuid: FakeDaemon(self),
            cgroup=lambda pid: "0::/user.slice\n",
            now=lambda: float(next(self.seconds)),
            pause=lambda seconds: None,
        )

    def settle(self) -> None:
        """Let the library tell of what runs now."""
        entries = {each.pid: each.held + each.context for each in self.running}
        self.failed = self.failed and bool(entries)
        clients = {each.pid for each in self.running if each.mps}
        self.card.mps = [(pid, mib) for pid, mib in entries.items() if pid in clients]
        self.card.compute = [(pid, mib) for pid, mib in entries.items() if pid not in clients]
        self.card.compute += [(each.pid, SERVER_MIB) for each in self.daemons if clients]
        owned = sum(mib or 0 for _, mib in self.card.mps + self.card.compute)
        self.card.used_mib = owned + OWNERLESS_MIB * len(entries)


class Running:
    """A program on the card."""

    def __init__(self, machine: Machine, env: Mapping[str, str], forget: Sequence[str]) -> None:
        self.machine, self.pid = machine, next(machine.pids)
        self.env = {name: text for name, text in env.items() if name not in forget}
        self.mps = PIPE in self.env
        self.context, self.held = CONTEXT_MIB * self.sms // SMS, 0
        self.due: list[Answer] = []
        refuses = self.mps and machine.failed
        self.refused = "CUDA_ERROR_MPS_SERVER_NOT_READY" if refuses else ""
        machine.running.append(self)
        machine.settle()

    @property
    def sms(self) -> int:
        percent = int(self._kept(THREADS) or 0) or 100
        return max(8, SMS * percent // 100 // 2 * 2)

    @property
    def limit(self) -> int:
        text = self._kept(MEMORY)
        # Of a list with a card that the process doesn't see, nothing is kept.
        return int(text[2:-1]) if re.fullmatch(r"0=\d+M", text) else 143_155

    def ask(self, command: str) -> Answer:
        self.tell(command)
        return self.answer()

    def tell(self, command: str) -> None:
        word, *numbers = command.split()
        busy = word == "busy" and numbers != ["0"]
        self.machine.card.gpu_percent = 100 if busy else 0
        if busy:
            for each in self.machine.running:
                each.due = [{**due, "rate": 45.0 * each.sms / SMS} for due in each.due]
        found: Answer = {"error": "", **getattr(self, word)(*numbers)}
        self.due.append(found)
        self.machine.settle()

    def answer(self) -> Answer:
        self.machine.card.gpu_percent = 0
        return self.due.pop(0)

    def state(self) -> Answer:
        return {"sms": self.sms, "free_mib": self._left(), "total_mib": 143_155}

    def take(self, mib: str) -> Answer:
        if int(mib) > self._left():
            return {"error": "CUDA_ERROR_OUT_OF_MEMORY"}
        self.held += int(mib)
        return {}

    def release(self) -> Answer:
        self.held = 0
        return {}

    def fill(self, most: str) -> Answer:
        return {"mib": min(int(most), self._left())}

    def busy(self, seconds: str) -> Answer:
        if self.mps and self.machine.failed:
            return {"error": "CUDA_ERROR_ILLEGAL_ADDRESS"}
        others = [each for each in self.machine.running if each.due and each is not self]
        turns = 45.0 if others and not self.mps else 100.0
        return {"rate": turns * self.sms / SMS}

    def fail(self) -> Answer:
        self.machine.nvml.xid(self.machine.card, 31)
        self.machine.failed = self.mps
        return {"error": "CUDA_ERROR_ILLEGAL_ADDRESS"}

    def close(self) -> None:
        if self in self.machine.running:
            self.machine.running.remove(self)
        self.machine.settle()

    def kill(self) -> None:
        self.close()

    def _kept(self, name: str) -> str:
        return self.env.get(name, "") if self.mps and self.machine.keeps_limits else ""

    def _left(self) -> int:
        return self.limit - self.held - self.context


class FakeDaemon(Daemon):
    """A daemon of which clients know by their environment alone."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.pid, self.env = machine, next(machine.pids), {PIPE: "/pipe"}

    def __enter__(self) -> "FakeDaemon":
        self.machine.daemons.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.machine.daemons.remove(self)
        assert not self.machine.running, "a daemon waits for its clients"

    def tell(self, command: str) -> str:
        return ""

    def servers(self) -> list[int]:
        return [self.pid]
