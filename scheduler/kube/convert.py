"""API objects → the model: Tenant, and Node with what its agent says of its devices."""

import re
from collections.abc import Mapping
from fractions import Fraction

from scheduler.core.model import names
from scheduler.core.model.amounts import MILLI, parse_decimal, parse_quantity, quoted
from scheduler.core.model.budgets import Budget, Period
from scheduler.core.model.constraintreader import read_taints
from scheduler.core.model.durations import parse_duration
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import DeviceUUID, NodeName, TenantName
from scheduler.core.model.nodes import Device, Node
from scheduler.core.model.stored import Stored, mapping, objects
from scheduler.core.model.tenants import Tenant
from scheduler.kube.times import seconds

FRESH_SECONDS = 120.0
"""Measured load older than this says nothing about now."""

STRANGER = "a pod on it uses nvidia.com/gpu beside Equipoise: let it end, or move it elsewhere"


def tenant(stored: Stored) -> Tenant:
    """Read a Tenant; raise InvalidInput with a sentence that names the tenant and the field.

    Numbers are exact: 0.1 in the JSON is one tenth, not the nearest binary fraction. An order to
    defragment that can't be read is none: what a tenant is due doesn't hang on it.
    """
    metadata, spec = mapping(stored, "metadata"), mapping(stored, "spec")
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidInput("the tenant has no metadata.name; send it as the API server stores it")
    try:
        limit, most = spec.get("limit"), spec.get("maxRuntime")
        contributed = spec.get("guarantee") == names.CONTRIBUTED
        until, moves = (0.0, None) if defrag_problem(stored) else _defrag(metadata)
        return Tenant(
            name=TenantName(name),
            parent=_parent(spec.get("parent")),
            guarantee=Fraction(0) if contributed else _guarantee(spec),
            weight=_amount(spec, "weight", 1),
            limit=None if limit is None else _amount(spec, "limit", 0),
            priority=_whole(spec, "priority", 100),
            created=seconds(metadata.get("creationTimestamp")) or 0.0,
            max_runtime=None if most is None else _duration(most),
            contributed=contributed,
            defrag_until=until,
            defrag_moves=moves,
            by_user=spec.get("shareByUser") is True,
            budget=_budget(spec.get("budget")),
        )
    except InvalidInput as problem:
        raise InvalidInput(f'tenant "{name}": {problem}') from None


def defrag_problem(stored: Stored) -> str:
    """Say what is wrong with a Tenant's order to defragment; "" if nothing is."""
    metadata = mapping(stored, "metadata")
    try:
        _defrag(metadata)
    except InvalidInput as problem:
        return f'tenant "{metadata.get("name")}": {problem}; the order is not heeded'
    return ""


def _defrag(metadata: Stored) -> tuple[float, int | None]:
    """Until when it stands (seconds since the epoch; 0.0: there is none), for how many moves."""
    notes = mapping(metadata, "annotations")
    if (said := notes.get(names.DEFRAG_UNTIL)) is None:
        return 0.0, None
    until, moves = seconds(said), notes.get(names.DEFRAG_MOVES)
    if until is None:
        raise InvalidInput(
            f"{names.DEFRAG_UNTIL} is {quoted(str(said))}; write a time such as "
            '"2026-01-31T12:00:00Z", or take it away'
        )
    if moves is not None and not re.fullmatch("[0-9]{1,6}", str(moves)):
        raise InvalidInput(
            f"{names.DEFRAG_MOVES} is {quoted(str(moves))}; write a whole number, or take it away"
        )
    return until, None if moves is None else int(str(moves))


def _budget(stored: object) -> Budget | None:
    """A budget; without a period it is a month's."""
    if not isinstance(stored, Mapping):
        return None
    hours = _amount(stored, "gpuHours", 0)
    if hours <= 0:
        raise InvalidInput("budget: gpuHours must be above 0; leave the budget out for none")
    try:
        return Budget(hours, Period(stored.get("period", Period.MONTH)))
    except ValueError:
        raise InvalidInput('budget: period must be "Day", "Week" or "Month"') from None


def _duration(text: object) -> float:
    try:
        return parse_duration(str(text))
    except InvalidInput as problem:
        raise InvalidInput(f"maxRuntime: {problem}") from None


