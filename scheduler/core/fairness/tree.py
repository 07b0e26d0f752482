"""The tenant tree: who is below whom, checked once and read often."""

from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from typing import TypeVar

from scheduler.core.model.errors import InvalidTenants
from scheduler.core.model.ids import TenantName
from scheduler.core.model.tenants import Tenant, tenant_part, user_leaf

Amount = TypeVar("Amount", int, float, Fraction)


class TenantTree:
    """Tenants by name and by place; never changes once made.

    Siblings stand in (created, name) order, so the order of the input plays no part. Nothing here
    recurses: a tree may be as deep as it has tenants.
    """

    __slots__ = (
        *("_children", "_paths", "budgeted", "depth", "inner", "leaves", "longest", "names"),
        "ordered",
        "tenants",
    )

    tenants: Mapping[TenantName, Tenant]
    names: tuple[TenantName, ...]
    """All of them, every parent before its children."""
    leaves: tuple[TenantName, ...]
    inner: tuple[TenantName, ...]
    """Those with children, every parent before its children."""
    depth: Mapping[TenantName, int]
    """Steps from the top; 0 for a tenant without a parent."""
    budgeted: tuple[TenantName, ...]
    """Those with a budget."""
    longest: Mapping[TenantName, float]
    """For how many seconds pods may run, where it or one above it says so."""
    ordered: tuple[Tenant, ...]
    """Those for whose waiting pods others are to be moved, until a time that may be over."""

    def __init__(self, tenants: Iterable[Tenant]) -> None:
        """Raise InvalidTenants for amounts below 0, a name given twice, or what is no tree."""
        self.tenants = _by_name(tenants)
        self._children = _children(self.tenants)
        self.depth = _depths(self._children)
        if len(self.depth) < len(self.tenants):
            raise InvalidTenants(_describe_cycle(self.tenants, self.depth))
        self.names = tuple(self.depth)
        self.leaves = tuple(name for name in self.names if name not in self._children)
        self.inner = tuple(name for name in self.names if name in self._children)
        self.budgeted = tuple(name for name in self.names if self.tenants[name].budget is not None)
        self.longest = _longest(self.tenants, self.names)
        self.ordered = tuple(each for each in self.tenants.values() if each.defrag_until)
        # Noted as they are asked for.
        self._paths: dict[TenantName, tuple[TenantName, ...]] = {}

    def __contains__(self, name: object) -> bool:
        return name in self.tenants

    def __len__(self) -> int:
        return len(self.tenants)

    def children(self, parent: TenantName | None) -> tuple[TenantName, ...]:
        """Return those directly below, in (created, name) order; below None are the top ones."""
        return self._children.get(parent, ())

    def is_leaf(self, name: TenantName) -> bool:
        """Whether nobody is below it, so that it may have pods."""
        return name not in self._children

    def is_by_user(self, name: TenantName) -> bool:
        """Whether its users share what it gets; never where there are tenants below it."""
        tenant = self.tenants.get(name)
        if tenant is None or not tenant.by_user:
            return False
        below = self.children(name)
        return not below or self.tenants[below[0]].user

    def takes_pods(self, name: TenantName) -> bool:
        """Whether it is a tenant that namespaces may belong to: below it are users, or nobody."""
        return self.is_leaf(name) or self.is_by_user(name)

    def leaf_of(self, tenant: TenantName, user: str) -> TenantName:
        """Return whose share a pod of that tenant and user counts for."""
        return user_leaf(tenant, user) if self.is_by_user(tenant) else tenant

    @property
    def users(self) -> tuple[TenantName, ...]:
        """The leaves that stand for users."""
        return tuple(name for name in self.leaves if self.tenants[name].user)

    def with_users(self, leaves: Iterable[TenantName]) -> "TenantTree":
        """Return the tree with those of these leaves that are users of tenants shared by user."""
        known = self.tenants
        more = [
            Tenant(leaf, parent=tenant, user=True)
            for leaf in set(leaves).difference(known)
            if (tenant := tenant_part(leaf)) != leaf and self.is_by_user(tenant)
        ]
        return TenantTree((*known.values(), *more)) if more else self

    def without_users(self, leaves: Collection[TenantName]) -> "TenantTree":
        """Return the tree without these, which are users."""
        if not leaves:
            return self
        return TenantTree(each for name, each in self.tenants.items() if name not in leaves)

    def path(self, name: TenantName) -> tuple[TenantName, ...]:
        """Return the tenants from the top down to this one, itself included."""
        known = self._paths.get(name)
        if known is None:
            steps = [name]
            while (parent := self.tenants[steps[-1]].parent) is not None:
                steps.append(parent)
            known = self._paths[name] = tuple(reversed(steps))
        return known

    def roll_up(
        self, amounts: Mapping[TenantName, Amount], zero: Amount
    ) -> dict[TenantName, Amount]:
        """Return for every tenant its own amount plus all below it; `zero` where there is none.

        What stands under a name that is no tenant counts for nobody: a deleted tenant's last pods
        must not stop a round. A user that isn't in the tree counts for its tenant.
        """
        totals = {name: amounts.get(name, zero) for name in self.names}
        for name, amount in amounts.items():
            if name not in self.tenants and (tenant := tenant_part(name)) in totals:
                totals[tenant] += amount
        for name in reversed(self.names):
            parent = self.tenants[name].parent
            if parent is not None:
                totals[parent] += totals[name]
        return totals

    def charge(
        self, totals: dict[TenantName, Amount], name: TenantName, amount: Amount
    ) -> tuple[TenantName, ...]:
        """Add to a tenant and all above it, in place, in what `roll_up` made; return the path."""
        path = self.path(name)
        for step in path:
            totals[step] += amount
        return path


