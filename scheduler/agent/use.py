"""What is used of the devices, and whether it moved so far that somebody should know."""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from scheduler.agent.pods import Guest
from scheduler.core.model.ids import DeviceUUID, PodUID
from scheduler.device.driver import DeviceUsage, foreign_mib
from scheduler.settings import Agent


@dataclass(frozen=True, slots=True)
class Use:
    """Measured use of a device: MiB in use, MiB that strangers hold, load in permille.

    `load_permille` is None where the driver can't say (MIG slices).
    """

    uuid: DeviceUUID
    used_mib: int
    foreign_mib: int = 0
    load_permille: int | None = None


def uses(
    usage: Iterable[DeviceUsage],
    *,
    owners: Mapping[int, PodUID],
    guests: Mapping[PodUID, Guest],
) -> tuple[Use, ...]:
    """Return the use of each device; `owners` says to which pod a process belongs.

    A process is no stranger on the devices that its pod was given, and on no others.
    """
    return tuple(
        Use(
            uuid=each.uuid,
            used_mib=each.used_mib,
            foreign_mib=foreign_mib(each, ours=_ours(each, owners, guests)),
            load_permille=each.utilisation,
        )
        for each in usage
    )


def _ours(
    use: DeviceUsage, owners: Mapping[int, PodUID], guests: Mapping[PodUID, Guest]
) -> set[int]:
    entitled = {
        uid for uid, guest in guests.items() if any(slot.uuid == use.uuid for slot in guest.slots)
    }
    return {process.pid for process in use.processes if owners.get(process.pid) in entitled}


class Averages:
    """The mean load of the last few readings: what a card does in one moment says little."""

    def __init__(self, readings: int) -> None:
        self._most = max(1, readings)
        self._loads: dict[DeviceUUID, deque[int]] = {}

    def smooth(self, measured: Iterable[Use]) -> tuple[Use, ...]:
        """Return the uses with mean loads, this reading included."""
        kept = tuple(self._smooth(use) for use in measured)
        present = {use.uuid for use in kept}
        self._loads = {uuid: loads for uuid, loads in self._loads.items() if uuid in present}
        return kept

    def _smooth(self, use: Use) -> Use:
        if use.load_permille is None:
            return use
        loads = self._loads.setdefault(use.uuid, deque(maxlen=self._most))
        loads.append(use.load_permille)
        return replace(use, load_permille=round(sum(loads) / len(loads)))


def moved(before: Collection[Use], after: Collection[Use], *, settings: Agent) -> bool:
    """Return whether any device's load or memory moved noticeably, or another set is measured."""
    earlier = {use.uuid: use for use in before}
    if earlier.keys() != {use.uuid for use in after}:
        return True
    return any(_moved(earlier[use.uuid], use, settings) for use in after)


def _moved(before: Use, after: Use, settings: Agent) -> bool:
    load = abs((after.load_permille or 0) - (before.load_permille or 0))
    used = abs(after.used_mib - before.used_mib)
    foreign = abs(after.foreign_mib - before.foreign_mib)
    return load >= settings.moved_permille or max(used, foreign) >= settings.moved_mib
