"""Gangs: pods that start together or not at all."""

from dataclasses import dataclass

from scheduler.core.model.ids import PodUID

MOST_MEMBERS = 100_000
"""More than any cluster runs; keeps a typing error from becoming a huge number."""


@dataclass(frozen=True, slots=True)
class Gang:
    """What is known of the gang that one pod is of.

    `name` begins with its namespace; `size` is how many start together. Members beyond it join
    later and leave first. `once`: no other gang will ever have its name. `unknown`: why nobody
    knows the size yet, and what to change, "" where it is known; until then `size` is 0, and nobody
    of it starts.
    """

    name: str
    size: int
    once: bool = False
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Members of a gang: `placed` have a place (by UID), `finished` are through with their work."""

    placed: frozenset[PodUID] = frozenset()
    finished: int = 0
