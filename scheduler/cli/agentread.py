"""`equipoise agent --once`: what devices are here, and what is used of them."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from scheduler.core.model.amounts import format_gpus
from scheduler.core.model.errors import InvalidInput
from scheduler.device.driver import DeviceRecord, DeviceUsage, Driver
from scheduler.device.mock import MockNode, load_nodes


@dataclass(frozen=True, slots=True)
class Reading:
    """The devices of one node at one moment, each with its use if it answers."""

    node: str
    driver: str
    devices: tuple[tuple[DeviceRecord, DeviceUsage | None], ...]


def read_machine(driver: Driver, node: str) -> tuple[Reading, ...]:
    """Read the devices of one machine and let go of the driver; raise DeviceError."""
    with closing(driver):
        return (_reading(driver, node, 0.0),)


def read_file(path: Path, *, node: str | None = None, at: float = 0.0) -> tuple[Reading, ...]:
    """Read all nodes of a mock file, or the one named; raise InvalidFile or InvalidInput."""
    return tuple(_reading(each.driver, each.name, at) for each in mock_nodes(path, node))


def mock_nodes(path: Path, node: str | None) -> tuple[MockNode, ...]:
    """Return all nodes of a mock file, or the one named; raise InvalidFile or InvalidInput."""
    nodes = load_nodes(path)
    chosen = tuple(each for each in nodes if node in (None, each.name))
    if not chosen:
        some = ", ".join(each.name for each in nodes[:5]) + (", ..." if len(nodes) > 5 else "")
        raise InvalidInput(f'{path} has no node "{node}"; it has {some}')
    return chosen


def _reading(driver: Driver, node: str, at: float) -> Reading:
    uses = {use.uuid: use for use in driver.usage(at)}
    devices = tuple((record, uses.get(record.uuid)) for record in driver.inventory(at))
    return Reading(node, driver.about(), devices)


def as_data(readings: Sequence[Reading]) -> dict[str, Any]:
    """Return what --json prints; docs/reference/mock-devices.md describes it."""
    return {
        "nodes": [
            {
                "name": reading.node,
                "driver": reading.driver,
                "devices": [_device(record, use) for record, use in reading.devices],
            }
            for reading in readings
        ]
    }


def _device(record: DeviceRecord, use: DeviceUsage | None) -> dict[str, Any]:
    return asdict(record) | {
        "used_mib": use.used_mib if use else None,
        "utilisation": None if use is None or use.utilisation is None else use.utilisation / 1000,
        "processes": [asdict(process) for process in use.processes] if use else [],
    }


def show(readings: Sequence[Reading]) -> None:
    """Print a table of each node."""
    # A pipe has no width of its own; 80 columns would cut names short.
    console = Console(width=None if sys.stdout.isatty() else 120)
    for reading in readings:
        table = Table(
            title=f"{reading.node} ({reading.driver})",
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE,
            pad_edge=False,
        )
        for name, side in _COLUMNS:
            table.add_column(name, justify=side, no_wrap=name in _RIGID)
        for record, use in reading.devices:
            table.add_row(*_row(record, use))
        console.print(table)


_COLUMNS: tuple[tuple[str, Any], ...] = (
    ("GPU", "right"),
    ("UUID", "left"),
    ("model", "left"),
    ("is", "right"),
    ("MiB used", "right"),
    ("load", "right"),
    ("procs", "right"),
    ("state", "left"),
)

_RIGID = ("GPU", "UUID", "is", "MiB used", "load", "procs")
"""What can't be folded into two lines and still be read."""


def _row(record: DeviceRecord, use: DeviceUsage | None) -> Iterator[str]:
    yield str(record.index)
    # The first block tells cards apart; --json has all of it.
    yield record.uuid[: len("GPU-12345678")] or "?"
    yield record.model
    yield format_gpus(record.milli)
    yield f"{'?' if use is None else use.used_mib}/{record.memory_mib}"
    yield "?" if use is None or use.utilisation is None else f"{use.utilisation / 10:.0f} %"
    yield "?" if use is None else str(len(use.processes))
    yield "healthy" if record.healthy else f"broken: {record.fault}"
