"""Gangs: pods that start together or not at all."""

from dataclasses import dataclass

from scheduler.core.model.ids import PodUID

MOST_MEMBERS = 100_000
"""More than any cluster runs; keeps a typing error from becoming a huge number."""


@dataclass(frozen=True, slots=True)
class Gang:
    """What one pod says of the gang that it is of.

    `name` is namespace/name; `size` is how many start together. Members beyond it join later and
    leave first.
    """

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Gathered:
    """Members of a gang: `placed` have a place (by UID), `finished` are through with their work."""

    placed: frozenset[PodUID] = frozenset()
    finished: int = 0
