"""What a driver says about the devices of one machine, and what the scheduler makes of it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import DeviceUUID
from scheduler.core.model.nodes import Device

TOLERANCE_MIB = 256
"""Unexplained memory below this is the driver's own: MPS (66 MiB were seen), a display."""

PROCESS_MIB = 8
"""And so much more for each process of ours: 6 MiB were seen that its own use leaves out."""


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """One device that a pod may be given: a card, or a MIG slice of one.

    `index` is the card's place as nvidia-smi counts (a slice has its card's), `memory_mib` what is
    usable (total less what the driver reserves, MiB), `milli` what it counts as: 1000, a slice its
    part of the card's compute slices, rounded down, at least 1. `parent` is a slice's card.
    `fault` says why it is not healthy. A card that broke before it told its UUID has "" there;
    `pci` is "" and `numa` None where unknown. Cards with the same `link` are linked by NVLink, with
    each other or through others of them; None where that isn't known.
    """

    index: int
    uuid: DeviceUUID
    model: str
    memory_mib: int
    milli: int = MILLI
    mig: bool = False
    parent: DeviceUUID | None = None
    healthy: bool = True
    fault: str = ""
    pci: str = ""
    numa: int | None = None
    link: int | None = None


class ProcessKind(StrEnum):
    """What a process uses a device for; `mps` computes through NVIDIA's MPS daemon."""

    COMPUTE = "compute"
    GRAPHICS = "graphics"
    MPS = "mps"


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """A process on a device: PID of the host, MiB held (None where the driver can't say)."""

    pid: int
    used_mib: int | None
    kind: ProcessKind = ProcessKind.COMPUTE


@dataclass(frozen=True, slots=True)
class DeviceUsage:
    """Measured use of one device: MiB, and permille of time that a kernel ran.

    `utilisation` is None where the driver can't say (MIG slices). `guests_permille` is for scripted
    devices, which have no processes of our pods: what each pod holds, as a part of its promise.
    """

    uuid: DeviceUUID
    used_mib: int
    utilisation: int | None = None
    processes: tuple[ProcessUse, ...] = ()
    guests_permille: int = 0


class Driver(Protocol):
    """The devices of one machine. `at` is in seconds since the driver was opened.

    Real cards answer for now whatever `at` is; scripted ones answer for that second. Raises
    DeviceError if the driver as a whole doesn't answer; a card that fails alone is reported as not
    healthy, and has no use.
    """

    def about(self) -> str:
        """Return the driver and its versions in a few words."""
        ...

    def inventory(self, at: float = 0.0) -> tuple[DeviceRecord, ...]:
        """Return the devices, in the order of their cards."""
        ...

    def usage(self, at: float = 0.0) -> tuple[DeviceUsage, ...]:
        """Return the use of each device that answers."""
        ...

    def close(self) -> None:
        """Let go of the driver; nothing may be asked of it afterwards."""
        ...


def slice_milli(slices: int, of: int) -> int:
    """Return what a MIG slice counts as: its compute slices of the card's, rounded down, ≥ 1."""
    return min(MILLI, max(1, slices * MILLI // of))


def foreign_mib(
    use: DeviceUsage, *, ours: Collection[int] = (), tolerance_mib: int = TOLERANCE_MIB
) -> int:
    """Return the MiB on a device that our pods' processes (host PIDs `ours`) don't explain.

    Explained is what our processes are measured to hold, not what their pods were promised: a pod
    that uses less than its promise must not hide a stranger, who would still be there when it grows
    into it; and a pod that uses more is an overuse, told apart elsewhere, not a stranger. All else
    counts: other processes, and memory that no process owns to (crashed contexts, other containers
    whose PIDs can't be seen).

    Where the driver can't say what one of our processes holds, "all else" is unknown; then only
    what other processes are known to hold counts, so that no pod is taken for a stranger.

    Less than `tolerance_mib` is the driver's own and counts as nothing; from there on all counts.
    Each process of ours raises it by PROCESS_MIB.
    """
    mine = [process.used_mib for process in use.processes if process.pid in ours]
    others = [process.used_mib for process in use.processes if process.pid not in ours]
    if None in mine:
        unexplained = sum(held or 0 for held in others)
    else:
        unexplained = use.used_mib - sum(held or 0 for held in mine)
    own = max(tolerance_mib, 1) + PROCESS_MIB * len(mine)
    return unexplained if unexplained >= own else 0


def to_devices(
    records: Iterable[DeviceRecord],
    usage: Iterable[DeviceUsage],
    *,
    ours: Collection[int] = (),
    tolerance_mib: int = TOLERANCE_MIB,
) -> tuple[Device, ...]:
    """Return the devices as the scheduler sees them, in the same order.

    `ours` are the host's PIDs that belong to our pods; `foreign_mib` says what counts as foreign,
    at most the device's memory. Unknown utilisation counts as none. Left out is a card that never
    told its UUID or its memory: nothing could be placed on it.
    """
    by_uuid = {use.uuid: use for use in usage}
    return tuple(
        _device(record, by_uuid.get(record.uuid), ours, tolerance_mib)
        for record in records
        if record.uuid and record.memory_mib > 0
    )


def _device(
    record: DeviceRecord, use: DeviceUsage | None, ours: Collection[int], tolerance_mib: int
) -> Device:
    foreign = foreign_mib(use, ours=ours, tolerance_mib=tolerance_mib) if use else 0
    return Device(
        uuid=record.uuid,
        model=record.model,
        memory_mib=record.memory_mib,
        milli=record.milli,
        mig=record.mig,
        healthy=record.healthy,
        foreign_mib=min(foreign, record.memory_mib),
        load=(use.utilisation or 0) if use else 0,
        used_mib=min(use.used_mib, record.memory_mib) if use else 0,
        link=record.link or 0,
    )
