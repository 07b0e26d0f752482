"""Who has used up a budget goes last: what nobody within budget asks for is all that it gets.

Limits hold where a tenant stands. But GPUs are shared in a tree in which those over budget stand
beside all others, at the top, with neither guarantee nor weight and the lowest priority: so their
share is 0, nobody is given or charged anything for them, and their turns come last.
"""

from collections.abc import Collection
from dataclasses import replace
from fractions import Fraction

from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName

NONE = Fraction(0)

LAST = -(10**9)
"""A priority below all that admins may give: others without a share go first, too."""


def last_in_line(tree: TenantTree, spent: Collection[TenantName]) -> TenantTree:
    """Return the tree by which GPUs are shared while these are over budget, with all below them."""
    if not spent:
        return tree
    moved = topmost(tree, spent)
    return TenantTree(
        replace(
            tenant,
            parent=None,
            guarantee=NONE,
            weight=NONE,
            priority=LAST,
            # What those above it say holds on.
            max_runtime=tree.longest.get(name),
        )
        if name in moved
        # Nor is anything promised to those below them.
        else replace(tenant, guarantee=NONE)
        if tenant.guarantee and is_spent(tree, spent, name)
        else tenant
        for name, tenant in tree.tenants.items()
    )


def without_guarantees(tree: TenantTree, spent: Collection[TenantName]) -> TenantTree:
    """Return the tree by which limits hold meanwhile: everybody in place, these without a promise.

    Pods that can't be stopped fit inside a guarantee, so none of them starts below these.
    """
    if not spent:
        return tree
    return TenantTree(
        replace(tenant, guarantee=NONE) if name in spent else tenant
        for name, tenant in tree.tenants.items()
    )


def topmost(tree: TenantTree, spent: Collection[TenantName]) -> frozenset[TenantName]:
    """Return those of them that stand below none of the others."""
    return frozenset(
        name
        for name in spent
        if name in tree and not any(above in spent for above in tree.path(name)[:-1])
    )


def is_spent(tree: TenantTree, spent: Collection[TenantName], name: TenantName) -> bool:
    """Whether the tenant, or one above it, is over budget."""
    return bool(spent) and name in tree and any(each in spent for each in tree.path(name))
