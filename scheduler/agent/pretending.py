"""What our pods hold of scripted devices, on which no process of theirs runs."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from scheduler.agent.pods import Guest
from scheduler.agent.reading import Reading
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import PodUID
from scheduler.device.driver import DeviceUsage, ProcessUse

FIRST_PID = 2**23
"""Above the kernel's largest, and above those of a script's strangers."""


def with_guests(reading: Reading, guests: Collection[Guest]) -> Reading:
    """Return the reading with a process of each pod on the devices whose script says so.

    It holds the script's part of what the pod was promised, of the device's memory at most.
    """
    if not any(use.guests_permille for use in reading.usage):
        return reading
    memory = {record.uuid: record.memory_mib for record in reading.records}
    usage, owners, pid = [], dict(reading.owners), FIRST_PID
    for use in reading.usage:
        room = memory.get(use.uuid, 0) - use.used_mib
        held = []
        for uid, promised_mib in _promised(use, guests):
            used_mib = min(promised_mib * use.guests_permille // MILLI, room)
            held.append(ProcessUse(pid, used_mib))
            owners[pid] = uid
            room, pid = room - used_mib, pid + 1
        used_mib = use.used_mib + sum(each.used_mib or 0 for each in held)
        usage.append(replace(use, used_mib=used_mib, processes=(*use.processes, *held)))
    return replace(reading, usage=tuple(usage), owners=owners)


def _promised(use: DeviceUsage, guests: Collection[Guest]) -> Iterator[tuple[PodUID, int]]:
    if not use.guests_permille:
        return
    for guest in guests:
        for slot in guest.slots:
            if slot.uuid == use.uuid:
                yield guest.ref.uid, slot.memory_mib
