"""Placements: which pod holds how much of which devices. Written into the Binding, read back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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

    def slots_at(self, uuids: Sequence[DeviceUUID]) -> tuple[Slot, ...] | None:
        """Return the slots at the indices that the node's devices, in that order, have now.

        A reboot may renumber them, a UUID stays. None: one of them isn't there.
        """
        if all(each.index < len(uuids) and uuids[each.index] == each.uuid for each in self.slots):
            return self.slots
        index = {uuid: at for at, uuid in enumerate(uuids)}
        if any(each.uuid not in index for each in self.slots):
            return None
        return tuple(replace(each, index=index[each.uuid]) for each in self.slots)
