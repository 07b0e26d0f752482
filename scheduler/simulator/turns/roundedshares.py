"""KAI-Scheduler's division of GPUs: surplus in whole units, what is left over to the older queue.

Among siblings each first gets min(guarantee, limit, request), whether or not there is so much. The
surplus goes by priority in proportion to weights, cut to whole GPUs for who wants more than its
part; what was cut off then goes round in units of one, to the largest cut-off first, then to the
older. KAI-Scheduler, commit d5bc503a, pkg/scheduler/plugins/proportion/resource_division.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import floor

from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName
from scheduler.core.model.tenants import Tenant

ZERO = Fraction(0)


def rounded_shares(
    tree: TenantTree, total: Fraction, demand: Mapping[TenantName, Fraction]
) -> dict[TenantName, Fraction]:
    """Return what KAI calls every tenant's fair share of `total` GPUs; `demand` by leaf, in GPUs.

    Shares may add up to more than there is, and to nothing for tenants that have weight and demand.
    """
    asked = tree.roll_up({name: demand.get(name, ZERO) for name in tree.leaves}, ZERO)
    shares: dict[TenantName, Fraction] = {}
    parents: tuple[TenantName | None, ...] = (None, *tree.inner)
    for parent in parents:
        available = total if parent is None else shares[parent]
        siblings = [tree.tenants[name] for name in tree.children(parent)]
        shares.update(_Division(siblings, asked).divide(available))
    return shares


class _Division:
    """One division among siblings; `cut` is what rounding took away, by tenant."""

    def __init__(self, siblings: Sequence[Tenant], asked: Mapping[TenantName, Fraction]) -> None:
        self._siblings = siblings
        self._wanted = {
            each.name: asked[each.name] if each.limit is None else min(asked[each.name], each.limit)
            for each in siblings
        }
        self._given = {each.name: min(each.guarantee, self._wanted[each.name]) for each in siblings}
        self._cut: dict[TenantName, Fraction] = {}

    def divide(self, available: Fraction) -> Mapping[TenantName, Fraction]:
        surplus = available - sum(self._given.values(), ZERO)
        priorities = sorted({each.priority for each in self._siblings}, reverse=True)
        groups = [[each for each in self._siblings if each.priority == p] for p in priorities]
        for group in groups:
            surplus = self._by_weight(group, surplus)
        for group in groups:
            surplus = self._by_unit(group, surplus)
        return self._given

    def _lacks(self, tenant: Tenant) -> Fraction:
        return self._wanted[tenant.name] - self._given[tenant.name]

    def _by_weight(self, group: Sequence[Tenant], surplus: Fraction) -> Fraction:
        again = True
        while again and surplus > 0:
            again, parts = False, surplus
            hungry = [each for each in group if each.weight and self._lacks(each) > 0]
            weights = sum((each.weight for each in hungry), ZERO)
            for each in hungry:
                part, lacks = parts * each.weight / weights, self._lacks(each)
                more = lacks if lacks <= part else Fraction(floor(part))
                self._cut[each.name] = part - more
                again = again or lacks < part
                self._given[each.name] += more
                surplus -= more
        return surplus

    def _by_unit(self, group: Sequence[Tenant], surplus: Fraction) -> Fraction:
        # Siblings stand in the order of their age, and sorting keeps it.
        for each in sorted(group, key=lambda each: -self._cut.get(each.name, ZERO)):
            if surplus > 0 and each.name in self._cut and self._lacks(each) > 0:
                more = min(Fraction(1), surplus)
                self._given[each.name] += more
                surplus -= more
        return surplus
