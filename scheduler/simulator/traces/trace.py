"""A trace: a cluster, and the pods that arrived at it."""

from dataclasses import dataclass

from scheduler.core.model.nodes import Node
from scheduler.core.model.requests import Request

DEVICE_MEMORY_MIB = 16_000
"""Nominal memory of a device (MiB). Traces don't tell it, and their pods ask for none; 16 MiB for
each milli-GPU divides without a rest."""


@dataclass(frozen=True, slots=True)
class TracePod:
    """One pod of a trace: what it is called, and what it asks for."""

    name: str
    request: Request


@dataclass(frozen=True, slots=True)
class Trace:
    """Nodes and pods, both in the order of their names, and the folder they came from.

    `folder` is None for a workload that was made up.
    """

    name: str
    nodes: tuple[Node, ...]
    pods: tuple[TracePod, ...]
    folder: str | None = None

    @property
    def capacity(self) -> int:
        """Milli-GPU of all devices."""
        return sum(device.milli for node in self.nodes for device in node.devices)

    @property
    def demand(self) -> int:
        """Milli-GPU that all pods ask for."""
        return sum(pod.request.total_milli for pod in self.pods)
