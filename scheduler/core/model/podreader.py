"""Kubernetes' pod (its JSON as a dict) → Pod. The one reader, beside the one request parser."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from scheduler.core.model import assignment, names
from scheduler.core.model.errors import InvalidInput, InvalidRequest
from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.pods import Pod
from scheduler.core.model.requestreader import parse_preemptible, parse_request
from scheduler.core.model.requests import Request

TenantOf = Callable[[str], TenantName]
"""The tenant that a namespace belongs to."""

PodJSON = Mapping[str, Any]


def read_pod(pod: PodJSON, tenant_of: TenantOf) -> Pod:
    """Read a pod as the API server stores it; an unreadable request becomes its `problem`.

    Raises InvalidInput if it has no UID, name or namespace.
    """
    metadata = mapping(pod, "metadata")
    uid, name, namespace = (metadata.get(key) for key in ("uid", "name", "namespace"))
    if not isinstance(uid, str) or not uid:
        raise InvalidInput("the pod has no metadata.uid; send it as the API server stores it")
    if not isinstance(name, str) or not isinstance(namespace, str) or not name or not namespace:
        raise InvalidInput("the pod has no metadata.name or namespace; send it as stored")
    spec = mapping(pod, "spec")
    request, preemptible, problem = _request(pod)
    priority = spec.get("priority")
    return Pod(
        uid=PodUID(uid),
        namespace=namespace,
        name=name,
        tenant=tenant_of(namespace),
        request=request,
        created=_seconds(metadata.get("creationTimestamp")),
        priority=priority if isinstance(priority, int) else 0,
        preemptible=preemptible,
        foreign_gates=tuple(gate for gate in gates_of(pod) if gate != names.GATE),
        problem=problem,
    )


def gates_of(pod: PodJSON) -> tuple[str, ...]:
    """Return the names of the pod's scheduling gates."""
    listed = mapping(pod, "spec").get("schedulingGates") or []
    return tuple(str(gate.get("name", "")) for gate in listed if isinstance(gate, Mapping))


def pinned_to(pod: PodJSON) -> tuple[NodeName, ...]:
    """Return the nodes that the pod's required affinity names by metadata.name; () for none."""
    affinity = mapping(mapping(mapping(pod, "spec"), "affinity"), "nodeAffinity")
    required = mapping(affinity, "requiredDuringSchedulingIgnoredDuringExecution")
    return tuple(
        NodeName(str(name))
        for term in required.get("nodeSelectorTerms") or ()
        for field in term.get("matchFields") or ()
        if field.get("key") == "metadata.name" and field.get("operator") == "In"
        for name in field.get("values") or ()
    )


def mapping(entry: PodJSON, key: str) -> PodJSON:
    """Return the object under a key; an empty one if there is none."""
    found = entry.get(key)
    return found if isinstance(found, Mapping) else {}


def _request(pod: PodJSON) -> tuple[Request, bool, str]:
    """Request, whether it may be preempted, and the problem with them or ""."""
    try:
        request, preemptible = parse_request(pod), parse_preemptible(pod)
        notes = mapping(mapping(pod, "metadata"), "annotations")
        room = assignment.MAX_BYTES - assignment.OURS_BYTES
        if request.devices and assignment.size(notes) > room:
            return Request(), True, f"its annotations must leave room; keep them below {room} bytes"
        return request, preemptible, ""
    except InvalidRequest as problem:
        return Request(), True, str(problem)
    except (AttributeError, TypeError, ValueError):
        # Fields of another type than Kubernetes': nothing that an API server would store.
        return Request(), True, "the pod isn't one that an API server would store"


def _seconds(timestamp: object) -> float:
    """RFC 3339 in UTC, as the API server writes it, in seconds since the epoch; 0.0 for others.

    Days since the epoch: Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
    """
    text = str(timestamp or "")
    if not text.endswith("Z") or "T" not in text:
        return 0.0
    date, _, clock = text[:-1].partition("T")
    try:
        year, month, day = (int(part) for part in date.split("-"))
        hours, minutes, seconds = (float(part) for part in clock.split(":"))
    except ValueError:
        return 0.0
    year -= month <= 2
    era_year = year % 400
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    day_of_era = era_year * 365 + era_year // 4 - era_year // 100 + day_of_year
    days = year // 400 * 146097 + day_of_era - 719468
    found = days * 86400 + hours * 3600 + minutes * 60 + seconds
    return found if math.isfinite(found) else 0.0
