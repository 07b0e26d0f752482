"""A driver without cards: machines from YAML, whose cards follow a script."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import NAMESPACE_DNS, uuid5

from scheduler.core.model.ids import DeviceUUID, NodeName
from scheduler.device import lines, script_file
from scheduler.device.driver import DeviceRecord, DeviceUsage, ProcessUse, slice_milli
from scheduler.device.models import slice_name
from scheduler.device.script import Card, Load, Step

DEMO = Path(__file__).parent / "data" / "demo.yaml"
"""A cluster of mixed cards, shipped with the package."""

FIRST_PID = 2**22 + 1
"""Strangers' PIDs begin above the kernel's largest, so that none is ever somebody's."""

_NAMESPACE = uuid5(NAMESPACE_DNS, "devices.equipoise.dev")


def device_uuid(node: str, index: int, *, part: int | None = None) -> DeviceUUID:
    """Return the UUID of a card, or of its slice `part`: the same for the same names, always."""
    if part is None:
        return DeviceUUID(f"GPU-{uuid5(_NAMESPACE, f'{node}/{index}')}")
    return DeviceUUID(f"MIG-{uuid5(_NAMESPACE, f'{node}/{index}/{part}')}")


class MockDriver:
    """The scripted cards of one node; a Driver."""

    def __init__(self, node: str, cards: tuple[Card, ...]) -> None:
        self._node = node
        self._cards = cards

    def about(self) -> str:
        """Return the driver in a few words."""
        return "mock"

    def inventory(self, at: float = 0.0) -> tuple[DeviceRecord, ...]:
        """Return the devices as they are `at` seconds into the script."""
        return tuple(
            record for index, card in enumerate(self._cards) for record in self._card(index, at)
        )

    def usage(self, at: float = 0.0) -> tuple[DeviceUsage, ...]:
        """Return what the script says of second `at`, without the cards that are lost by then."""
        found: list[DeviceUsage] = []
        for index, card in enumerate(self._cards):
            fault = card.fault_at(at)
            if fault and fault.lost:
                continue
            for part, (uuid, load) in enumerate(self._loads(index, card)):
                pid = FIRST_PID + index * (script_file.MIG_SLICES + 1) + part
                found.append(_usage(uuid, load.at(at), pid=pid, mig=bool(card.slices)))
        return tuple(found)

    def close(self) -> None:
        """Nothing is open."""

    def _card(self, index: int, at: float) -> Iterator[DeviceRecord]:
        card = self._cards[index]
        uuid = device_uuid(self._node, index)
        fault = card.fault_at(at)
        text = fault.text if fault else ""
        if not card.slices:
            yield DeviceRecord(
                index,
                uuid,
                card.model,
                card.memory_mib,
                healthy=not fault,
                fault=text,
                link=card.link,
            )
        for part, each in enumerate(card.slices):
            yield DeviceRecord(
                index=index,
                uuid=device_uuid(self._node, index, part=part),
                model=slice_name(card.model, each.profile),
                memory_mib=each.memory_mib,
                milli=slice_milli(each.slices, script_file.MIG_SLICES),
                mig=True,
                parent=uuid,
                healthy=not fault,
                fault=text,
            )

    def _loads(self, index: int, card: Card) -> Iterator[tuple[DeviceUUID, Load]]:
        if not card.slices:
            yield device_uuid(self._node, index), card.load
        for part, each in enumerate(card.slices):
            yield device_uuid(self._node, index, part=part), each.load


def _usage(uuid: DeviceUUID, step: Step, *, pid: int, mig: bool) -> DeviceUsage:
    strangers = (ProcessUse(pid, step.foreign_mib),) if step.foreign_mib else ()
    return DeviceUsage(
        uuid,
        step.foreign_mib,
        None if mig else step.utilisation,
        strangers,
        guests_permille=step.guests_permille,
    )


@dataclass(frozen=True, slots=True)
class MockNode:
    """A machine of the file: CPU in milli, memory in MiB, and the driver of its cards."""

    name: NodeName
    cpu_milli: int
    ram_mib: int
    driver: MockDriver


def load_nodes(source: str | Path) -> tuple[MockNode, ...]:
    """Read a file of mock devices, of one machine or of a cluster; raise InvalidFile.

    `source` is a path; a text with a line break is taken as the YAML itself.
    """
    if isinstance(source, str) and "\n" in source:
        return parse_nodes(source)
    return _nodes(lines.read_file(source))


def parse_nodes(text: str, *, path: str = "<text>") -> tuple[MockNode, ...]:
    """Read mock devices from a YAML text, called `path` in complaints; raise InvalidFile."""
    return _nodes(lines.read_text(text, path=path))


def _nodes(file: lines.Entry) -> tuple[MockNode, ...]:
    return tuple(
        MockNode(
            NodeName(machine.name),
            machine.cpu_milli,
            machine.ram_mib,
            MockDriver(machine.name, machine.cards),
        )
        for machine in script_file.read_machines(file)
    )
