"""Users of tenants that are shared by user: who of them is there, and who is remembered.

A user has no object of its own. It is there while a pod of its waits, is on its way or runs, and
after that for as long as it owes something, if that is much.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName
from scheduler.core.model.tenants import tenant_part

REMEMBERED = 100
"""So many users of a tenant are remembered when they are away: those that owe most."""

SOME_DEBT = 1.0
"""GPU-seconds: who owes less is forgotten once it is away."""


def over(
    tree: TenantTree, there: Collection[TenantName], lags: Mapping[TenantName, float]
) -> frozenset[TenantName]:
    """Return the users of a tree to forget: not among those `there`, and without much of a debt."""
    away = [leaf for leaf in tree.users if leaf not in there]
    return frozenset(away).difference(_remembered(away, lags))


def _remembered(
    away: Iterable[TenantName], lags: Mapping[TenantName, float]
) -> Iterable[TenantName]:
    owing = defaultdict[TenantName, list[tuple[float, TenantName]]](list)
    for leaf in away:
        lag = lags.get(leaf, 0.0)
        if lag <= -SOME_DEBT:
            owing[tenant_part(leaf)].append((lag, leaf))
    for debts in owing.values():
        yield from (leaf for _, leaf in sorted(debts)[:REMEMBERED])
