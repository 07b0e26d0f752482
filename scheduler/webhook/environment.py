"""What a container's environment says about GPUs: its own ones, or none.

kubelet reads a container's `env` from first to last and after `envFrom`, so what stands last in
`env` holds. The variables here are ours alone; somebody else's are refused and not quietly dropped.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from scheduler.core.model import amounts, limitnotes, names
from scheduler.core.model.errors import InvalidRequest
from scheduler.webhook import patches
from scheduler.webhook.patches import JSON, Op

VISIBLE = "NVIDIA_VISIBLE_DEVICES"
_HIDING = ("", "none", "void")
"""What people write to be given no GPU; "none" still gives NVIDIA's libraries."""

_OURS = frozenset(
    (
        *(VISIBLE, "NVIDIA_GPU_MEMORY_REQUEST", "NVIDIA_GPU_MEMORY_LIMIT"),
        # Device nodes that change MIG for all, or show it.
        *("NVIDIA_MIG_CONFIG_DEVICES", "NVIDIA_MIG_MONITOR_DEVICES"),
        # Channels to the memory of other nodes' GPUs.
        "NVIDIA_IMEX_CHANNELS",
    )
)
_OURS_PREFIX = "CUDA_MPS_"

Variable = Mapping[str, Any]

NOTHING: Variable = {"name": VISIBLE, "value": "void"}
OF_OTHERS = (NOTHING,)
"""What every container without a share gets: an image may say "all"."""


def of_share(*, mps: bool, driver: bool) -> tuple[Variable, ...]:
    """Return what a container with a share of GPUs gets: its devices, and limits if wanted."""
    found = [_from_note(VISIBLE, names.DEVICES)]
    if mps:
        found.append(_from_note("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT", limitnotes.MPS_MEMORY))
        found.append(_from_note("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", limitnotes.MPS_THREADS))
    if driver:
        found.append(_from_note("NVIDIA_GPU_MEMORY_REQUEST", limitnotes.MEMORY_LIMIT))
        found.append(_from_note("NVIDIA_GPU_MEMORY_LIMIT", limitnotes.MEMORY_LIMIT))
    return tuple(found)


def wire(container: JSON, wanted: Sequence[Variable], *path: str | int) -> list[Op]:
    """Return what gives the container that stands at the path the variables, last in its `env`.

    Raises InvalidRequest if it sets one that is ours, unless no GPU is wanted and it says so too.
    """
    ops: list[Op] = []
    held: list[Variable] = []
    for index, entry in enumerate(container.get("env") or ()):
        if not _ours(str(entry.get("name"))):
            continue
        if wanted is OF_OTHERS and _hides(entry) and entry != NOTHING:
            ops.append(patches.replace(NOTHING, *path, "env", index))
            held.append(NOTHING)
        elif entry in wanted:
            held.append(entry)
        else:
            raise InvalidRequest(
                f"container {amounts.quoted(str(container.get('name')))} sets {entry.get('name')}; "
                f"leave it out, Equipoise sets it to what the container may use"
            )
    missing = [entry for entry in wanted if entry not in held]
    return ops + patches.append(container, missing, *path, "env")


def _ours(name: str) -> bool:
    return name in _OURS or name.startswith(_OURS_PREFIX)


def _hides(entry: Variable) -> bool:
    """Whether it hides all GPUs: an entry without a value has an empty one."""
    plain = entry.get("name") == VISIBLE and not entry.get("valueFrom")
    return plain and entry.get("value", "") in _HIDING


def _from_note(name: str, key: str) -> Variable:
    # The API server fills in apiVersion; with it, a second look finds what the first one wrote.
    reference = {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{key}']"}
    return {"name": name, "valueFrom": {"fieldRef": reference}}
