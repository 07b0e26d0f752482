"""Assignments: a placement as annotations of the Binding, and back.

The API server stores them unchecked in the write that sets nodeName, and every later update of a
pod whose annotations are too large fails: what is wrong is found here, before it is sent.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from scheduler.core.model import names
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import DeviceUUID, NodeName
from scheduler.core.model.placements import Placement, Slot

VERSION = 1

MAX_BYTES = 262_144
"""Keys and values of all annotations of one object: TotalAnnotationSizeLimitB of
k8s.io/apimachinery/pkg/api/validation/objectmeta.go."""

OURS_BYTES = 32_768
"""The part of it that an assignment may take; a pod's own annotations must leave this much."""

_MOST = 2**31


def size(annotations: Mapping[str, str]) -> int:
    """Bytes that the API server counts for them."""
    return sum(
        len(text.encode("utf-8", "surrogatepass")) for pair in annotations.items() for text in pair
    )


def encode(placement: Placement) -> dict[str, str]:
    """Return the annotations that say it, none for a placement without devices.

    Raises InvalidInput for a placement that could not be read back or is too large.
    """
    if not placement.slots:
        return {}
    slots = tuple(sorted(placement.slots, key=lambda slot: slot.index))
    _check(placement.node, slots)
    rows = [[slot.index, slot.uuid, slot.milli, slot.memory_mib] for slot in slots]
    body = {"version": VERSION, "node": placement.node, "slots": rows}
    annotations = {
        names.DEVICES: ",".join(slot.uuid for slot in slots),
        names.ASSIGNMENT: json.dumps(body, separators=(",", ":"), ensure_ascii=False),
    }
    if size(annotations) > OURS_BYTES:
        raise InvalidInput(
            f"the assignment takes {size(annotations)} bytes; ask for fewer devices, "
            f"so that it fits in {OURS_BYTES}"
        )
    return annotations


def decode(annotations: Mapping[str, str]) -> Placement | None:
    """Return the placement that a bound pod carries, None if it carries none.

    Raises InvalidInput if it can't be understood in full: then its node must take no new pod.
    """
    text, devices = annotations.get(names.ASSIGNMENT), annotations.get(names.DEVICES)
    if text is None and devices is None:
        return None
    if text is None or devices is None:
        raise InvalidInput(f"set {names.DEVICES} and {names.ASSIGNMENT} together or not at all")
    if size({names.ASSIGNMENT: text, names.DEVICES: devices}) > MAX_BYTES:
        raise InvalidInput(f"{names.ASSIGNMENT} is too large; {MAX_BYTES} bytes is the limit")
    placement = _placement(_body(text))
    if devices != ",".join(slot.uuid for slot in placement.slots):
        raise InvalidInput(f"{names.DEVICES} and {names.ASSIGNMENT} name different devices")
    return placement


def _body(text: str) -> Mapping[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise _unreadable("it must be JSON") from None
    if not isinstance(body, dict):
        raise _unreadable("it must be a JSON object")
    if body.get("version") != VERSION or isinstance(body.get("version"), bool):
        raise _unreadable(f"its version must be {VERSION}")
    return body


def _placement(body: Mapping[str, Any]) -> Placement:
    node, rows = body.get("node"), body.get("slots")
    if not isinstance(node, str) or not isinstance(rows, list) or not rows:
        raise _unreadable("it must name a node and at least one slot")
    slots = tuple(_slot(row) for row in rows)
    _check(NodeName(node), slots)
    return Placement(NodeName(node), slots)


def _slot(row: object) -> Slot:
    if not isinstance(row, list) or len(row) != 4 or not isinstance(row[1], str):
        raise _unreadable("a slot must be [index, uuid, milli, MiB]")
    index, uuid, milli, memory_mib = row
    if any(type(number) is not int for number in (index, milli, memory_mib)):
        raise _unreadable("index, milli and MiB of a slot must be whole numbers")
    return Slot(index, DeviceUUID(uuid), milli, memory_mib)


def _check(node: NodeName, slots: Sequence[Slot]) -> None:
    if not node:
        raise _unreadable("its node must have a name")
    uuids = [slot.uuid for slot in slots]
    if any(not uuid.isascii() or not uuid.isprintable() or "," in uuid for uuid in uuids):
        raise _unreadable("UUIDs must be printable and hold no comma")
    if not all(uuids) or len(set(uuids)) != len(uuids):
        raise _unreadable("each slot must have a UUID of its own")
    if any(a.index >= b.index for a, b in pairwise(slots)):
        raise _unreadable("slots must be in the order of their indices, each index once")
    if any(
        not (0 <= slot.index < _MOST and 0 < slot.milli < _MOST and 0 <= slot.memory_mib < _MOST)
        for slot in slots
    ):
        raise _unreadable("index and MiB must be at least 0, milli above 0")


def _unreadable(problem: str) -> InvalidInput:
    return InvalidInput(f"{names.ASSIGNMENT} can't be understood: {problem}")
