"""The binder: who writes the Binding. The API server's client live, the embedded cluster in tests.

One write stores the node and the assignment together, so "bound" and "has its GPUs" can't disagree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from scheduler.core.model.errors import EquipoiseError
from scheduler.core.model.ids import NodeName, PodUID


@dataclass(frozen=True, slots=True)
class PodRef:
    """Which pod is meant; the UID is a precondition of the write, a name may come again."""

    namespace: str
    name: str
    uid: PodUID

    @property
    def key(self) -> str:
        """Return namespace/name, as people name it."""
        return f"{self.namespace}/{self.name}"


class BindRefused(EquipoiseError):
    """Nothing was bound, and nothing will be: the pod is gone, another, gated or being deleted."""


class AlreadyAssigned(EquipoiseError):
    """The pod is bound to a node; `annotations` are those that it carries now."""

    def __init__(self, node: NodeName, annotations: Mapping[str, str]) -> None:
        self.node, self.annotations = node, annotations
        super().__init__(f"the pod is bound to {node} already")


class Binder(Protocol):
    """Writes Bindings."""

    async def bind(self, pod: PodRef, node: NodeName, annotations: Mapping[str, str]) -> None:
        """Bind the pod and store the annotations, in one write with its UID as precondition.

        Raises BindRefused or AlreadyAssigned. Whatever else it raises, and a time-out, means that
        the outcome is unknown: the write may have been stored.
        """
        ...
