"""What tenants have used of their budgets: GPUs that were held, times the seconds for which."""

from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.budgets import start_of
from scheduler.core.model.ids import TenantName


@dataclass(frozen=True, slots=True)
class Used:
    """GPU-seconds that a tenant and all below it have held, `since` its period began (seconds)."""

    since: float
    gpu_seconds: float = 0.0


Uses = Mapping[TenantName, Used]


def spend(
    used: Uses, *, at: float, now: float, tree: TenantTree, held: Mapping[TenantName, int]
) -> dict[TenantName, Used]:
    """Move use on from `at` to `now` (seconds), as `held` (milli-GPU by leaf) had stood since.

    Exact where a period ends in between, too: what was held before that is forgotten. Who has its
    budget only now begins with what it holds from `at` on. A clock that went back adds nothing.
    """
    if not tree.budgeted:
        return {}
    milli = _of_budgeted(tree, held)
    moved = dict[TenantName, Used]()
    for name in tree.budgeted:
        budget = tree.tenants[name].budget
        assert budget is not None, "they are those that have one"
        since = start_of(budget.period, now)
        known = used.get(name, Used(since))
        kept = known.gpu_seconds if known.since >= since else 0.0
        seconds = max(0.0, now - max(at, since))
        moved[name] = Used(since, kept + milli.get(name, 0) / MILLI * seconds)
    return moved


def spent(tree: TenantTree, used: Uses) -> frozenset[TenantName]:
    """Return the tenants that have used all of their budget."""
    return frozenset(
        name
        for name in tree.budgeted
        if (budget := tree.tenants[name].budget) is not None
        and name in used
        and used[name].gpu_seconds >= budget.gpu_seconds
    )


def _of_budgeted(tree: TenantTree, held: Mapping[TenantName, int]) -> Mapping[TenantName, int]:
    """Milli-GPU of each tenant that holds some, with all below it."""
    found: dict[TenantName, int] = {}
    for leaf, milli in held.items():
        if leaf in tree:
            for name in tree.path(leaf):
                found[name] = found.get(name, 0) + milli
    return found