def _by_name(tenants: Iterable[Tenant]) -> dict[TenantName, Tenant]:
    known: dict[TenantName, Tenant] = {}
    for tenant in tenants:
        if not tenant.name:
            raise InvalidTenants("a tenant has no name; give it one")
        if "/" in tenant.name and not tenant.user:
            raise InvalidTenants(f'tenant "{tenant.name}": write its name without a slash')
        if tenant.name in known:
            raise InvalidTenants(f'tenant "{tenant.name}" is there twice; keep one of them')
        _check_amounts(tenant)
        known[tenant.name] = tenant
    return known


def _check_amounts(tenant: Tenant) -> None:
    amounts = {"guarantee": tenant.guarantee, "weight": tenant.weight, "limit": tenant.limit}
    for word, amount in amounts.items():
        if amount is not None and amount < 0:
            raise InvalidTenants(f'tenant "{tenant.name}": {word} must not be below 0')
    if tenant.max_runtime is not None and tenant.max_runtime <= 0:
        raise InvalidTenants(f'tenant "{tenant.name}": max runtime must be above 0')


def _children(
    tenants: Mapping[TenantName, Tenant],
) -> dict[TenantName | None, tuple[TenantName, ...]]:
    below: dict[TenantName | None, list[TenantName]] = {}
    for tenant in sorted(tenants.values(), key=lambda tenant: (tenant.created, tenant.name)):
        if tenant.parent is not None and tenant.parent not in tenants:
            raise InvalidTenants(
                f'tenant "{tenant.name}": its parent "{tenant.parent}" does not exist; '
                "create that one first or correct the name"
            )
        below.setdefault(tenant.parent, []).append(tenant.name)
    return {parent: tuple(names) for parent, names in below.items()}


def _depths(
    children: Mapping[TenantName | None, tuple[TenantName, ...]],
) -> dict[TenantName, int]:
    """Depth of all that hang from the top, parents first; a cycle hangs from nowhere."""
    depths = dict.fromkeys(children.get(None, ()), 0)
    waiting = list(depths)
    for name in waiting:
        for child in children.get(name, ()):
            depths[child] = depths[name] + 1
            waiting.append(child)
    return depths


def _longest(
    tenants: Mapping[TenantName, Tenant], names: Iterable[TenantName]
) -> dict[TenantName, float]:
    found: dict[TenantName, float] = {}
    for name in names:
        tenant = tenants[name]
        above = None if tenant.parent is None else found.get(tenant.parent)
        said = [each for each in (tenant.max_runtime, above) if each is not None]
        if said:
            found[name] = min(said)
    return found


def _describe_cycle(tenants: Mapping[TenantName, Tenant], reached: Mapping[TenantName, int]) -> str:
    name = min(name for name in tenants if name not in reached)
    seen: dict[TenantName, None] = {}
    while name not in seen:
        seen[name] = None
        parent = tenants[name].parent
        assert parent is not None, "a tenant without a parent hangs from the top"
        name = parent
    steps = list(seen)
    cycle = [*steps[steps.index(name) :], name]
    text = " → ".join(cycle if len(cycle) <= 6 else [*cycle[:5], TenantName("…"), name])
    return f'tenant "{name}" is above itself ({text}); give one of them another parent'
