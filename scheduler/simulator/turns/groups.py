"""Tenants of one size together: how each was served, and how long its next ones waited."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from scheduler.core.model.ids import TenantName
from scheduler.simulator.turns.measures import Measures

Members = Mapping[str, Sequence[TenantName]]


@dataclass(frozen=True, slots=True)
class Spread:
    """The least, the middle and the greatest of some values; NaN where there are none."""

    least: float
    middle: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Look at those that are numbers."""
        known = [value for value in values if not math.isnan(value)]
        if not known:
            return cls(math.nan, math.nan, math.nan)
        return cls(min(known), median(known), max(known))


@dataclass(frozen=True, slots=True)
class Group:
    """Some tenants: service ÷ due of each, GPU-seconds of all, waits (seconds) of all."""

    name: str
    tenants: int
    served: Spread
    got: float
    median_wait: float
    worst_wait: float


def by_name(tenants: Iterable[TenantName]) -> dict[str, list[TenantName]]:
    """Put tenants together whose names differ in the number at their end only."""
    members: dict[str, list[TenantName]] = {}
    for name in tenants:
        members.setdefault(re.sub(r"-\d+$", "", name), []).append(name)
    return members


def look(measures: Measures, members: Members) -> tuple[Group, ...]:
    """Sum up a run by groups of leaves."""
    return tuple(_group(measures, name, leaves) for name, leaves in members.items())


def _group(measures: Measures, name: str, leaves: Sequence[TenantName]) -> Group:
    waits = [wait for leaf in leaves for wait in measures.waits.get(leaf, ())]
    return Group(
        name=name,
        tenants=len(leaves),
        served=Spread.of(map(measures.served, leaves)),
        got=math.fsum(measures.got.get(leaf, 0.0) for leaf in leaves),
        median_wait=median(waits) if waits else math.nan,
        worst_wait=max((measures.worst.get(leaf, 0.0) for leaf in leaves), default=0.0),
    )
