"""Lag in a Tenant's status: a line through one moment, so that time alone writes nothing."""

from collections.abc import Iterable, Mapping

from scheduler.core.fairness.lag import slopes
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName
from scheduler.core.model.standing import Standing
from scheduler.core.model.stored import Stored, mapping
from scheduler.core.model.tenants import Tenant
from scheduler.kube.client import JSON
from scheduler.kube.times import micro_stamp, seconds

REWRITE_SECONDS = 60.0
"""A line is written anew at most so often."""

APART = 1.0
"""GPU-seconds that lag may be off its line before that counts as another line."""

LONGEST = 3600.0
"""Seconds for which a line is believed: longer ago, nobody knows what happened since."""


def slopes_of(standing: Standing) -> Mapping[TenantName, float]:
    """Return how fast the lag of each tenant grows as things stand, in GPUs."""
    tenants = standing.tenants
    tree = TenantTree(Tenant(each.name, each.parent) for each in tenants)
    return slopes(
        tree,
        shares={each.name: each.fair_share for each in tenants},
        held={each.name: each.allocated for each in tenants if each.leaf},
    )


def line(value: float, slope: float, at: float) -> JSON:
    """Return the line through `value` GPU-seconds at time `at`; `slope` in GPUs."""
    return {"gpuSeconds": round(value, 3), "slope": round(slope, 6), "at": micro_stamp(at)}


def same_line(before: Stored, now: Stored) -> bool:
    """Whether the line before still goes through where lag is now, and as steeply."""
    at = seconds(now.get("at")) or 0.0
    foreseen = _at(before, at)
    if foreseen is None or before.get("slope") != now.get("slope"):
        return False
    return abs(foreseen - float(now["gpuSeconds"])) <= APART


def too_soon(before: Stored, at: float) -> bool:
    """Whether the line was written less than a minute before `at`."""
    began = seconds(before.get("at"))
    return began is not None and 0 <= at - began < REWRITE_SECONDS


def lags_of(tenants: Iterable[Stored], now: float) -> dict[TenantName, float]:
    """Return the lag (GPU-seconds) at `now` of each Tenant that tells one: to go on with.

    All lines are followed to the same moment, so that they still sum to zero: `now`, but at most
    LONGEST seconds after the last of them was written.
    """
    lines = {
        TenantName(str(mapping(each, "metadata").get("name"))): mapping(
            mapping(each, "status"), "lag"
        )
        for each in tenants
    }
    began = [at for each in lines.values() if (at := seconds(each.get("at"))) is not None]
    until = min(now, max(began, default=now) + LONGEST)
    found = {name: _at(each, until) for name, each in lines.items()}
    return {name: value for name, value in found.items() if value is not None}


def _at(stored: Stored, at: float) -> float | None:
    """The line's value at a time; before it begins it has the value at its beginning."""
    began, value, slope = (seconds(stored.get("at")), stored.get("gpuSeconds"), stored.get("slope"))
    if began is None or not isinstance(value, int | float) or not isinstance(slope, int | float):
        return None
    return value + slope * max(0.0, at - began)
