"""A place at once, while nobody waits: what the webhook asks for, and how the pod then is written.

The pod is pinned and gets no gate. The annotation opens nothing by itself: on a pod that is created
with one it is taken off, whoever wrote it, and the pod is looked at as any other. So is a pod that
the API server asks about again, because another webhook has changed it.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from scheduler.core.model import names, pins
from scheduler.core.model.ids import NodeName
from scheduler.core.model.plans import Grant
from scheduler.core.model.stored import mapping
from scheduler.webhook import patches
from scheduler.webhook.patches import JSON, Op


class Granting(Protocol):
    """Who gives places."""

    def grant(self, pod: Mapping[str, Any]) -> Grant | None:
        """Keep a place for a pod that is being created; None: it waits behind its gate."""
        ...

    def keeps(self, token: str, pod: Mapping[str, Any]) -> bool:
        """Whether a pod that carries a token already keeps its place; if not, it is free."""
        ...


class NoGrants:
    """Nobody gets a place at once."""

    def grant(self, pod: Mapping[str, Any]) -> None:
        """Keep none."""

    def keeps(self, token: str, pod: Mapping[str, Any]) -> bool:
        """Know none."""
        return False


class OthersGrants(NoGrants):
    """Takes for good what stands on a pod: it came past the webhook that gives places."""

    def keeps(self, token: str, pod: Mapping[str, Any]) -> bool:
        """Know all."""
        return True


def pinned(pod: JSON, nodes: tuple[NodeName, ...]) -> list[Op]:
    """Return what pins a pod without required terms of its own to the nodes."""
    above: JSON = pod
    value: object = pins.pin(nodes)
    path = ("spec", "affinity", "nodeAffinity", pins.REQUIRED)
    for depth, key in enumerate(path):
        found = above.get(key)
        if not isinstance(found, Mapping) or not found:
            # An empty one is written anew with what is below it.
            for inner in reversed(path[depth + 1 :]):
                value = {inner: value}
            return [patches.put(value, *path[: depth + 1])]
        above = found
    return []


def taken_off(pod: JSON) -> list[Op]:
    """Return what takes token and pin off a pod that carries a token."""
    ops = [patches.drop("metadata", "annotations", names.GRANTED)]
    if pins.is_pin(pins.own_terms(pod)):
        ops.append(patches.drop("spec", "affinity", "nodeAffinity", pins.REQUIRED))
    return ops


def without_place(pod: JSON) -> JSON:
    """Return the pod as it is then."""
    metadata, spec = mapping(pod, "metadata"), mapping(pod, "spec")
    notes = _without(mapping(metadata, "annotations"), names.GRANTED)
    bare = {**pod, "metadata": {**metadata, "annotations": notes}}
    if not pins.is_pin(pins.own_terms(pod)):
        return bare
    affinity = mapping(spec, "affinity")
    left = _without(mapping(affinity, "nodeAffinity"), pins.REQUIRED)
    return {**bare, "spec": {**spec, "affinity": {**affinity, "nodeAffinity": left}}}


def _without(held: JSON, key: str) -> JSON:
    return {name: value for name, value in held.items() if name != key}
