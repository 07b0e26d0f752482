"""CPU seconds and memory of the processes of a control plane, and when pods got their nodes."""

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.controlplane.api import Api
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.processes import Process

PODS = "/api/v1/pods"
HAS_NODE = {"fieldSelector": "spec.nodeName!="}

Cpu = Mapping[str, float]
"""CPU seconds by process."""


def cpu(processes: Mapping[str, Process]) -> dict[str, float]:
    """Return what each has used so far; "client" is this process itself."""
    used = {name: process.usage().cpu_seconds for name, process in processes.items()}
    mine = os.times()
    return {**used, "client": mine.user + mine.system}


def peak_mib(pid: int) -> float:
    """Return the most memory that a process ever held (VmHWM), MiB."""
    for line in (Path("/proc") / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


@dataclass
class Bound:
    """Counts pods from the moment in which they have a node, in a thread of its own.

    `first` and `last` are seconds of time.monotonic, with the CPU that `processes` had used by
    then; `last` is that of pod number `wanted`. `path`: which pods, such as those of a namespace.
    """

    plane: ControlPlane
    wanted: int
    processes: dict[str, Process]
    path: str = PODS
    count: int = 0
    first: float = 0.0
    last: float = 0.0
    cpu_first: Cpu = field(default_factory=dict)
    cpu_last: Cpu = field(default_factory=dict)
    _ending: threading.Event = field(default_factory=threading.Event)
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Bound":
        self._api = Api(self.plane.kubeconfig())
        listed = self._api.get(self.path, {**HAS_NODE, "limit": "1"})
        self._version = str(listed["metadata"]["resourceVersion"])
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._api.close()

    def wait(self, seconds: float) -> None:
        """Wait until all that are wanted have a node."""
        if not self._done.wait(seconds):
            raise SystemExit(f"{self.count} of {self.wanted} pods have a node after {seconds} s")

    def settle(self, seconds: float) -> None:
        """Wait until no further pod has got a node for so long."""
        before = -1
        while before != self.count:
            before = self.count
            time.sleep(seconds)

    @property
    def per_second(self) -> float:
        return (self.wanted - 1) / (self.last - self.first)

    @property
    def cpu_ms(self) -> dict[str, float]:
        """CPU milliseconds a pod, by process, from the first pod to the last."""
        each = 1000 / (self.wanted - 1)
        return {name: (used - self.cpu_first[name]) * each for name, used in self.cpu_last.items()}

    def _follow(self) -> None:
        while not self._ending.is_set():
            query = {**HAS_NODE, "resourceVersion": self._version}
            try:
                for event in self._api.watch(self.path, query, idle_seconds=1.0):
                    self._version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] == "ADDED":
                        self._met()
            except httpx.TransportError:
                continue

    def _met(self) -> None:
        self.count += 1
        if self.count == 1:
            self.first, self.cpu_first = time.monotonic(), cpu(self.processes)
        if self.count == self.wanted:
            self.last, self.cpu_last = time.monotonic(), cpu(self.processes)
            self._done.set()
