"""A planner that anybody can follow: the first node, and on it the first devices, with room."""

from collections.abc import Sequence

from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import NodeName
from scheduler.core.model.nodes import Device
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.verdicts import Reason, Verdict


class FirstFit:
    """Looks at nodes in the order in which they are offered."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __call__(self, pod: Pod, names: Sequence[NodeName]) -> Placement | Verdict:
        for name in names:
            slots = self._slots(name, pod.request)
            if slots is not None:
                return Placement(name, slots)
        return Verdict(Reason.NO_ROOM, f"{len(names)} nodes were offered")

    def _slots(self, name: NodeName, request: Request) -> tuple[Slot, ...] | None:
        columns = self._ledger.columns
        row = columns.row[name]
        if columns.free_cpu[row] < request.cpu_milli or columns.free_ram[row] < request.ram_mib:
            return None
        slots = []
        for index, device in enumerate(self._ledger.nodes[name].devices):
            slot = Slot(index, device.uuid, *_share(device, request))
            room = columns.room[row, index] >= slot.milli
            if room and columns.room_mib[row, index] >= slot.memory_mib and not device.mig:
                slots.append(slot)
            if len(slots) == request.devices:
                return tuple(slots)
        return None


def _share(device: Device, request: Request) -> tuple[int, int]:
    if request.memory_mib:
        part = request.memory_mib * device.milli // device.memory_mib
        return max(1, part), request.memory_mib
    return request.milli, device.memory_mib * request.milli // MILLI
