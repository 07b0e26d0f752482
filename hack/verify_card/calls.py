"""Which of NVML's calls the driver answers, and how it refuses the others."""

import time
from collections.abc import Callable
from typing import Any

from hack.verify_card.bench import Bench
from hack.verify_card.report import Report

Call = Callable[[Any, Any], Any]


def _limits(nvml: Any, handle: Any) -> str:
    """Ask for the driver's own memory limits of a cgroup; nothing is set."""
    found = nvml.c_nvmlGetMemoryLimits_v1_t()
    nvml.nvmlDeviceGetMemoryLimits_v1(handle, found)
    return f"soft {found.softLimit}, hard {found.hardLimit}, used {found.currentUsed}"


def _action(nvml: Any, handle: Any) -> str:
    field = nvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION
    (value,) = nvml.nvmlDeviceGetFieldValues(handle, [field])
    nvml._nvmlCheckReturn(value.nvmlReturn)
    return f"action {value.value.uiVal}"


def _xids(nvml: Any, handle: Any) -> str:
    kinds = nvml.nvmlDeviceGetSupportedEventTypes(handle)
    told = bool(kinds & nvml.nvmlEventTypeXidCriticalError)
    return f"{kinds:#x}, XID errors {'among them' if told else 'not told'}"


def _wait(nvml: Any, handle: Any) -> str:
    """Register for XID errors and wait for one; that none comes is the good answer."""
    events = nvml.nvmlEventSetCreate()
    try:
        nvml.nvmlDeviceRegisterEvents(handle, nvml.nvmlEventTypeXidCriticalError, events)
        return f"XID {nvml.nvmlEventSetWait(events, 1).eventData}"
    finally:
        nvml.nvmlEventSetFree(events)


CALLS: tuple[tuple[str, Call], ...] = (
    ("SystemGetDriverVersion", lambda n, h: n.nvmlSystemGetDriverVersion()),
    ("SystemGetCudaDriverVersion", lambda n, h: n.nvmlSystemGetCudaDriverVersion()),
    ("DeviceGetCount", lambda n, h: n.nvmlDeviceGetCount()),
    ("DeviceGetUUID", lambda n, h: n.nvmlDeviceGetUUID(h)),
    ("DeviceGetName", lambda n, h: n.nvmlDeviceGetName(h)),
    ("DeviceGetPciInfo", lambda n, h: n.nvmlDeviceGetPciInfo(h).busId),
    ("DeviceGetNumaNodeId", lambda n, h: n.nvmlDeviceGetNumaNodeId(h)),
    ("DeviceGetPersistenceMode", lambda n, h: n.nvmlDeviceGetPersistenceMode(h)),
    ("DeviceGetComputeMode", lambda n, h: n.nvmlDeviceGetComputeMode(h)),
    ("DeviceGetMemoryInfo", lambda n, h: _memory(n.nvmlDeviceGetMemoryInfo(h))),
    (
        "DeviceGetMemoryInfo_v2",
        lambda n, h: _memory(n.nvmlDeviceGetMemoryInfo(h, version=n.nvmlMemory_v2)),
    ),
    ("DeviceGetUtilizationRates", lambda n, h: f"{n.nvmlDeviceGetUtilizationRates(h).gpu} %"),
    (
        "DeviceGetMPSComputeRunningProcesses",
        lambda n, h: _count(n.nvmlDeviceGetMPSComputeRunningProcesses(h)),
    ),
    (
        "DeviceGetComputeRunningProcesses",
        lambda n, h: _count(n.nvmlDeviceGetComputeRunningProcesses(h)),
    ),
    (
        "DeviceGetGraphicsRunningProcesses",
        lambda n, h: _count(n.nvmlDeviceGetGraphicsRunningProcesses(h)),
    ),
    ("DeviceGetProcessUtilization", lambda n, h: _count(n.nvmlDeviceGetProcessUtilization(h, 0))),
    ("DeviceGetMigMode", lambda n, h: n.nvmlDeviceGetMigMode(h)),
    ("DeviceGetMaxMigDeviceCount", lambda n, h: n.nvmlDeviceGetMaxMigDeviceCount(h)),
    (
        "DeviceGetMigDeviceHandleByIndex(0)",
        lambda n, h: bool(n.nvmlDeviceGetMigDeviceHandleByIndex(h, 0)),
    ),
    ("DeviceGetSupportedEventTypes", _xids),
    ("EventSetWait", _wait),
    ("DeviceGetFieldValues (recovery)", _action),
    ("DeviceGetRemappedRows", lambda n, h: n.nvmlDeviceGetRemappedRows(h)),
    ("DeviceGetMemoryLimits_v1", _limits),
)


def look(bench: Bench, report: Report) -> None:
    """Ask for everything once, and say how long the answer took."""
    report.section("NVML's calls")
    for name, call in CALLS:
        begin = time.perf_counter()
        told = answer(bench, call)
        report.tell(name, f"{told} ({(time.perf_counter() - begin) * 1000:.1f} ms)")


def answer(bench: Bench, call: Call) -> str:
    """Return what the driver says, or the name of the error by which it refuses."""
    try:
        return str(call(bench.nvml, bench.handle))
    except bench.nvml.NVMLError as problem:
        return f"{type(problem).__name__}: {problem}"
    except bench.nvml.NVMLLibraryMismatchError as problem:
        return f"{type(problem).__name__}: {problem}"


def _memory(memory: Any) -> str:
    names = ("total", "reserved", "used", "free")
    mib = {name: getattr(memory, name, None) for name in names}
    return ", ".join(f"{name} {size / 2**20:.1f}" for name, size in mib.items() if size is not None)


def _count(entries: Any) -> str:
    return f"{len(entries)} entries"
