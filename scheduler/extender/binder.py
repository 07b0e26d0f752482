"""The binder: who writes the Binding. The API server's client live, the embedded cluster in tests.

One write stores the node and the assignment together, so "bound" and "has its GPUs" can't disagree.
"""

from collections.abc import Mapping
from typing import Protocol

from scheduler.core.model.ids import NodeName
from scheduler.core.model.pods import PodRef


class Binder(Protocol):
    """Writes Bindings."""

    async def bind(self, pod: PodRef, node: NodeName, annotations: Mapping[str, str]) -> None:
        """Bind the pod and store the annotations, in one write with its UID as precondition.

        Raises BindRefused or AlreadyAssigned. Whatever else it raises, and a time-out, means that
        the outcome is unknown: the write may have been stored.
        """
        ...
