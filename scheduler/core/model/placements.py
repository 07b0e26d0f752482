"""Placements: which pod holds how much of which devices. Written into the Binding, read back."""

from dataclasses import dataclass

from scheduler.core.model.ids import DeviceUUID, NodeName


@dataclass(frozen=True, slots=True)
class Slot:
    """What a pod holds of one device: milli-GPU and MiB. `index`: its place on the node."""

    index: int
    uuid: DeviceUUID
    milli: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Placement:
    """A node and the slots on its devices; no slots for a pod that uses only CPU and memory."""

    node: NodeName
    slots: tuple[Slot, ...] = ()

    @property
    def milli(self) -> int:
        """Milli-GPU in all."""
        return sum(slot.milli for slot in self.slots)
