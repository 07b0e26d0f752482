"""Contributed guarantees: what a tenant and all below it brought, and nothing else."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.fairness.division import divide
from scheduler.core.fairness.guarantees import guaranteed
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName
from scheduler.core.model.tenants import Brought
from tests.core.fairness.trees import tenant


def brought(**milli: int) -> dict[TenantName, Brought]:
    return {TenantName(name): Brought(amount) for name, amount in milli.items()}


def now(tree: TenantTree, **milli: int) -> dict[str, Fraction]:
    resolved = guaranteed(tree, brought(**milli))
    return {name: each.guarantee for name, each in resolved.tenants.items()}


FAMILY = TenantTree(
    [
        tenant("uni", contributed=True),
        tenant("lab", "uni", contributed=True),
        tenant("desk", "uni", guarantee=Fraction(1)),
        tenant("firm", guarantee=Fraction(2)),
    ]
)


@pytest.mark.parametrize(
    ("milli", "uni", "lab"),
    [
        ({}, "0", "0"),
        ({"lab": 8000}, "8", "8"),
        ({"uni": 1500, "lab": 142}, "1.642", "0.142"),
        # Its machine stands below the parent all the same, though its own guarantee is an amount.
        ({"desk": 4000}, "4", "0"),
        ({"firm": 4000, "nobody": 9000}, "0", "0"),
    ],
)
def test_a_parents_is_what_it_and_all_below_it_brought(
    milli: dict[str, int], uni: str, lab: str
) -> None:
    assert now(FAMILY, **milli) == {
        "uni": Fraction(uni),
        "lab": Fraction(lab),
        "desk": Fraction(1),
        "firm": Fraction(2),
    }


def test_it_is_the_same_tree_until_something_moves() -> None:
    amounts = TenantTree([tenant("a", guarantee=Fraction(3))])
    assert guaranteed(amounts, brought(a=8000)) is amounts
    assert guaranteed(FAMILY, {}) is FAMILY
    eight = guaranteed(FAMILY, brought(lab=8000))
    assert guaranteed(eight, brought(lab=8000)) is eight
    assert now(eight, lab=7000)["lab"] == 7
    assert guaranteed(eight, {}).tenants == FAMILY.tenants


@given(st.lists(st.integers(0, 9000), min_size=1, max_size=6), st.data())
def test_whoever_wants_what_it_brought_is_due_it(milli: list[int], data: st.DataObject) -> None:
    """At any depth, and whatever the others want."""
    names = [TenantName(f"t{number}") for number in range(len(milli))]
    parents = [data.draw(st.sampled_from([None, *names[:number]])) for number in range(len(milli))]
    pairs = zip(names, parents, strict=True)
    tree = TenantTree(tenant(name, above, contributed=True) for name, above in pairs)
    own = dict(zip(names, milli, strict=True))
    tree = guaranteed(tree, {name: Brought(amount) for name, amount in own.items()})
    demand = {leaf: Fraction(data.draw(st.integers(0, 20_000)), 1000) for leaf in tree.leaves}
    shares = divide(tree, Fraction(sum(milli), 1000), demand)
    for leaf in tree.leaves:
        assert shares[leaf] >= min(demand[leaf], Fraction(own[leaf], 1000))
