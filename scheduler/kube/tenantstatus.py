"""What a Tenant's status says: what it is due, has and wants, and whether it is served."""

from fractions import Fraction

from scheduler.core.model.amounts import MILLI
from scheduler.core.model.standing import TenantStanding
from scheduler.core.model.stored import Stored, mapping
from scheduler.kube.budgetline import within_budget
from scheduler.kube.client import JSON
from scheduler.kube.conditions import condition, find

VALID, SERVED = "Valid", "Served"

FIELDS = (
    "observedGeneration",
    "guaranteeGPUs",
    "broughtGPUs",
    "missingGPUs",
    "fairShareGPUs",
    "allocatedGPUs",
    "demandGPUs",
    "pendingPods",
    "runningPods",
    "lag",
    "budget",
)
"""All but the conditions."""


def tenant_status(
    stored: Stored,
    standing: TenantStanding | None,
    *,
    problem: str,
    lag: Stored | None,
    budget: Stored | None = None,
    at: float,
) -> JSON:
    """Return the status of a stored Tenant at time `at` (seconds since the epoch).

    No `standing`: it is left out. `problem`: why it isn't used as it is stored, "" if it is.
    """
    status: JSON = {}
    generation = mapping(stored, "metadata").get("generation")
    if generation is not None:
        status["observedGeneration"] = generation
    if standing is not None:
        status |= _amounts(standing)
    if lag is not None:
        status["lag"] = lag
    if budget is not None:
        status["budget"] = budget
    status["conditions"] = [
        condition(
            VALID,
            holds=not problem,
            reason="Invalid" if problem else "Valid",
            message=problem,
            at=at,
            before=find(stored, VALID),
        ),
        _served(stored, standing, at),
    ]
    if standing is not None and standing.budget is not None:
        status["conditions"].append(within_budget(stored, standing.budget, at))
    return status


def _amounts(standing: TenantStanding) -> JSON:
    return {
        **_guarantee(standing),
        "fairShareGPUs": _number(standing.fair_share),
        "allocatedGPUs": _number(standing.allocated),
        "demandGPUs": _number(standing.demand),
        "pendingPods": standing.pending_pods,
        "runningPods": standing.running_pods,
    }


def _guarantee(standing: TenantStanding) -> JSON:
    """What it is guaranteed now; of who owns machines, or should, what they come to as well."""
    found: JSON = {"guaranteeGPUs": _number(standing.guarantee)}
    brought = standing.brought
    if standing.contributed or brought.all:
        found["broughtGPUs"] = _number(Fraction(brought.all, MILLI))
        found["missingGPUs"] = _number(Fraction(brought.all - brought.milli, MILLI))
    return found


def _number(gpus: Fraction) -> int | float:
    """GPUs, to a thousandth."""
    rounded = round(gpus, 3)
    return rounded.numerator if rounded.denominator == 1 else float(rounded)


def _served(stored: Stored, standing: TenantStanding | None, at: float) -> JSON:
    reason, message = _why_not(standing)
    return condition(
        SERVED,
        holds=not reason,
        reason=reason or "Served",
        message=message,
        at=at,
        before=find(stored, SERVED),
    )


def _why_not(standing: TenantStanding | None) -> tuple[str, str]:
    """Why a tenant that wants something is given no share; ("", "") if it is, or wants nothing."""
    if standing is None:
        return "LeftOut", "it can't be used as it is; see the condition Valid"
    if standing.fair_share or not standing.demand:
        return "", ""
    if standing.spent:
        return (
            "OverBudget",
            "a budget is used up, its own or that of a tenant above it, so it is served last, from "
            "what is idle, until the next period",
        )
    if standing.limit is not None and not standing.limit:
        return "NoShare", "its limit is 0; raise it"
    if standing.contributed and not standing.guarantee and not standing.weight:
        return (
            "NoShare",
            "its guarantee is what it brought, of which nothing is there and healthy now, and it "
            "has no weight; see to its nodes, or give it a weight",
        )
    if not standing.guarantee and not standing.weight:
        return "NoShare", "it has neither guarantee nor weight; give it one of them"
    return (
        "NoShare",
        "guarantees and priorities of others leave it nothing, so it is served last, from what is "
        "idle; give it a guarantee or a higher priority",
    )
