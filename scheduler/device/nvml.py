"""Real cards, through NVIDIA's management library (NVML, docs.nvidia.com/deploy/nvml-api)."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pynvml

from scheduler.core.model.errors import DeviceError
from scheduler.core.model.ids import DeviceUUID
from scheduler.device.driver import (
    DeviceRecord,
    DeviceUsage,
    ProcessKind,
    ProcessUse,
    slice_milli,
)
from scheduler.device.models import UNKNOWN, short_name, slice_name
from scheduler.device.nvmlhealth import CardHealth

_MIB = 2**20
_MIG_SLICES = 7
_PROCESS_LISTS = (
    (ProcessKind.MPS, "nvmlDeviceGetMPSComputeRunningProcesses"),
    (ProcessKind.COMPUTE, "nvmlDeviceGetComputeRunningProcesses"),
    (ProcessKind.GRAPHICS, "nvmlDeviceGetGraphicsRunningProcesses"),
)
"""Most telling first: a client of MPS may stand in the second list as well."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A device and NVML's handle of it; None for one that doesn't answer."""

    record: DeviceRecord
    handle: Any


class NvmlDriver:
    """The cards of this machine; a Driver.

    `nvml` is the library's Python face, another object with the same functions in tests; it has no
    types. Raises DeviceError where there is no driver.
    """

    def __init__(self, nvml: Any = pynvml) -> None:
        self._nvml = nvml
        self._known: dict[int, tuple[DeviceRecord, ...]] = {}
        self._groups: dict[DeviceUUID, int] = {}
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as problem:
            raise DeviceError(_no_driver(nvml, problem)) from None
        self._health = CardHealth(nvml)

    def about(self) -> str:
        """Return the versions of driver and CUDA: "nvml, driver 570.133.20, CUDA 12.8"."""
        try:
            driver = self._ask(self._nvml.nvmlSystemGetDriverVersion) or UNKNOWN
            cuda = self._ask(self._nvml.nvmlSystemGetCudaDriverVersion)
        except self._nvml.NVMLError as problem:
            raise DeviceError(f"the NVIDIA driver doesn't answer: {problem}") from None
        text = f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else UNKNOWN
        return f"nvml, driver {driver}, CUDA {text}"

    def inventory(self, at: float = 0.0) -> tuple[DeviceRecord, ...]:
        """Return the devices as they are now; raise DeviceError if there is none."""
        count = self._count()
        self._health.listen()
        records = self._linked(list(self._places(count)))
        if not count:
            raise DeviceError(
                "no GPU here: the NVIDIA driver runs but sees no card; check the machine, "
                "or the devices that this container was given"
            )
        if not records:
            raise DeviceError(
                "no GPU here: MIG is on but no slice is made; "
                "make some with nvidia-smi mig, or switch MIG off"
            )
        return records

    def usage(self, at: float = 0.0) -> tuple[DeviceUsage, ...]:
        """Return the use, as it is now, of each device that answers."""
        found: list[DeviceUsage] = []
        for place in self._places(self._count()):
            if place.handle is None:
                continue
            try:
                found.append(self._use(place))
            except self._nvml.NVMLError:
                # It broke in between; the next inventory says why.
                continue
        return tuple(found)

    def close(self) -> None:
        """Let go of the library."""
        self._health.close()
        with suppress(self._nvml.NVMLError):
            self._nvml.nvmlShutdown()

    def _count(self) -> int:
        try:
            return int(self._nvml.nvmlDeviceGetCount())
        except self._nvml.NVMLError as problem:
            raise DeviceError(f"the NVIDIA driver doesn't answer: {problem}") from None

    def _places(self, count: int) -> Iterator[_Place]:
        for index in range(count):
            yield from self._card(index)

    def _card(self, index: int) -> list[_Place]:
        uuid = ""
        try:
            handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
            uuid = self._nvml.nvmlDeviceGetUUID(handle)
            places = self._answering(index, DeviceUUID(uuid), handle)
            self._health.follow(uuid, handle)
            found = [self._examined(place, uuid, handle) for place in places]
        except self._nvml.NVMLError as problem:
            return [_Place(record, None) for record in self._broken(index, uuid, str(problem))]
        self._known[index] = tuple(place.record for place in places)
        return found

    def _linked(self, places: list[_Place]) -> tuple[DeviceRecord, ...]:
        """Say which cards are linked, with each other or through others.

        As `nvidia-smi topo -p2p n` asks; a switch counts. What is broken keeps its group, and
        groups keep their numbers.
        """
        groups: dict[DeviceUUID, int] = {}
        whole = [each for each in places if each.handle is not None and not each.record.mig]
        several = sum(not each.record.mig for each in places) > 1
        for number, place in enumerate(whole if several else ()):
            links = [self._is_linked(place.handle, other.handle) for other in whole[:number]]
            if None in links:
                # This driver doesn't tell.
                groups = {}
                break
            near = {
                groups[other.record.uuid]
                for other, is_it in zip(whole[:number], links, strict=True)
                if is_it
            }
            uuid, own = place.record.uuid, place.record.index
            before = self._groups.get(uuid, own)
            alone = own if before in groups.values() else before
            groups[uuid] = first = min(near, default=alone)
            groups = {each: first if group in near else group for each, group in groups.items()}
        self._groups |= groups
        answering = {each.record.uuid for each in whole}
        silent = {uuid: at for uuid, at in self._groups.items() if uuid not in answering}
        groups |= silent
        return tuple(replace(each.record, link=groups.get(each.record.uuid)) for each in places)

    def _is_linked(self, one: Any, other: Any) -> bool | None:
        """Whether two cards are linked; None where this driver doesn't say."""
        nvml = self._nvml
        try:
            ask = nvml.nvmlDeviceGetP2PStatus
            status = self._ask(ask, one, other, nvml.NVML_P2P_CAPS_INDEX_NVLINK)
        except nvml.NVMLError:
            return False
        return None if status is None else bool(status == nvml.NVML_P2P_STATUS_OK)

    def _examined(self, place: _Place, uuid: str, card: Any) -> _Place:
        """Return the device with what is wrong with it, although it answers."""
        instance = None
        if place.record.mig:
            instance = self._ask(self._nvml.nvmlDeviceGetGpuInstanceId, place.handle)
        fault = self._health.fault(uuid, card, instance=instance)
        if not fault:
            return place
        return replace(place, record=replace(place.record, healthy=False, fault=fault))

    def _broken(self, index: int, uuid: str, fault: str) -> list[DeviceRecord]:
        """Return what was known of a card that no longer answers, if only its place."""
        known = self._known.get(index, ())
        # The same place may hold another card by now.
        if not known or (uuid and uuid not in (known[0].uuid, known[0].parent)):
            known = (DeviceRecord(index, DeviceUUID(uuid), UNKNOWN, 0),)
        return [replace(record, healthy=False, fault=fault) for record in known]

    def _answering(self, index: int, uuid: DeviceUUID, handle: Any) -> list[_Place]:
        nvml = self._nvml
        total, usable, _ = self._memory(handle)
        pci = self._ask(nvml.nvmlDeviceGetPciInfo, handle)
        card = DeviceRecord(
            index=index,
            uuid=uuid,
            model=short_name(nvml.nvmlDeviceGetName(handle)),
            memory_mib=usable // _MIB,
            pci=str(pci.busId) if pci else "",
            numa=self._ask(nvml.nvmlDeviceGetNumaNodeId, handle),
        )
        mode = self._ask(nvml.nvmlDeviceGetMigMode, handle)
        if not mode or not mode[0]:
            return [_Place(card, handle)]
        most = self._ask(nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or _MIG_SLICES
        return [
            _Place(self._slice(card, part, total=total, of=most), part)
            for part in self._parts(handle, most)
        ]

    def _parts(self, handle: Any, most: int) -> Iterator[Any]:
        for place in range(most):
            # Slices needn't be numbered without gaps.
            part = self._ask(self._nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, place)
            if part is not None:
                yield part

    def _slice(self, card: DeviceRecord, part: Any, *, total: int, of: int) -> DeviceRecord:
        traits = self._nvml.nvmlDeviceGetAttributes(part)
        name = str(self._ask(self._nvml.nvmlDeviceGetName, part) or "")
        if " MIG " in name:
            model = short_name(name)
        else:
            model = slice_name(card.model, _profile(traits, total))
        return replace(
            card,
            uuid=DeviceUUID(self._nvml.nvmlDeviceGetUUID(part)),
            model=model,
            memory_mib=self._memory(part)[1] // _MIB,
            # An A30 is cut in four, not in seven.
            milli=slice_milli(traits.computeInstanceSliceCount, of),
            mig=True,
            parent=card.uuid,
        )

    def _memory(self, handle: Any) -> tuple[int, int, int]:
        """Return total, usable and used bytes.

        Version 1 of the call counts what the driver reserves as used: there usable is the total,
        and the reserve shows as memory that no process owns.
        """
        ask = self._nvml.nvmlDeviceGetMemoryInfo
        memory = self._ask(lambda each: ask(each, version=self._nvml.nvmlMemory_v2), handle)
        if memory is not None:
            return memory.total, memory.total - memory.reserved, memory.used
        memory = ask(handle)
        return memory.total, memory.total, memory.used

    def _use(self, place: _Place) -> DeviceUsage:
        rates = None
        if not place.record.mig:
            rates = self._ask(self._nvml.nvmlDeviceGetUtilizationRates, place.handle)
        return DeviceUsage(
            uuid=place.record.uuid,
            used_mib=_round_up(self._memory(place.handle)[2]),
            utilisation=int(rates.gpu) * 10 if rates else None,
            processes=self._processes(place.handle),
        )

    def _processes(self, handle: Any) -> tuple[ProcessUse, ...]:
        found: dict[int, ProcessUse] = {}
        for kind, call in _PROCESS_LISTS:
            for process in self._ask(getattr(self._nvml, call), handle) or ():
                held = process.usedGpuMemory
                use = ProcessUse(process.pid, None if held is None else _round_up(held), kind)
                found[use.pid] = _merged(found.get(use.pid), use)
        return tuple(found[pid] for pid in sorted(found))

    def _ask(self, call: Callable[..., Any], *args: Any) -> Any:
        """Return the answer, or None where this card or driver doesn't have it."""
        nvml = self._nvml
        try:
            return call(*args)
        except (
            nvml.NVMLError_NotSupported,
            nvml.NVMLError_NotFound,
            nvml.NVMLError_FunctionNotFound,
            nvml.NVMLError_NoPermission,
            nvml.NVMLError_InvalidArgument,
            nvml.NVMLError_ArgumentVersionMismatch,
            nvml.NVMLLibraryMismatchError,
        ):
            return None


def _merged(earlier: ProcessUse | None, use: ProcessUse) -> ProcessUse:
    """Return one entry for a process in two lists: the more telling kind, the larger use."""
    if earlier is None:
        return use
    held = [each for each in (earlier.used_mib, use.used_mib) if each is not None]
    return replace(earlier, used_mib=max(held, default=None))


def _round_up(size: int) -> int:
    return -(-size // _MIB)


def _profile(traits: Any, total: int) -> str:
    """Return a slice's profile as nvidia-smi names it: "1g.10gb".

    The memory in its name is the card's, rounded up to GiB, by eighths (go-nvlib, mig_profile.go).
    """
    eighths = -(-8 * traits.memorySizeMB * _MIB // total)
    size = round(eighths * -(-total // 2**30) / 8)
    return f"{traits.computeInstanceSliceCount}g.{size}gb"


def _no_driver(nvml: Any, problem: Exception) -> str:
    if isinstance(problem, nvml.NVMLError_LibraryNotFound):
        return "no NVIDIA driver here: libnvidia-ml.so.1 is not found; install the driver"
    if isinstance(problem, nvml.NVMLError_DriverNotLoaded):
        return "no NVIDIA driver here: its kernel module is not loaded; load it or reboot"
    if isinstance(problem, nvml.NVMLError_LibRmVersionMismatch):
        return "the NVIDIA driver was updated under its kernel module; reboot the machine"
    return f"the NVIDIA driver can't be used: {problem}"