def node(
    stored: Stored, gpunode: Stored | None = None, *, now: float, strangers: bool = False
) -> Node:
    """Read a Node and the GPUNode of the same name; devices only if admins gave it to us.

    `now` is in seconds since the epoch: load measured long before it counts as none. `strangers`:
    a pod on it uses nvidia.com/gpu. Raises InvalidInput for what no API server would store.
    """
    metadata, spec = mapping(stored, "metadata"), mapping(stored, "spec")
    name = NodeName(str(metadata.get("name") or ""))
    if not name:
        raise InvalidInput("the node has no metadata.name; send it as the API server stores it")
    labels = {str(key): str(value) for key, value in mapping(metadata, "labels").items()}
    ours = labels.get(names.MANAGED_LABEL) == "true"
    allocatable = mapping(mapping(stored, "status"), "allocatable")
    return Node(
        name=name,
        devices=devices(gpunode, now=now) if ours and gpunode else (),
        cpu_milli=_floor(allocatable, "cpu", Fraction(1, MILLI)),
        ram_mib=_floor(allocatable, "memory", Fraction(2**20)),
        open=spec.get("unschedulable") is not True,
        labels=labels,
        taints=read_taints(stored),
        pods=_floor(allocatable, "pods", Fraction(1)),
        closed=_closed(allocatable, strangers=strangers) if ours else "",
    )


def devices(gpunode: Stored, *, now: float) -> tuple[Device, ...]:
    """Read the devices that an agent reports, in its order.

    Left out is a card that never told its UUID or its memory: nothing could be placed on it. What
    strangers hold counts however old the measurement is; load and use do not.
    """
    status = mapping(gpunode, "status")
    fresh = now <= fresh_until(gpunode)
    use = {str(each.get("uuid")): each for each in objects(status, "use")}
    return tuple(
        _device(record, use.get(str(record.get("uuid")), {}), fresh=fresh)
        for record in objects(status, "devices")
        if record.get("uuid") and _count(record, "memoryMiB") > 0
    )


def fresh_until(gpunode: Stored) -> float:
    """Return until when (seconds since the epoch) its measured load counts."""
    measured = seconds(mapping(gpunode, "status").get("usedAt"))
    return -1.0 if measured is None else measured + FRESH_SECONDS


def _device(record: Stored, use: Stored, *, fresh: bool) -> Device:
    memory_mib = _count(record, "memoryMiB")
    return Device(
        uuid=DeviceUUID(str(record["uuid"])),
        model=str(record.get("model") or ""),
        memory_mib=memory_mib,
        milli=_count(record, "milli", MILLI),
        mig=record.get("mig") is True,
        healthy=record.get("healthy") is not False,
        foreign_mib=min(_count(use, "foreignMiB"), memory_mib),
        link=_count(record, "link"),
        load=min(_count(use, "loadPermille"), 1000) if fresh else 0,
        used_mib=min(_count(use, "usedMiB"), memory_mib) if fresh else 0,
    )


def _closed(allocatable: Stored, *, strangers: bool) -> str:
    """Why a node of ours takes no pod: NVIDIA's plugin hands out the same cards."""
    for resource in sorted(allocatable):
        # The plugin has other names for shared cards and for MIG slices.
        nvidia = resource == names.NVIDIA_GPU or resource.startswith(
            (f"{names.NVIDIA_GPU}.", "nvidia.com/mig-")
        )
        if nvidia and _floor(allocatable, resource, Fraction(1)) > 0:
            return f"it still advertises {resource}: take NVIDIA's device plugin off this node"
    return STRANGER if strangers else ""


def _count(entry: Stored, key: str, default: int = 0) -> int:
    found = entry.get(key)
    return max(0, found) if type(found) is int else default


def _floor(amounts: Stored, resource: str, unit: Fraction) -> int:
    """Whole units of a quantity, rounded down: what a node has is never more than it says."""
    try:
        return max(0, parse_quantity(str(amounts.get(resource, "0"))) // unit)
    except InvalidInput as problem:
        raise InvalidInput(f"the node's allocatable {resource}: {problem}") from None


def _parent(found: object) -> TenantName | None:
    if found is not None and not isinstance(found, str):
        raise InvalidInput("parent must be the name of a tenant, as text")
    return TenantName(found) if found else None


def _amount(spec: Stored, key: str, default: int) -> Fraction:
    found = spec.get(key)
    if found is None:
        return Fraction(default)
    if type(found) not in (int, float):
        raise InvalidInput(f"{key}: {quoted(str(found))} is not a number; write one without quotes")
    try:
        value = parse_decimal(str(found))
    except InvalidInput as problem:
        raise InvalidInput(f"{key}: {problem}") from None
    if value < 0:
        raise InvalidInput(f"{key}: {quoted(str(found))} must not be below 0")
    return value


def _guarantee(spec: Stored) -> Fraction:
    if isinstance(spec.get("guarantee"), str):
        found = quoted(spec["guarantee"])
        raise InvalidInput(
            f'guarantee: {found} is neither a number nor the word "{names.CONTRIBUTED}"; '
            "write a number of GPUs without quotes, or that word"
        )
    return _amount(spec, "guarantee", 0)


def _whole(spec: Stored, key: str, default: int) -> int:
    found = spec.get(key)
    if found is None:
        return default
    if type(found) is not int:
        raise InvalidInput(f"{key}: {quoted(str(found))} must be a whole number")
    return found
