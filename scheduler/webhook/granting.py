"""A place at once, while nobody waits: what the webhook asks for, and how the pod then is written.

The pod is pinned and gets no gate. Whoever binds it looks again whether the place is its own, so
the annotation opens nothing by itself; one that nobody here knows is taken off again.
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

    def stands(self, token: str) -> bool:
        """Whether that place is kept."""
        ...


class NoGrants:
    """Nobody gets a place at once."""

    def grant(self, pod: Mapping[str, Any]) -> None:
        """Keep none."""

    def stands(self, token: str) -> bool:
        """Know none."""
        return False


class OthersGrants(NoGrants):
    """Takes for good what stands on a pod: it came past the webhook that gives places."""

    def stands(self, token: str) -> bool:
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
            for inner in reversed(path[depth + 1 :]):
                value = {inner: value}
            return [patches.put(value, *path[: depth + 1])]
        above = found
    return []


def taken_off(pod: JSON) -> list[Op]:
    """Return what makes a pod with a place that isn't known one that waits."""
    held = mapping(mapping(pod, "metadata"), "annotations")
    ops = [patches.drop("metadata", "annotations", names.GRANTED)] if names.GRANTED in held else []
    if ops and pins.is_pin(pins.own_terms(pod)):
        ops.append(patches.drop("spec", "affinity", "nodeAffinity", pins.REQUIRED))
    return ops
