"""Tenants: who shares. Amounts in GPUs, exact.

A tenant that is shared by user has a leaf below it for each of its users that is there. Such a leaf
is called after both, as in "team/alice": neither a Tenant nor a label value has a slash in it.
"""

from dataclasses import dataclass
from fractions import Fraction

from scheduler.core.model.budgets import Budget
from scheduler.core.model.ids import TenantName


@dataclass(frozen=True, slots=True)
class Tenant:
    """A node of the tenant tree; only leaves have pods.

    `guarantee` is owed before anyone gets surplus, `weight` is the part of the surplus, `limit` the
    hard cap (None: no cap), `priority` the admins' order for the surplus, higher first. `created`
    (seconds since the epoch) breaks ties. `max_runtime`: for how many seconds its pods, and those
    of all below it, may run; None: as long as they like. `contributed`: its guarantee follows the
    machines that it and all below it own, and `guarantee` is what they come to now. `by_user`: what
    it gets is shared among the users that its pods name, all alike. `user`: it is one of them,
    below its tenant, and has neither guarantee nor limit of its own. `budget`: what it and all
    below it may use in a period before it goes last. Until `defrag_until` (seconds since the epoch;
    0.0: not at all) running pods are moved for those of it that wait, and of all below it:
    `defrag_moves` at most, None: as many as it takes.
    """

    name: TenantName
    parent: TenantName | None = None
    guarantee: Fraction = Fraction(0)
    weight: Fraction = Fraction(1)
    limit: Fraction | None = None
    priority: int = 100
    created: float = 0.0
    max_runtime: float | None = None
    contributed: bool = False
    by_user: bool = False
    user: bool = False
    budget: Budget | None = None
    defrag_until: float = 0.0
    defrag_moves: int | None = None


@dataclass(frozen=True, slots=True)
class Brought:
    """What a tenant's own machines come to, in milli-GPU.

    `milli` counts now. `ill` are devices that failed, `away` sound ones of nodes that take no pod:
    cordoned, closed, or lost. Neither counts until it is back.
    """

    milli: int = 0
    ill: int = 0
    away: int = 0

    def __add__(self, other: "Brought") -> "Brought":
        return Brought(self.milli + other.milli, self.ill + other.ill, self.away + other.away)

    @property
    def all(self) -> int:
        """With what doesn't count at present."""
        return self.milli + self.ill + self.away


def user_leaf(tenant: TenantName, user: str) -> TenantName:
    """Return what the leaf of a tenant's user is called; "" for those who name none."""
    return TenantName(f"{tenant}/{user}")


def tenant_part(leaf: TenantName) -> TenantName:
    """Return the tenant that a leaf is, or is a user of."""
    return TenantName(leaf.partition("/")[0])


def user_part(leaf: TenantName) -> str:
    """Return the user that a leaf stands for; "" for a tenant, and for those who name none."""
    return leaf.partition("/")[2]


def sharer(leaf: TenantName) -> str:
    """Say whose share that is, as in "user alice of tenant team"."""
    tenant, user = tenant_part(leaf), user_part(leaf)
    return f"user {user} of tenant {tenant}" if user else f"tenant {tenant}"
