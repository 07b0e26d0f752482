"""What a Binding says beside the assignment, so that the node can keep a pod to its share.

A container's environment is fixed when the pod is made, before its node is known. So the webhook
makes it refer to these annotations, and the Binding writes them; what is absent then is empty in
the container. Which of them an empty text would harm decides what is written where.
"""

from collections.abc import Collection, Sequence

from scheduler.core.model import names
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.placements import Placement

MPS_MEMORY = names.PREFIX + "mps-memory-limit"
"""For CUDA_MPS_PINNED_DEVICE_MEM_LIMIT: "0=8192M,1=8192M"."""

MPS_THREADS = names.PREFIX + "mps-threads"
"""For CUDA_MPS_ACTIVE_THREAD_PERCENTAGE: "25"."""

MEMORY_LIMIT = names.PREFIX + "memory-limit-mib"
"""For NVIDIA_GPU_MEMORY_REQUEST and NVIDIA_GPU_MEMORY_LIMIT: whole MiB of each device."""

CDI_PREFIX = "nvidia.cdi.k8s.io/container."
"""NVIDIA's NRI plugin gives the container of that name the CDI devices that the text lists."""

CDI_KIND = "nvidia.com/gpu"

MPS, DRIVER_LIMITS, CDI = "mps", "driver-limits", "cdi"
"""What a node may serve, as its GPUNode says."""

ALL = frozenset((MPS_MEMORY, MPS_THREADS, MEMORY_LIMIT))
"""Written by Equipoise only, like the assignment itself."""

_LONGEST_NAME = 63 - len("container.")
"""Letters of a container's name that CDI_PREFIX leaves room for in an annotation's key."""


def limits(
    placement: Placement,
    serves: Collection[str],
    *,
    whole: bool = False,
    containers: Sequence[str] = (),
) -> dict[str, str]:
    """Return the annotations for a pod on a node that serves so much; {} without devices.

    The limits of MPS are written on every node: no daemon, nobody reads them, and no process of
    CUDA ever meets an empty one. Only for `whole` devices they aren't: no container refers to them.
    Of cards that differ, the smallest share counts for each: a container numbers its cards in an
    order of its own. `containers` are those that see the devices; they are named for NVIDIA's NRI
    plugin where the node serves "cdi".
    """
    if not placement.slots:
        return {}
    memory_mib = min(slot.memory_mib for slot in placement.slots)
    notes = {}
    if not whole:
        # By ordinal: older MPS daemons ignore limits by UUID (k8s-device-plugin#572). No ordinal
        # too many: of a list with a card that the process doesn't see, MPS keeps nothing.
        notes[MPS_MEMORY] = ",".join(f"{n}={memory_mib}M" for n in range(len(placement.slots)))
        notes[MPS_THREADS] = str(_percent(placement) if MPS in serves else 100)
    if DRIVER_LIMITS in serves:
        notes[MEMORY_LIMIT] = str(memory_mib)
    if CDI in serves:
        devices = ",".join(f"{CDI_KIND}={slot.uuid}" for slot in placement.slots)
        notes |= {CDI_PREFIX + c: devices for c in containers if len(c) <= _LONGEST_NAME}
    return notes


def _percent(placement: Placement) -> int:
    """Rounded up: MPS reads 0 as no limit. It rounds down itself, to pairs of multiprocessors."""
    largest = max(slot.milli for slot in placement.slots)
    return min(100, -(-largest * 100 // MILLI))
