"""Tenants: who shares. Amounts in GPUs, exact."""

from dataclasses import dataclass
from fractions import Fraction

from scheduler.core.model.ids import TenantName


@dataclass(frozen=True, slots=True)
class Tenant:
    """A node of the tenant tree; only leaves have pods.

    `guarantee` is owed before anyone gets surplus, `weight` is the part of the surplus, `limit` the
    hard cap (None: no cap), `priority` the admins' order for the surplus, higher first. `created`
    (seconds since the epoch) breaks ties. `max_runtime`: for how many seconds its pods, and those
    of all below it, may run; None: as long as they like.
    """

    name: TenantName
    parent: TenantName | None = None
    guarantee: Fraction = Fraction(0)
    weight: Fraction = Fraction(1)
    limit: Fraction | None = None
    priority: int = 100
    created: float = 0.0
    max_runtime: float | None = None
