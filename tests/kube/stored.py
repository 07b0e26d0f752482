"""Objects as the API server stores them, with the little that matters here."""

import asyncio
from collections.abc import Sequence
from typing import Any

from scheduler.core.model import names

JSON = dict[str, Any]

NOW = 1_800_000_000.0
"""2027-01-15T08:00:00Z."""


def stored(name: str, *, namespace: str | None = None, **rest: Any) -> JSON:
    metadata: JSON = {"name": name, "uid": f"uid-{name}", "resourceVersion": "7"}
    if namespace is not None:
        metadata["namespace"] = namespace
    metadata |= rest.pop("metadata", {})
    return {"metadata": metadata, **rest}


def tenant_json(name: str, parent: str | None = None, **spec: Any) -> JSON:
    return stored(name, spec={**({"parent": parent} if parent else {}), **spec})


def node_json(name: str, *, ours: bool = True, gpus: str = "0", **spec: Any) -> JSON:
    labels = {"zone": "a", **({names.MANAGED_LABEL: "true"} if ours else {})}
    allocatable = {"cpu": "3920m", "memory": "16461068Ki", "pods": "110", "nvidia.com/gpu": gpus}
    return stored(name, metadata={"labels": labels}, spec=spec, status={"allocatable": allocatable})


def gpunode_json(name: str, devices: int = 2, **status: Any) -> JSON:
    listed = [
        {"index": index, "uuid": f"{name}/{index}", "model": "T4", "memoryMiB": 16_000}
        | {"milli": 1000, "mig": False, "healthy": True}
        for index in range(devices)
    ]
    return stored(name, status={"devices": listed, **status})


def use(uuid: str, *, used: int, foreign: int = 0, load: int = 0) -> JSON:
    return {"uuid": uuid, "usedMiB": used, "foreignMiB": foreign, "loadPermille": load}


def gated_json(name: str, *, others: Sequence[str] = (), **spec: Any) -> JSON:
    """Return a gated pod of namespace lab that a Job has made; its UID is its name."""
    gates = [{"name": gate} for gate in (names.GATE, *others)]
    return stored(
        name,
        namespace="lab",
        metadata={
            "uid": name,
            "annotations": {names.GPU_FRACTION: "0.5"},
            "ownerReferences": [{"kind": "Job", "name": "job", "uid": "job", "controller": True}],
        },
        spec={"schedulerName": "equipoise", "schedulingGates": gates, **spec},
        status={"phase": "Pending"},
    )


class FastClock:
    """Moves on by itself whenever somebody waits, and lets others have their turn."""

    def __init__(self, start: float = NOW) -> None:
        self.time = start

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)
