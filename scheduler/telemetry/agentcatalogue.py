"""Every metric of an agent, as one table: beside `catalogue`, which is the scheduler's."""

from scheduler.telemetry.catalogue import PREFIX, Kind, Spec

_GPU = ("node", "device", "uuid", "model")
_POD = ("node", "namespace", "pod", "uuid")


def _gauge(name: str, labels: tuple[str, ...], unit: str, text: str) -> Spec:
    return Spec(f"{PREFIX}agent_{name}", Kind.GAUGE, labels, unit, text)


def _counter(name: str, label: str, text: str) -> Spec:
    return Spec(f"{PREFIX}agent_{name}", Kind.COUNTER, (label,), "", text)


HEALTHY = _gauge(
    "gpu_healthy", _GPU, "", "1 = the device takes pods, 0 = it is broken, lost or doesn't answer."
)
UTILIZATION = _gauge(
    "gpu_utilization_ratio",
    _GPU,
    "ratio",
    "Part of the time in which the GPU was measured to run a kernel; no series where the driver "
    "can't say, as for MIG slices.",
)
MEMORY = _gauge("gpu_memory_bytes", _GPU, "bytes", "Memory of the device that pods may get.")
MEMORY_USED = _gauge(
    "gpu_memory_used_bytes", _GPU, "bytes", "Memory in use, whoever uses it, as measured."
)
MEMORY_FOREIGN = _gauge(
    "gpu_memory_foreign_bytes",
    _GPU,
    "bytes",
    "Memory in use that no pod of Equipoise explains; the scheduler hands out that much less.",
)
POD_PROMISED = _gauge(
    "pod_memory_promised_bytes", _POD, "bytes", "Memory of the device that the pod was promised."
)
POD_USED = _gauge(
    "pod_memory_used_bytes",
    _POD,
    "bytes",
    "Memory of the device that the pod's processes hold, as measured.",
)
READ = _gauge(
    "driver_read_timestamp_seconds",
    ("node",),
    "seconds",
    "When the driver answered last, in seconds since the epoch; 0 = never.",
)
WRITES = _counter(
    "writes_total", "outcome", "Writes of this node's GPUNode; outcome is written or failed."
)
OVERUSES = _counter(
    "overuses_total",
    "step",
    "Steps against pods that hold more memory than they were promised; step is tell or evict.",
)

OUTCOMES = ("written", "failed")
STEPS = ("tell", "evict")

AGENT_CATALOGUE: tuple[Spec, ...] = (
    HEALTHY,
    UTILIZATION,
    MEMORY,
    MEMORY_USED,
    MEMORY_FOREIGN,
    POD_PROMISED,
    POD_USED,
    READ,
    WRITES,
    OVERUSES,
)
"""All of them, in the order of the reference page."""
