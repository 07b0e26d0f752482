"""Nodes and their GPUs as API objects: what a kubelet and our agent would publish."""

import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.support.controlplane.api import JSON, MERGE, Api

GPUNODES = "/apis/equipoise.dev/v1alpha1/gpunodes"
MEMORY_MIB = 81_920


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a node is like. `gpus` devices of `memory_mib` each are published in its GPUNode.

    `kwok`: kwok plays its kubelet; without it the Node is a mere object that nobody keeps alive.
    `shared`: it carries the label that makes it Equipoise's. `advertised`: further resources, as
    a device plugin's.
    """

    gpus: int = 8
    memory_mib: int = MEMORY_MIB
    model: str = "NVIDIA A100-SXM4-80GB"
    cpu: str = "96"
    memory: str = "1Ti"
    pods: int = 110
    kwok: bool = True
    shared: bool = True
    advertised: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()


def device_uuid(node: str, index: int) -> str:
    """Return the UUID of a node's device, the same in every run."""
    return f"GPU-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{index}.{node}')}"


def create(api: Api, names: Sequence[str], kind: Kind) -> None:
    """Create Nodes and, where the CRD is installed, their GPUNodes."""
    published = kind.gpus > 0 and api.find(GPUNODES) is not None
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(_create, api, name, kind, published) for name in names]:
            done.result()


def publish(api: Api, name: str, devices: Sequence[JSON]) -> None:
    """Create or replace the inventory of a GPUNode, as the agent would."""
    head = _head(name)
    api.apply(f"{GPUNODES}/{name}", head, manager="equipoise-agent")
    status = {**head, "status": {"devices": list(devices)}}
    api.apply(f"{GPUNODES}/{name}/status", status, manager="equipoise-agent")


def _head(name: str) -> JSON:
    return {
        "apiVersion": "equipoise.dev/v1alpha1",
        "kind": "GPUNode",
        "metadata": {"name": name},
    }


def devices(name: str, kind: Kind) -> list[JSON]:
    """Return a GPUNode's status.devices for a healthy node of that kind."""
    return [
        {
            "index": index,
            "uuid": device_uuid(name, index),
            "model": kind.model,
            "memoryMiB": kind.memory_mib,
            "milli": 1000,
            "healthy": True,
        }
        for index in range(kind.gpus)
    ]


def ready(node: JSON) -> bool:
    """Say whether a node is Ready and no taint says that it isn't."""
    conditions = {each["type"]: each["status"] for each in node["status"].get("conditions", ())}
    taints = {each["key"] for each in node["spec"].get("taints", ())}
    return conditions.get("Ready") == "True" and "node.kubernetes.io/not-ready" not in taints


def _create(api: Api, name: str, kind: Kind, published: bool) -> None:
    wanted = list(kind.taints)
    made = api.post("/api/v1/nodes", _node(name, kind))
    if not kind.kwok and made["spec"].get("taints", []) != wanted:
        # Admission taints every new node as not ready; here nobody would ever take that away.
        api.patch(f"/api/v1/nodes/{name}", {"spec": {"taints": wanted}}, MERGE)
    if published:
        (publish if kind.kwok else _publish_cheaply)(api, name, devices(name, kind))


def _publish_cheaply(api: Api, name: str, found: Sequence[JSON]) -> None:
    """As `publish`, without server-side apply, which costs the API server twice as much."""
    api.post(GPUNODES, _head(name))
    api.patch(f"{GPUNODES}/{name}/status", {"status": {"devices": list(found)}}, MERGE)


def _node(name: str, kind: Kind) -> JSON:
    room = {"cpu": kind.cpu, "memory": kind.memory, "pods": str(kind.pods), **kind.advertised}
    labels: dict[str, str] = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    if kind.shared:
        labels["equipoise.dev/managed"] = "true"
    annotations = {"kwok.x-k8s.io/node": "fake"} if kind.kwok else {}
    status: dict[str, Any] = {"capacity": room, "allocatable": room}
    if not kind.kwok:
        status["conditions"] = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {**labels, **kind.labels},
            "annotations": annotations,
        },
        "spec": {"taints": list(kind.taints)},
        "status": status,
    }
