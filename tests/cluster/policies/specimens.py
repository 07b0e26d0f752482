"""Pods as Equipoise's webhook leaves them, to be spoilt by attackers; Bindings and assignments."""

import copy
from collections.abc import Mapping
from typing import Any

from tests.support.controlplane.api import JSON

GATE = "equipoise.dev/fair-share"
FRACTION = "equipoise.dev/gpu-fraction"
DEVICES = "equipoise.dev/devices"
ASSIGNMENT = "equipoise.dev/assignment"

WRITTEN = {
    DEVICES: "GPU-1",
    ASSIGNMENT: '{"version":1,"node":"gpu-0","slots":[[0,"GPU-1",500,40960]]}',
    "equipoise.dev/mps-memory-limit": "0=40960M",
    "equipoise.dev/mps-threads": "50",
    "equipoise.dev/memory-limit-mib": "40960",
}
"""What a Binding of Equipoise's carries."""

CDI = "nvidia.cdi.k8s.io/container.main"
MIRROR = "kubernetes.io/config.mirror"


def env(name: str, note: str) -> JSON:
    """A variable that refers to an annotation."""
    return {
        "name": name,
        "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{note}']"}},
    }


VISIBLE = env("NVIDIA_VISIBLE_DEVICES", DEVICES)
VOID = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}


def asking(name: str = "p", **changes: Any) -> JSON:
    """A pod that asks for half a GPU, as the webhook leaves it. `changes` as in `changed`."""
    limits = [
        env("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT", "equipoise.dev/mps-memory-limit"),
        env("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "equipoise.dev/mps-threads"),
        env("NVIDIA_GPU_MEMORY_REQUEST", "equipoise.dev/memory-limit-mib"),
        env("NVIDIA_GPU_MEMORY_LIMIT", "equipoise.dev/memory-limit-mib"),
    ]
    pod = {
        "metadata": {
            "name": name,
            "annotations": {FRACTION: "0.5", "equipoise.dev/gpu-containers": "main"},
        },
        "spec": {
            "schedulerName": "equipoise",
            "schedulingGates": [{"name": GATE}],
            "tolerations": [{"key": "equipoise.dev/managed", "operator": "Exists"}],
            "containers": [
                container("main", env=[VISIBLE, *limits]),
                container("sidecar"),
            ],
        },
    }
    return changed(pod, **changes)


def plain(name: str = "p", **changes: Any) -> JSON:
    """A pod without a request in a tenant's namespace, as the webhook leaves it."""
    spec = {"containers": [container("main")], "initContainers": [container("first")]}
    return changed({"metadata": {"name": name}, "spec": spec}, **changes)


def untouched(name: str = "p", **changes: Any) -> JSON:
    """A pod that the webhook never saw."""
    spec = {"containers": [{"name": "main", "image": "x"}]}
    return changed({"metadata": {"name": name}, "spec": spec}, **changes)


def container(name: str, **fields: Any) -> JSON:
    """A container that sees no GPU, unless `env` says otherwise."""
    return {"name": name, "image": "x", "env": [VOID], **fields}


def changed(
    pod: JSON, *, notes: Mapping[str, str] | None = None, main: JSON | None = None, **spec: Any
) -> JSON:
    """A copy with more annotations, other fields in the container "main" and in the spec."""
    found = copy.deepcopy(pod)
    if notes:
        found["metadata"].setdefault("annotations", {}).update(notes)
    found["spec"]["containers"][0].update(main or {})
    found["spec"].update(spec)
    return found


def without(pod: JSON, *fields: str) -> JSON:
    """A copy without these fields of its spec."""
    found = copy.deepcopy(pod)
    for field in fields:
        del found["spec"][field]
    return found


def more(*entries: JSON) -> JSON:
    """Fields of a container that has these variables beside the webhook's."""
    return {"env": [*entries, VOID]}


def binding(pod: JSON, node: str, notes: Mapping[str, str] | None = None) -> JSON:
    """A Binding of that pod."""
    metadata = {"name": pod["metadata"]["name"], "annotations": dict(notes or {})}
    if uid := pod["metadata"].get("uid"):
        metadata["uid"] = uid
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    return {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}
