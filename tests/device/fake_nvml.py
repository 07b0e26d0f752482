# ruff: noqa: N802, N803 - functions and parameters are named as NVIDIA names them.
"""A stand-in for the module pynvml: real function names and error classes, cards written by hand.

`FakeNvml` has the functions as methods; a driver is given an object of it instead of the module.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml

MIB = 2**20


@dataclass
class FakeSlice:
    """A MIG slice; `name` "" on drivers whose slices have no name of their own."""

    uuid: str
    slices: int
    memory_mib: int
    used_mib: int = 0
    name: str = ""
    instance: int = 0
    processes: list[tuple[int, int | None]] = field(default_factory=list)


@dataclass
class FakeCard:
    """A card; `broken` is the error that any call about it raises, by function or for all ("").

    Cards with a letter of `bridge` in common are linked by NVLink; "": this card is with none.
    """

    uuid: str
    name: str = "NVIDIA H200"
    total_mib: int = 143_771
    reserved_mib: int = 600
    used_mib: int = 0
    gpu_percent: int | None = 0
    compute: list[tuple[int, int | None]] = field(default_factory=list)
    graphics: list[tuple[int, int | None]] = field(default_factory=list)
    mps: list[tuple[int, int | None]] = field(default_factory=list)
    mig: bool | None = False
    most_slices: int = 7
    slices: dict[int, FakeSlice] = field(default_factory=dict)
    numa: int | None = None
    bridge: str = ""
    tells_xids: bool = True
    action: int | None = 0
    rows_gone: bool = False
    broken: dict[str, type[Exception]] = field(default_factory=dict)


class FakeNvml:
    """What pynvml would answer on a machine with these cards."""

    def __init__(
        self,
        cards: list[FakeCard],
        *,
        memory_v2: bool = True,
        init_error: type[Exception] | None = None,
    ) -> None:
        self.cards = cards
        self.memory_v2 = memory_v2
        self.init_error = init_error
        self.open = False
        self.followed: list[str] = []
        self.events: list[Any] = []

    def xid(self, card: FakeCard, number: int, *, instance: int = 0xFFFFFFFF) -> None:
        """Let an XID error happen, on a card or in a GPU instance of it."""
        self.events.append(
            SimpleNamespace(
                device=card,
                eventType=pynvml.nvmlEventTypeXidCriticalError,
                eventData=number,
                gpuInstanceId=instance,
            )
        )

    def __getattr__(self, name: str) -> Any:
        """Error classes and constants are the real ones; functions are only those written below."""
        if name.startswith(("NVML", "nvmlMemory_", "nvmlEventType")):
            return getattr(pynvml, name)
        raise AttributeError(name)

    def nvmlInit(self) -> None:
        if self.init_error:
            raise self.init_error()
        self.open = True

    def nvmlShutdown(self) -> None:
        self._check("nvmlShutdown")
        self.open = False

    def nvmlSystemGetDriverVersion(self) -> str:
        self._check("nvmlSystemGetDriverVersion")
        return "570.133.20"

    def nvmlSystemGetCudaDriverVersion(self) -> int:
        self._check("nvmlSystemGetCudaDriverVersion")
        return 12080

    def nvmlDeviceGetCount(self) -> int:
        self._check("nvmlDeviceGetCount")
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeCard:
        card = self.cards[index]
        self._check("nvmlDeviceGetHandleByIndex", card)
        return card

    def nvmlDeviceGetUUID(self, handle: Any) -> str:
        self._check("nvmlDeviceGetUUID", handle)
        return str(handle.uuid)

    def nvmlDeviceGetName(self, handle: Any) -> str:
        self._check("nvmlDeviceGetName", handle)
        if not handle.name:
            raise pynvml.NVMLError_NotSupported()
        return str(handle.name)

    def nvmlDeviceGetPciInfo(self, handle: Any) -> Any:
        self._check("nvmlDeviceGetPciInfo", handle)
        return SimpleNamespace(busId="00000000:18:00.0")

    def nvmlDeviceGetNumaNodeId(self, handle: Any) -> int:
        self._check("nvmlDeviceGetNumaNodeId", handle)
        if handle.numa is None:
            raise pynvml.NVMLError_NotSupported()
        return int(handle.numa)

    def nvmlDeviceGetP2PStatus(self, device1: FakeCard, device2: FakeCard, p2pIndex: int) -> int:
        for card in (device1, device2):
            self._check("nvmlDeviceGetP2PStatus", card)
        assert p2pIndex == pynvml.NVML_P2P_CAPS_INDEX_NVLINK
        linked = bool(set(device1.bridge) & set(device2.bridge))
        status = pynvml.NVML_P2P_STATUS_OK if linked else pynvml.NVML_P2P_STATUS_NOT_SUPPORTED
        return int(status)

    def nvmlDeviceGetMemoryInfo(self, handle: Any, version: int | None = None) -> Any:
        self._check("nvmlDeviceGetMemoryInfo", handle)
        if isinstance(handle, FakeSlice):
            total, reserved = handle.memory_mib, 0
        else:
            total, reserved = handle.total_mib, handle.reserved_mib
        used = handle.used_mib
        if version is None:
            return SimpleNamespace(total=total * MIB, used=(used + reserved) * MIB)
        if not self.memory_v2:
            raise pynvml.NVMLError_FunctionNotFound()
        assert version == pynvml.nvmlMemory_v2
        return SimpleNamespace(total=total * MIB, reserved=reserved * MIB, used=used * MIB)

    def nvmlDeviceGetUtilizationRates(self, handle: Any) -> Any:
        self._check("nvmlDeviceGetUtilizationRates", handle)
        if isinstance(handle, FakeSlice) or handle.gpu_percent is None:
            raise pynvml.NVMLError_NotSupported()
        return SimpleNamespace(gpu=handle.gpu_percent, memory=0)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Any) -> list[Any]:
        self._check("nvmlDeviceGetComputeRunningProcesses", handle)
        return _processes(handle.processes if isinstance(handle, FakeSlice) else handle.compute)

    def nvmlDeviceGetGraphicsRunningProcesses(self, handle: Any) -> list[Any]:
        self._check("nvmlDeviceGetGraphicsRunningProcesses", handle)
        if isinstance(handle, FakeSlice):
            raise pynvml.NVMLError_NotSupported()
        return _processes(handle.graphics)

    def nvmlDeviceGetMPSComputeRunningProcesses(self, handle: Any) -> list[Any]:
        self._check("nvmlDeviceGetMPSComputeRunningProcesses", handle)
        if isinstance(handle, FakeSlice):
            raise pynvml.NVMLError_NotSupported()
        return _processes(handle.mps)

    def nvmlDeviceGetMigMode(self, device: Any) -> list[int]:
        self._check("nvmlDeviceGetMigMode", device)
        if device.mig is None:
            raise pynvml.NVMLError_NotSupported()
        return [int(device.mig), int(device.mig)]

    def nvmlDeviceGetMaxMigDeviceCount(self, device: Any) -> int:
        self._check("nvmlDeviceGetMaxMigDeviceCount", device)
        return int(device.most_slices)

    def nvmlDeviceGetMigDeviceHandleByIndex(self, device: Any, index: int) -> FakeSlice:
        self._check("nvmlDeviceGetMigDeviceHandleByIndex", device)
        if index not in device.slices:
            raise pynvml.NVMLError_NotFound()
        found = device.slices[index]
        assert isinstance(found, FakeSlice)
        return found

    def nvmlDeviceGetAttributes(self, device: Any) -> Any:
        self._check("nvmlDeviceGetAttributes", device)
        if not isinstance(device, FakeSlice):
            raise pynvml.NVMLError_InvalidArgument()
        return SimpleNamespace(
            computeInstanceSliceCount=device.slices, memorySizeMB=device.memory_mib
        )

    def nvmlDeviceGetGpuInstanceId(self, device: Any) -> int:
        self._check("nvmlDeviceGetGpuInstanceId", device)
        if not isinstance(device, FakeSlice):
            raise pynvml.NVMLError_InvalidArgument()
        return device.instance

    def nvmlEventSetCreate(self) -> list[Any]:
        self._check("nvmlEventSetCreate")
        return self.events

    def nvmlDeviceGetSupportedEventTypes(self, handle: Any) -> int:
        self._check("nvmlDeviceGetSupportedEventTypes", handle)
        return int(pynvml.nvmlEventTypeXidCriticalError) if handle.tells_xids else 0

    def nvmlDeviceRegisterEvents(self, handle: Any, eventTypes: int, eventSet: list[Any]) -> None:
        self._check("nvmlDeviceRegisterEvents", handle)
        assert eventSet is self.events
        assert eventTypes == pynvml.nvmlEventTypeXidCriticalError
        self.followed.append(handle.uuid)

    def nvmlEventSetWait(self, eventSet: list[Any], timeoutms: int) -> Any:
        self._check("nvmlEventSetWait")
        assert timeoutms >= 0
        for place, event in enumerate(eventSet):
            if event.device.uuid in self.followed:
                return eventSet.pop(place)
        raise pynvml.NVMLError_Timeout()

    def nvmlEventSetFree(self, eventSet: list[Any]) -> None:
        self._check("nvmlEventSetFree")
        eventSet.clear()

    def nvmlDeviceGetFieldValues(self, handle: Any, fieldIds: list[int]) -> list[Any]:
        self._check("nvmlDeviceGetFieldValues", handle)
        assert fieldIds == [pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION]
        known = handle.action is not None
        return [
            SimpleNamespace(
                nvmlReturn=pynvml.NVML_SUCCESS if known else pynvml.NVML_ERROR_NOT_SUPPORTED,
                value=SimpleNamespace(uiVal=handle.action or 0),
            )
        ]

    def nvmlDeviceGetRemappedRows(self, device: Any) -> tuple[int, int, int, int]:
        self._check("nvmlDeviceGetRemappedRows", device)
        return (0, 0, 0, int(device.rows_gone))

    def _check(self, function: str, handle: Any = None) -> None:
        if not self.open:
            raise pynvml.NVMLError_Uninitialized()
        broken = getattr(handle, "broken", {})
        problem = broken.get(function) or broken.get("")
        if problem:
            raise problem()


def _processes(entries: list[tuple[int, int | None]]) -> list[Any]:
    return [
        SimpleNamespace(pid=pid, usedGpuMemory=None if used is None else used * MIB)
        for pid, used in entries
    ]
