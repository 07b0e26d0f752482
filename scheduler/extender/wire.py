"""The wire format of kube-scheduler's extenders: bytes to what is asked, and answers to bytes.

The Go structs (k8s.io/kube-scheduler/extender/v1/types.go) carry no JSON tags: keys are PascalCase,
null stands for everything unset, and Go reads top-level keys without regard to case.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.gangreader import GangOf, gang_by_words
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.podreader import PodJSON, TenantOf, mapping, read_pod
from scheduler.core.model.pods import Pod


class WireError(InvalidInput):
    """A body that isn't what kube-scheduler sends."""


@dataclass(frozen=True, slots=True)
class FilterArgs:
    """Body of filter and prioritize (ExtenderArgs).

    `items` holds the node objects by name where whole nodes came instead of names: such a caller
    reads nodes from the answer, too.
    """

    pod: PodJSON
    names: list[NodeName]
    items: Mapping[NodeName, Any] | None = None


@dataclass(frozen=True, slots=True)
class FilterResult:
    """Nodes that the pod may go to, and why not the others: text by node."""

    names: Sequence[NodeName] = ()
    failed: Mapping[NodeName, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PreemptionArgs:
    """Body of preempt (ExtenderPreemptionArgs); the victims don't matter to us."""

    pod: PodJSON


@dataclass(frozen=True, slots=True)
class BindingArgs:
    """Body of bind (ExtenderBindingArgs): names only, no pod object."""

    namespace: str
    name: str
    uid: PodUID
    node: NodeName

    @property
    def key(self) -> str:
        """Return namespace/name, as people name it."""
        return f"{self.namespace}/{self.name}"


def decode_filter(body: bytes) -> FilterArgs:
    """Read a filter or prioritize body; raise WireError with one sentence."""
    fields = _fields(body)
    pod = _pod(fields)
    offered = _field(fields, "NodeNames")
    if offered is not None:
        return FilterArgs(pod, _names(offered))
    nodes = _field(fields, "Nodes")
    if nodes is None:
        return FilterArgs(pod, [])
    items = _items(nodes)
    return FilterArgs(pod, list(items), items)


def decode_preemption(body: bytes) -> PreemptionArgs:
    """Read a preempt body; raise WireError with one sentence."""
    return PreemptionArgs(_pod(_fields(body)))


def decode_binding(body: bytes) -> BindingArgs:
    """Read a bind body; raise WireError with one sentence."""
    fields = _fields(body)
    return BindingArgs(
        namespace=_text(fields, "PodNamespace"),
        name=_text(fields, "PodName"),
        uid=PodUID(_text(fields, "PodUID")),
        node=NodeName(_text(fields, "Node")),
    )


def decode_pod(pod: PodJSON, tenant_of: TenantOf, gang_of: GangOf = gang_by_words) -> Pod:
    """Read a pod; raise WireError if it has no UID, name or namespace."""
    try:
        return read_pod(pod, tenant_of, gang_of=gang_of)
    except InvalidInput as problem:
        raise WireError(str(problem)) from None


def uid_of(pod: PodJSON) -> PodUID:
    """Return the pod's UID, "" if it has none."""
    return PodUID(str(mapping(pod, "metadata").get("uid") or ""))


def encode_filter(result: FilterResult, items: Mapping[NodeName, Any] | None = None) -> bytes:
    """Write ExtenderFilterResult; `items` as in FilterArgs."""
    nodes = None if items is None else {"items": [items[name] for name in result.names]}
    # What only a GPU decides can't be preempted for: kube-scheduler is told not to try.
    return orjson.dumps(
        {
            "Nodes": nodes,
            "NodeNames": result.names,
            "FailedNodes": {},
            "FailedAndUnresolvableNodes": result.failed,
            "Error": "",
        }
    )


def encode_filter_error(problem: str) -> bytes:
    """Write ExtenderFilterResult with an error."""
    return orjson.dumps(
        {
            "Nodes": None,
            "NodeNames": None,
            "FailedNodes": None,
            "FailedAndUnresolvableNodes": None,
            "Error": problem,
        }
    )


def encode_scores(scores: Iterable[tuple[NodeName, int]]) -> bytes:
    """Write HostPriorityList; scores are 0..10."""
    return orjson.dumps([{"Host": name, "Score": score} for name, score in scores])


def encode_no_candidates() -> bytes:
    """Write ExtenderPreemptionResult without candidates; it has no Error."""
    return b'{"NodeNameToMetaVictims":{}}'


def encode_binding(problem: str) -> bytes:
    """Write ExtenderBindingResult; "" means bound."""
    return orjson.dumps({"Error": problem})


def _fields(body: bytes) -> Mapping[str, Any]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise WireError("the body is not JSON; send what kube-scheduler sends") from None
    if not isinstance(fields, dict):
        raise WireError("the body is not a JSON object; send what kube-scheduler sends")
    return fields


def _field(fields: Mapping[str, Any], key: str) -> Any:
    if key in fields:
        return fields[key]
    return next((value for other, value in fields.items() if other.lower() == key.lower()), None)


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = _field(fields, key)
    if not isinstance(value, str) or not value:
        raise WireError(f"the body has no {key}; send ExtenderBindingArgs")
    return value


def _pod(fields: Mapping[str, Any]) -> PodJSON:
    pod = _field(fields, "Pod")
    if not isinstance(pod, dict):
        raise WireError("the body has no Pod; send what kube-scheduler sends")
    return pod


def _names(offered: object) -> list[NodeName]:
    if not isinstance(offered, list) or not set(map(type, offered)) <= {str}:
        raise WireError("NodeNames is not a list of names; send what kube-scheduler sends")
    return offered


def _items(nodes: object) -> dict[NodeName, Any]:
    try:
        return {NodeName(item["metadata"]["name"]): item for item in _field(nodes, "items") or ()}  # type: ignore[arg-type]
    except (AttributeError, KeyError, TypeError):
        raise WireError("Nodes is not a NodeList; set nodeCacheCapable: true") from None
