"""Use of a budget in a Tenant's status: a line through one moment, as lag is; and how far it is."""

from collections.abc import Iterable, Mapping

from scheduler.core.model.ids import TenantName
from scheduler.core.model.standing import BudgetStanding, TenantStanding
from scheduler.core.model.stored import Stored, mapping
from scheduler.kube.client import JSON
from scheduler.kube.conditions import condition, find
from scheduler.kube.lagline import LONGEST, line, same_line
from scheduler.kube.times import seconds, stamp

WITHIN = "WithinBudget"

REASONS: Mapping[str, str] = {
    "Within": "",
    "HalfUsed": "half of the budget of this period is used",
    "NearlyUsed": "nine tenths of the budget of this period are used",
    "UsedUp": "the budget of this period is used up: it is served last, from what is idle",
}
"""Stable words, and what they mean. Each is told once in a period: use only grows."""

_FROM = {"UsedUp": 1.0, "NearlyUsed": 0.9, "HalfUsed": 0.5}


def budget_line(standing: TenantStanding, at: float) -> JSON | None:
    """Return the line of a tenant's use at `at` (seconds); None where there is no budget."""
    if standing.budget is None:
        return None
    through = line(standing.budget.used, float(standing.allocated), at)
    return {**through, "since": stamp(standing.budget.since)}


def same_budget_line(before: Stored, now: Stored) -> bool:
    """Whether the line before still holds: of the same period, and through where use is now."""
    return before.get("since") == now.get("since") and same_line(before, now)


def reason_of(budget: BudgetStanding) -> str:
    """Return the word for how much of a budget is used."""
    return next((word for word, part in _FROM.items() if budget.part >= part), "Within")


def within_budget(stored: Stored, budget: BudgetStanding, at: float) -> JSON:
    """Return the condition; `stored` is the Tenant as it is."""
    reason = reason_of(budget)
    return condition(
        WITHIN,
        holds=reason != "UsedUp",
        reason=reason,
        message=REASONS[reason],
        at=at,
        before=find(stored, WITHIN),
    )


def used_of(tenants: Iterable[Stored], now: float) -> dict[TenantName, tuple[float, float]]:
    """Return, of each Tenant that tells it, when its period began and what it has used by `now`.

    Seconds and GPU-seconds. A line is followed for LONGEST seconds at most, as with lag.
    """
    found = dict[TenantName, tuple[float, float]]()
    for each in tenants:
        told = mapping(mapping(each, "status"), "budget")
        since, at = seconds(told.get("since")), seconds(told.get("at"))
        used, slope = told.get("gpuSeconds"), told.get("slope")
        if since is None or at is None or not isinstance(used, int | float):
            continue
        gpus = slope if isinstance(slope, int | float) else 0.0
        passed = min(max(0.0, now - at), LONGEST)
        name = TenantName(str(mapping(each, "metadata").get("name")))
        found[name] = (since, used + gpus * passed)
    return found
