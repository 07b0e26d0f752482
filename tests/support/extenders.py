"""What the tests of the extender are built from: nodes, pods as JSON, a clock, an API server."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scheduler import settings
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model import assignment
from scheduler.core.model.errors import AlreadyAssigned, BindRefused
from scheduler.core.model.ids import DeviceUUID, NodeName, PodUID, TenantName
from scheduler.core.model.nodes import Device, Node
from scheduler.core.model.placements import Placement
from scheduler.core.model.pods import PodRef
from scheduler.extender.service import ExtenderService, Planner
from scheduler.extender.wire import BindingArgs, FilterArgs
from tests.support.planners import FirstFit

FRACTION = "equipoise.dev/gpu-fraction"


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self, start: float = 1_000.0) -> None:
        self.time = start

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


def node(name: str, devices: int = 2, *, memory_mib: int = 16_384, is_open: bool = True) -> Node:
    cards = tuple(
        Device(DeviceUUID(f"GPU-{name}-{index}"), "T4", memory_mib) for index in range(devices)
    )
    return Node(NodeName(name), cards, 64_000, 262_144, open=is_open)


def pod_json(uid: str, fraction: str | None = "0.5", **annotations: str) -> dict[str, Any]:
    """Return a pod as kube-scheduler sends it; `uid` is its name, too."""
    notes = {FRACTION: fraction} if fraction is not None else {}
    notes |= {f"equipoise.dev/{key.replace('_', '-')}": text for key, text in annotations.items()}
    return {
        "metadata": {
            "name": uid,
            "namespace": "lab",
            "uid": uid,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": notes,
        },
        "spec": {
            "containers": [{"name": "main", "resources": {"requests": {"cpu": "1"}}}],
            "priority": 7,
            "schedulerName": "equipoise",
        },
        "status": {"phase": "Pending"},
    }


def offer(pod: Mapping[str, Any], *names: str) -> FilterArgs:
    return FilterArgs(pod, [NodeName(name) for name in names])


def binding(uid: str, to: str) -> BindingArgs:
    return BindingArgs("lab", uid, PodUID(uid), NodeName(to))


@dataclass
class StoredPod:
    """What the API server knows of a pod."""

    node: NodeName | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)


class FakeApi:
    """Binds as the API server does, or as the next of `failures` says.

    "lost": stored, but the answer is lost. "down": nothing stored, no answer. Calls wait for
    `gate`, before anything is stored, or if `early` after it.
    """

    def __init__(self) -> None:
        self.pods: dict[PodUID, StoredPod] = {}
        self.failures: list[str] = []
        self.calls: list[tuple[PodUID, NodeName, Mapping[str, str]]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.early = False

    def create(self, uid: str) -> None:
        self.pods[PodUID(uid)] = StoredPod()

    async def bind(self, pod: PodRef, node: NodeName, annotations: Mapping[str, str]) -> None:
        self.calls.append((pod.uid, node, annotations))
        if early := self.early:
            self.store(pod.uid, node, annotations)
        await self.gate.wait()
        failure = self.failures.pop(0) if self.failures else ""
        if failure == "down":
            raise ConnectionError("connection refused")
        if not early:
            self.store(pod.uid, node, annotations)
        if failure == "lost":
            raise ConnectionError("connection reset")

    def store(self, uid: PodUID, node: NodeName, annotations: Mapping[str, str]) -> None:
        found = self.pods.get(uid)
        if found is None:
            raise BindRefused("it is gone; nothing needs to be done")
        if found.node is not None:
            raise AlreadyAssigned(found.node, found.annotations)
        self.pods[uid] = StoredPod(node, dict(annotations))

    def placements(self) -> dict[PodUID, Placement]:
        """Return where bound pods are, as a list of pods would tell after a restart."""
        found = {uid: assignment.decode(pod.annotations) for uid, pod in self.pods.items()}
        return {uid: placement for uid, placement in found.items() if placement is not None}


def service(
    ledger: Ledger,
    api: FakeApi,
    *,
    clock: ManualClock | None = None,
    plan: Planner | None = None,
    bind_seconds: float = 4.0,
) -> ExtenderService:
    return ExtenderService(
        ledger,
        plan=plan or FirstFit(ledger),
        binder=api,
        clock=clock or ManualClock(),
        settings=settings.Extender(reservation_seconds=30.0, bind_seconds=bind_seconds),
        tenant_of=tenant_of,
    )


def tenant_of(namespace: str, _user: str) -> TenantName:
    return TenantName(f"team-{namespace}")


def oversold(ledger: Ledger) -> int:
    """Milli-GPU promised above capacity, by the columns and by a count of the holdings."""
    columns = ledger.columns
    held: dict[str, int] = {}
    for holding in ledger.holdings.values():
        for slot in holding.placement.slots:
            held[slot.uuid] = held.get(slot.uuid, 0) + slot.milli
    capacity = {
        device.uuid: device.milli for node in ledger.nodes.values() for device in node.devices
    }
    counted = sum(max(0, milli - capacity.get(DeviceUUID(u), 0)) for u, milli in held.items())
    return max(counted, -int(columns.free[columns.free < 0].sum()))
