"""Lag: what a tenant is owed, the integral of (its share of what was delivered − what it held).

With s_i the fair share, a_i what is held and, over the siblings of one parent that have a share at
all, r = Σa ÷ Σs:

    dL_i/dt = s_i·r − a_i        for s_i > 0
    dL_i/dt = 0                  for s_i = 0

so the lags of siblings sum to zero from one reset to the next. r < 1 where part of the GPUs could
not be used (broken up, draining): that is nobody's debt. r > 1 where more is held than all of them
are due: because the cluster shrank, or because one of them took what nobody else asked for. Then
the others are owed their part of that too, so whoever takes more than its due pays later.
Who is due nothing (s = 0) lives on what is idle; that costs nothing and earns nothing.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName

CREDIT_SECONDS = 14_400.0
"""How many seconds of its own share a tenant can be owed at most: four hours. What is owed beyond
that is forgotten, and nobody pays it back: ten small tenants that are each a job ahead owe a large
one more than an hour of its share, and with an hour had up to 8 % more than their due for ever."""


@dataclass(frozen=True, slots=True)
class Lags:
    """GPU-seconds per tenant (missing = 0; above 0 = served too little) at time `at` (seconds)."""

    values: Mapping[TenantName, float]
    at: float


def slopes(
    tree: TenantTree,
    *,
    shares: Mapping[TenantName, Fraction],
    held: Mapping[TenantName, Fraction],
) -> dict[TenantName, float]:
    """Return dL/dt in GPUs for every tenant; `shares` of all, `held` by leaf, both in GPUs."""
    due = {name: float(shares.get(name, 0)) for name in tree.names}
    has = tree.roll_up({name: float(amount) for name, amount in held.items()}, 0.0)
    result = dict.fromkeys(tree.names, 0.0)
    parents: tuple[TenantName | None, ...] = (None, *tree.inner)
    for parent in parents:
        entitled = [name for name in tree.children(parent) if due[name] > 0]
        if not entitled:
            continue
        delivered = math.fsum(has[name] for name in entitled)
        rho = delivered / math.fsum(due[name] for name in entitled)
        for name in entitled:
            result[name] = due[name] * rho - has[name]
    return result


def advance(
    lags: Lags,
    *,
    now: float,
    tree: TenantTree,
    shares: Mapping[TenantName, Fraction],
    held: Mapping[TenantName, Fraction],
    credit_seconds: float | None = CREDIT_SECONDS,
    half_life: float | None = None,
) -> Lags:
    """Move lag on to `now`, as if `shares` and `held` (GPUs; held by leaf) had stood since `at`.

    Credit ends at `credit_seconds` of the tenant's share (None: no end). With `half_life` (seconds)
    old lag fades; off by default, because debt that fades between two turns makes tenants with less
    than a GPU get more than their due. A clock that went back adds nothing.
    """
    seconds = max(0.0, now - lags.at)
    rate = math.log(2) / half_life if half_life else 0.0
    kept = math.exp(-rate * seconds)
    # Solves dL/dt = slope − rate·L exactly, so the result doesn't depend on how often it is called.
    gained = -math.expm1(-rate * seconds) / rate if rate else seconds
    moved: dict[TenantName, float] = {}
    for name, slope in slopes(tree, shares=shares, held=held).items():
        value = lags.values.get(name, 0.0) * kept + slope * gained
        share = shares.get(name, 0)
        # A share of 0 may be for a moment only, so it doesn't take away what was earned before.
        if credit_seconds is not None and share > 0 and value > 0:
            value = min(value, credit_seconds * float(share))
        moved[name] = value
    return Lags(moved, now)


def forget_credit(lags: Lags, idle: Collection[TenantName]) -> Lags:
    """Take the credit of tenants with neither pods nor requests, at any level; debt stays.

    Otherwise a tenant could hoard: be away for a week, then hold everybody up for hours.
    """
    kept = {name: min(value, 0.0) if name in idle else value for name, value in lags.values.items()}
    return replace(lags, values=kept)
