"""An independent reader of who holds which card: the pods' watch, and nothing else.

It shares no code with Equipoise and believes only what the API server stored: a pod holds what its
annotation `equipoise.dev/assignment` says from the event that carries nodeName until it has
finished or is gone.
"""

import json
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.support.controlplane.api import JSON, Api, Refused
from tests.support.controlplane.waiting import eventually

PODS = "/api/v1/pods"
GPUNODES = "/apis/equipoise.dev/v1alpha1/gpunodes"
ASSIGNMENT = "equipoise.dev/assignment"
REQUESTS = ("equipoise.dev/gpu-fraction", "equipoise.dev/gpu-memory", "gpu-fraction", "gpu-memory")
WHOLE = 1000

Device = tuple[str, str]
"""Node and UUID."""


@dataclass(frozen=True, slots=True)
class Held:
    """What one pod holds: milli and MiB by UUID on its node."""

    pod: str
    node: str
    text: str
    shares: dict[str, tuple[int, int]]


@dataclass(slots=True)
class Worst:
    """The most by which a device was ever oversold."""

    milli: int = 0
    memory_mib: int = 0


@dataclass(slots=True)
class Books:
    """The fold over pods: who holds what now, and everything that was ever wrong."""

    memory: dict[Device, int] = field(default_factory=dict)
    milli: dict[Device, int] = field(default_factory=dict)
    holders: dict[str, Held] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    worst: dict[Device, Worst] = field(default_factory=dict)
    wrongs: list[str] = field(default_factory=list)
    placed: int = 0
    _seen: dict[str, tuple[str, str]] = field(default_factory=dict)
    _used: dict[Device, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))

    def replace(self, pods: list[JSON]) -> None:
        """Take a whole list in: what ended meanwhile ends first."""
        listed = {pod["metadata"]["uid"] for pod in pods if not _finished(pod)}
        for uid in self.holders.keys() - listed:
            self._release(uid)
        self.versions.clear()
        for pod in pods:
            self.see("MODIFIED", pod)

    def see(self, event: str, pod: JSON) -> None:
        """Take one event in."""
        uid = pod["metadata"]["uid"]
        self.versions[uid] = pod["metadata"]["resourceVersion"]
        if event == "DELETED" or _finished(pod):
            self._release(uid)
        elif pod["spec"].get("nodeName"):
            self._bound(uid, pod)
        elif uid in self._seen:
            self.wrongs.append(f"{_name(pod)} was bound and is not any more")
        if event == "DELETED":
            self.versions.pop(uid, None)

    def oversold_gpus(self) -> float:
        """The most by which one device was ever oversold, in compute or memory, as part of it."""
        parts = [worst.milli / WHOLE for worst in self.worst.values()]
        for device, worst in self.worst.items():
            if worst.memory_mib:
                parts.append(worst.memory_mib / self.memory[device])
        return max(parts, default=0.0)

    def _bound(self, uid: str, pod: JSON) -> None:
        node, text = pod["spec"]["nodeName"], pod["metadata"].get("annotations", {})
        assigned = text.get(ASSIGNMENT, "")
        before = self._seen.setdefault(uid, (node, assigned))
        if before != (node, assigned):
            self._changed(uid, pod, before)
        if not assigned:
            if before == (node, "") and _asks(pod) and uid not in self.holders:
                self._note(f"{_name(pod)} was bound to {node} without an assignment")
            return
        if uid not in self.holders:
            self._hold(uid, pod, assigned)

    def _changed(self, uid: str, pod: JSON, before: tuple[str, str]) -> None:
        node, assigned = pod["spec"]["nodeName"], pod["metadata"].get("annotations", {})
        self._note(
            f"{_name(pod)} was bound to {before[0]} with {before[1] or 'nothing'} and later to "
            f"{node} with {assigned.get(ASSIGNMENT, 'nothing')}"
        )
        self._release(uid)
        self._seen[uid] = (node, assigned.get(ASSIGNMENT, ""))

    def _hold(self, uid: str, pod: JSON, text: str) -> None:
        try:
            body = json.loads(text)
            rows = {uuid: (milli, mib) for _, uuid, milli, mib in body["slots"]}
            version, node = body["version"], body["node"]
        except (ValueError, TypeError, KeyError) as error:
            self._note(f"{_name(pod)} has an assignment that can't be read: {text} ({error})")
            return
        if version != 1 or node != pod["spec"]["nodeName"] or len(rows) != len(body["slots"]):
            self._note(f"{_name(pod)} on {pod['spec']['nodeName']} has the assignment {text}")
        self.holders[uid] = Held(_name(pod), pod["spec"]["nodeName"], text, rows)
        self.placed += 1
        for uuid, (milli, mib) in rows.items():
            self._add((pod["spec"]["nodeName"], uuid), milli, mib)

    def _release(self, uid: str) -> None:
        held = self.holders.pop(uid, None)
        if held is not None:
            for uuid, (milli, mib) in held.shares.items():
                self._add((held.node, uuid), -milli, -mib)

    def _add(self, device: Device, milli: int, mib: int) -> None:
        used = self._used[device]
        used[0] += milli
        used[1] += mib
        over = used[0] - self.milli.get(device, WHOLE)
        over_mib = used[1] - self.memory[device] if device in self.memory else 0
        if over > 0 or over_mib > 0:
            worst = self.worst.setdefault(device, Worst())
            worst.milli = max(worst.milli, over)
            worst.memory_mib = max(worst.memory_mib, over_mib)

    def _note(self, wrong: str) -> None:
        if wrong not in self.wrongs:
            self.wrongs.append(wrong)


