"""Gangs: pods that start together or not at all."""

from dataclasses import dataclass

from scheduler.core.model.ids import PodUID

MOST_MEMBERS = 100_000
"""More than any cluster runs; keeps a typing error from becoming a huge number."""


@dataclass(frozen=True, slots=True)
class Topology:
    """How near to each other a gang sits: on nodes that agree in this label, or waits for such.

    Where that isn't `required` it is preferred: it starts elsewhere rather than wait.
    """

    level: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Gang:
    """What is known of the gang that one pod is of.

    `name` begins with its namespace; `size` is how many start together. Members beyond it join
    later and leave first. `once`: no other gang will ever have its name. `unknown`: why nobody
    knows the size yet, and what to change, "" where it is known; until then `size` is 0, and nobody
    of it starts. `topology`: how near they sit; None: as near as they can.
    """

    name: str
    size: int
    once: bool = False
    unknown: str = ""
    topology: Topology | None = None

    @property
    def level(self) -> str:
        """The label in which its nodes have to agree; "" if they need not."""
        return self.topology.level if self.topology and self.topology.required else ""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Members of a gang: `placed` have a place (by UID), `finished` are through with their work."""

    placed: frozenset[PodUID] = frozenset()
    finished: int = 0
