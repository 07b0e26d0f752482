"""A place at once, while nobody waits: what the webhook asks for, and how the pod then is written.

The pod is pinned and gets no gate. The annotation opens nothing by itself: on a pod that is created
with one it is taken off, whoever wrote it, and the pod is looked at as any other. So is a pod that
the API server asks about again, because another webhook has changed it.
"""

from collections.abc import Iterator, Mapping
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

    def take_back(self, token: str, pod: Mapping[str, Any]) -> bool:
        """Free the place of a pod that comes with a token; False: token and place are to stay."""
        ...


class NoGrants:
    """Nobody gets a place at once."""

    def grant(self, pod: Mapping[str, Any]) -> None:
        """Keep none."""

    def take_back(self, token: str, pod: Mapping[str, Any]) -> bool:
        """Trust none, though there is none to free."""
        return True


class OthersGrants(NoGrants):
    """Takes for good what stands on a pod: it came past the webhook that gives places."""

    def take_back(self, token: str, pod: Mapping[str, Any]) -> bool:
        """Leave all as they are."""
        return False


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
    return [patches.drop(*path) for path in _place(pod)]


def without_place(pod: JSON) -> JSON:
    """Return the pod as it is then."""
    for path in _place(pod):
        pod = _without(pod, *path)
    return pod


def _place(pod: JSON) -> Iterator[tuple[str, ...]]:
    """Yield the paths of what its place has put on the pod."""
    yield "metadata", "annotations", names.GRANTED
    if pins.is_pin(pins.own_terms(pod)):
        yield "spec", "affinity", "nodeAffinity", pins.REQUIRED


def _without(held: JSON, key: str, *below: str) -> JSON:
    if below:
        return {**held, key: _without(mapping(held, key), *below)}
    return {name: value for name, value in held.items() if name != key}