class Auditor:
    """Follows all pods in a thread of its own, over restarts of the API server.

    How much memory a device has comes from the GPUNodes that exist when it starts.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self._api, self._books, self._lock = Api(kubeconfig), Books(), threading.Lock()
        self._ending = threading.Event()
        self._version = ""
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def start(self) -> None:
        """Read nodes and pods, then follow."""
        self._read_devices()
        self._list()
        self._thread.start()

    def close(self) -> None:
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._api.close()

    def held(self) -> dict[str, tuple[str, dict[str, int]]]:
        """Return pod UID → (node, {device UUID: milli}) of all bound, unfinished pods."""
        with self._lock:
            return {
                uid: (held.node, {uuid: milli for uuid, (milli, _) in held.shares.items()})
                for uid, held in self._books.holders.items()
            }

    @property
    def placed(self) -> int:
        """How many pods it ever saw on a node with an assignment."""
        with self._lock:
            return self._books.placed

    @property
    def oversold_gpus(self) -> float:
        """The most by which one device was ever oversold, in compute or memory, as part of it."""
        with self._lock:
            return self._books.oversold_gpus()

    def problems(self) -> list[str]:
        """Return everything that was ever wrong, one sentence each."""
        with self._lock:
            oversold = [
                f"{uuid} of {node} was oversold by {worst.milli} milli, {worst.memory_mib} MiB"
                for (node, uuid), worst in sorted(self._books.worst.items())
            ]
            return oversold + self._books.wrongs

    def caught_up(self, seconds: float = 20.0) -> None:
        """Wait until it has seen every pod as the API server has it now."""
        eventually(self._up_to_date, seconds, what="the auditor sees all pods")

    def _up_to_date(self) -> bool:
        now = {
            pod["metadata"]["uid"]: pod["metadata"]["resourceVersion"]
            for pod in self._api.items(PODS)
        }
        with self._lock:
            return now == self._books.versions

    def _read_devices(self) -> None:
        try:
            listed = self._api.items(GPUNODES)
        except Refused as error:
            if error.status != 404:
                raise
            return
        for node in listed:
            for device in node.get("status", {}).get("devices", ()):
                where = (node["metadata"]["name"], device["uuid"])
                self._books.memory[where] = device["memoryMiB"]
                self._books.milli[where] = device.get("milli", WHOLE)

    def _list(self) -> None:
        listed = self._api.get(PODS)
        self._version = listed["metadata"]["resourceVersion"]
        with self._lock:
            self._books.replace(listed["items"])

    def _follow(self) -> None:
        while not self._ending.is_set():
            try:
                self._watch()
            except Refused:
                self._relist()
            except httpx.TransportError:
                self._ending.wait(0.1)

    def _relist(self) -> None:
        try:
            self._list()
        except (Refused, httpx.TransportError):
            self._ending.wait(0.2)

    def _watch(self) -> None:
        params = {"resourceVersion": self._version, "allowWatchBookmarks": "true"}
        for event in self._api.watch(PODS, params, idle_seconds=1.0):
            self._take(event)
            if self._ending.is_set():
                return

    def _take(self, event: dict[str, Any]) -> None:
        if event["type"] == "ERROR":
            status = event["object"]
            raise Refused(status.get("code", 0), status.get("message", ""))
        self._version = event["object"]["metadata"]["resourceVersion"]
        if event["type"] != "BOOKMARK":
            with self._lock:
                self._books.see(event["type"], event["object"])


def _finished(pod: JSON) -> bool:
    return pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}


def _name(pod: JSON) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _asks(pod: JSON) -> bool:
    ours = pod["spec"].get("schedulerName") == "equipoise"
    return ours and any(name in pod["metadata"].get("annotations", {}) for name in REQUESTS)
