"""The exact division: what each tenant is due now, in GPUs, as rational numbers.

Among siblings each first gets min(guarantee, demand, limit). If that is more than there is, they
share it by weighted max-min with the guarantees as weights. Otherwise the surplus goes by priority,
highest first, within one priority by weighted max-min with the weights, never beyond
min(demand, limit). A parent's demand is the sum of its children's, each capped by its limit; what
the parent is given is what its children divide.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cmp_to_key
from itertools import groupby

from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName
from scheduler.core.model.tenants import Tenant

ZERO = Fraction(0)


def divide(
    tree: TenantTree, total: Fraction, demand: Mapping[TenantName, Fraction]
) -> dict[TenantName, Fraction]:
    """Return every tenant's fair share of `total` GPUs, exactly, at every level.

    `demand` is in GPUs, per leaf (0 where it is missing); entries of inner tenants are not read,
    as theirs is the sum of their children's. Amounts must not be below 0.
    """
    wanted = _capped_demand(tree, demand)
    shares: dict[TenantName, Fraction] = {}
    parents: tuple[TenantName | None, ...] = (None, *tree.inner)
    for parent in parents:
        siblings = [tree.tenants[name] for name in tree.children(parent)]
        available = total if parent is None else shares[parent]
        given = _among_siblings(siblings, available, [wanted[each.name] for each in siblings])
        shares.update(zip((each.name for each in siblings), given, strict=True))
    return shares


def weighted_max_min(
    amount: Fraction, caps: Sequence[Fraction], weights: Sequence[Fraction]
) -> list[Fraction]:
    """Divide `amount` in proportion to `weights`, nobody above its cap, cut-offs to the others.

    Weight 0 gets nothing. Water-filling over caps sorted by cap ÷ weight: O(n log n), on integers
    over one common denominator, so that large odd weights stay cheap.
    """
    if sum((cap for cap, weight in zip(caps, weights, strict=True) if weight), ZERO) <= amount:
        return [cap if weight else ZERO for cap, weight in zip(caps, weights, strict=True)]
    unit, (water, *sizes) = _as_integers([amount, *caps])
    _, widths = _as_integers(weights)

    def earlier_full(one: int, other: int) -> int:
        return sizes[one] * widths[other] - sizes[other] * widths[one]

    order = sorted((i for i, width in enumerate(widths) if width), key=cmp_to_key(earlier_full))
    given = [ZERO] * len(caps)
    width = sum(widths)
    for position, i in enumerate(order):
        if sizes[i] * width > water * widths[i]:
            level = Fraction(water, width * unit)
            for j in order[position:]:
                given[j] = level * widths[j]
            break
        given[i] = caps[i]
        water -= sizes[i]
        width -= widths[i]
    return given


def _as_integers(values: Sequence[Fraction]) -> tuple[int, list[int]]:
    """Common denominator, and the numerators over it."""
    unit = math.lcm(*(value.denominator for value in values))
    return unit, [value.numerator * (unit // value.denominator) for value in values]


def _capped_demand(
    tree: TenantTree, demand: Mapping[TenantName, Fraction]
) -> dict[TenantName, Fraction]:
    wanted = {name: demand.get(name, ZERO) if tree.is_leaf(name) else ZERO for name in tree.names}
    for name in reversed(tree.names):
        tenant = tree.tenants[name]
        if tenant.limit is not None:
            wanted[name] = min(wanted[name], tenant.limit)
        if tenant.parent is not None:
            wanted[tenant.parent] += wanted[name]
    return wanted


def _among_siblings(
    siblings: Sequence[Tenant], available: Fraction, wanted: Sequence[Fraction]
) -> list[Fraction]:
    guarantees = [each.guarantee for each in siblings]
    given = [min(pair) for pair in zip(guarantees, wanted, strict=True)]
    surplus = available - sum(given, ZERO)
    if surplus < 0:
        return weighted_max_min(available, given, guarantees)
    # Sorting is stable and no group looks at the order inside it.
    ranked = sorted(range(len(siblings)), key=lambda i: -siblings[i].priority)
    for _, members in groupby(ranked, key=lambda i: siblings[i].priority):
        if not surplus:
            break
        group = list(members)
        missing = [wanted[i] - given[i] for i in group]
        extra = weighted_max_min(surplus, missing, [siblings[i].weight for i in group])
        for i, more in zip(group, extra, strict=True):
            given[i] += more
        surplus -= sum(extra, ZERO)
    return given
