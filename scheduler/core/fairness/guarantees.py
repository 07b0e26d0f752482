"""Contributed guarantees: what a tenant brought is what it is owed."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import TenantName
from scheduler.core.model.tenants import Brought


def guaranteed(tree: TenantTree, brought: Mapping[TenantName, Brought]) -> TenantTree:
    """Return the tree with contributed guarantees as they are now; the same one if none moved.

    A parent's is what it and all below it brought, or it could not keep what its children are owed.
    Where guarantees stand as amounts nothing changes. Owners that are no tenants count for nobody.
    """
    if not any(tenant.contributed for tenant in tree.tenants.values()):
        return tree
    totals = roll_up(tree, brought)
    moved = {
        name: replace(tenant, guarantee=Fraction(totals[name].milli, MILLI))
        for name, tenant in tree.tenants.items()
        if tenant.contributed and tenant.guarantee * MILLI != totals[name].milli
    }
    return TenantTree({**tree.tenants, **moved}.values()) if moved else tree


def roll_up(tree: TenantTree, brought: Mapping[TenantName, Brought]) -> dict[TenantName, Brought]:
    """Return for every tenant what it and all below it brought."""
    totals = {name: brought.get(name, Brought()) for name in tree.names}
    for name in reversed(tree.names):
        parent = tree.tenants[name].parent
        if parent is not None:
            totals[parent] += totals[name]
    return totals
