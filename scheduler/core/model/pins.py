"""How a pod is pinned to nodes: one required term per node (terms are ORed).

The API server takes exactly one name in a `metadata.name` requirement. Source: k8s.io/kubernetes
pkg/apis/core/validation, ValidateNodeFieldSelectorRequirement.
"""

from collections.abc import Sequence
from typing import Any

from scheduler.core.model.constraints import NAME_FIELD
from scheduler.core.model.ids import NodeName
from scheduler.core.model.stored import Stored, mapping, objects

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def own_terms(pod: Stored) -> Sequence[Stored]:
    """Return the required terms of a pod's node affinity; none where it has none."""
    affinity = mapping(mapping(mapping(pod, "spec"), "affinity"), "nodeAffinity")
    return objects(mapping(affinity, REQUIRED), "nodeSelectorTerms")


def pin(nodes: Sequence[NodeName]) -> dict[str, Any]:
    """Return the required node affinity of a pod without terms of its own."""
    return {"nodeSelectorTerms": [{"matchFields": [line(node)]} for node in nodes]}


def is_pin(terms: Sequence[Stored]) -> bool:
    """Whether these are terms of `pin`."""
    return bool(terms) and all(_pinned(term) for term in terms)


def line(node: NodeName) -> dict[str, Any]:
    """Return the requirement that names a node."""
    return {"key": NAME_FIELD, "operator": "In", "values": [node]}


def _pinned(term: Stored) -> bool:
    fields = objects(term, "matchFields")
    return not term.get("matchExpressions") and [each.get("key") for each in fields] == [NAME_FIELD]
