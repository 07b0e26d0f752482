"""What no turn may pass: limits for all, guarantees for pods that can't be stopped."""

from collections.abc import Mapping

from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import TenantName


def over_limit(
    tree: TenantTree, held: Mapping[TenantName, int], *, leaf: TenantName, milli: int
) -> TenantName | None:
    """Return the highest tenant on the path whose limit `milli` more would pass, or None.

    `held` is milli-GPU for every tenant, as `TenantTree.roll_up` or `Turns.held` give it.
    """
    for name in tree.path(leaf):
        limit = tree.tenants[name].limit
        if limit is not None and held[name] + milli > limit * MILLI:
            return name
    return None


def over_guarantee(
    tree: TenantTree, held_fixed: Mapping[TenantName, int], *, leaf: TenantName, milli: int
) -> TenantName | None:
    """Return the highest tenant on the path whose guarantee can't hold `milli` more, or None.

    For non-preemptible pods: `held_fixed` is the milli-GPU that they hold, for every tenant. The
    rule has no exception: a parent without a guarantee has none to pass on, so below it nothing
    is non-preemptible. Otherwise the children's promises could add up to more than the cluster,
    with no pod left that may be stopped. A user has none, and lives on its tenant's.
    """
    for name in tree.path(leaf):
        if tree.tenants[name].user:
            continue
        if held_fixed[name] + milli > tree.tenants[name].guarantee * MILLI:
            return name
    return None
