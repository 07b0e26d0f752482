"""Placements as CSV: one line for each pod that arrived, in order of arrival.

`pod,node,devices`: devices are indices on the node, joined by ";"; a pod that fitted nowhere has
no node. A pod that arrives several times has a line for each time.
"""

from collections.abc import Iterable, Iterator, Sequence

from scheduler.core.model.placements import Placement
from scheduler.simulator.traces.replay import Places
from scheduler.simulator.traces.trace import TracePod

HEADER = "pod,node,devices"


def write_placements(events: Sequence[TracePod], places: Places) -> str:
    """Return the whole file, lines ended by a newline."""
    return "".join(f"{line}\n" for line in _lines(events, places))


def _lines(events: Iterable[TracePod], places: Places) -> Iterator[str]:
    yield HEADER
    for pod, place in zip(events, places, strict=True):
        yield ",".join((_quoted(pod.name), *_where(place)))


def _where(place: Placement | None) -> tuple[str, str]:
    if place is None:
        return "", ""
    return _quoted(place.node), ";".join(str(slot.index) for slot in place.slots)


def _quoted(name: str) -> str:
    if any(mark in name for mark in ',"\r\n'):
        return '"' + name.replace('"', '""') + '"'
    return name
