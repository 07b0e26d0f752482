"""Nodes and their devices, as an agent reports them."""

from dataclasses import dataclass, field

from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import DeviceUUID, NodeName


@dataclass(frozen=True, slots=True)
class Device:
    """One card, or one MIG slice of a card.

    `milli` is what it counts as in shares (a MIG slice less than 1000), `foreign_mib` memory that
    strangers hold on it (MiB, measured), `used_mib` all that is in use (MiB, measured; nothing is
    decided by it, so it doesn't make devices differ), `load` its measured utilisation in permille.
    """

    uuid: DeviceUUID
    model: str
    memory_mib: int
    milli: int = MILLI
    mig: bool = False
    healthy: bool = True
    foreign_mib: int = 0
    load: int = 0
    used_mib: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Node:
    """A machine: its devices in index order, and its allocatable CPU and memory.

    `open` is False while it must take no new pod (cordoned, or closed by Equipoise).
    """

    name: NodeName
    devices: tuple[Device, ...]
    cpu_milli: int
    ram_mib: int
    open: bool = True
