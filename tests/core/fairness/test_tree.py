"""The tree: who is below whom, what is refused, sums from the bottom up."""

from fractions import Fraction

import pytest
from hypothesis import given

from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.errors import InvalidTenants
from scheduler.core.model.ids import TenantName
from scheduler.core.model.tenants import Tenant
from tests.core.fairness.trees import gpus, tenant, tenant_lists

FAMILY = [
    tenant("physics", created=2.0),
    tenant("biology", created=1.0),
    tenant("optics", "physics", created=5.0),
    tenant("atoms", "physics", created=5.0),
    tenant("cells", "biology"),
]


def test_siblings_stand_by_age_then_name() -> None:
    tree = TenantTree(FAMILY)
    assert tree.children(None) == ("biology", "physics")
    assert tree.children(FAMILY[0].name) == ("atoms", "optics")


def test_only_who_has_nobody_below_is_a_leaf() -> None:
    tree = TenantTree(FAMILY)
    assert set(tree.leaves) == {"atoms", "optics", "cells"}
    assert set(tree.inner) == {"physics", "biology"}


def test_a_path_goes_from_the_top_down_to_the_tenant() -> None:
    tree = TenantTree(FAMILY)
    assert tree.path(FAMILY[2].name) == ("physics", "optics")
    assert tree.path(FAMILY[0].name) == ("physics",)


def test_amounts_add_up_to_the_top_and_strangers_count_for_nobody() -> None:
    totals = TenantTree(FAMILY).roll_up(gpus(optics=2, atoms="0.5", gone=7), Fraction(0))
    assert totals == gpus(physics="2.5", biology=0, optics=2, atoms="0.5", cells=0)


def test_pods_left_in_an_inner_tenant_count_there() -> None:
    totals = TenantTree(FAMILY).roll_up({FAMILY[0].name: 300, FAMILY[2].name: 500}, 0)
    assert totals[FAMILY[0].name] == 800


def test_a_charge_is_added_on_the_whole_path() -> None:
    tree = TenantTree(FAMILY)
    totals = tree.roll_up({FAMILY[2].name: 500}, 0)
    assert tree.charge(totals, FAMILY[3].name, 250) == ("physics", "atoms")
    assert (totals[FAMILY[0].name], totals[FAMILY[3].name]) == (750, 250)


def test_no_tenants_are_a_tree_too() -> None:
    tree = TenantTree([])
    assert (len(tree), tree.leaves, tree.children(None)) == (0, (), ())


@pytest.mark.parametrize(
    ("tenants", "says"),
    [
        ([tenant("a"), tenant("a")], '"a" is there twice'),
        ([tenant("a", "b")], 'its parent "b" does not exist'),
        ([tenant("a", "a")], '"a" is above itself (a → a)'),
        ([tenant("top"), tenant("a", "b"), tenant("b", "c"), tenant("c", "b")], "(b → c → b)"),
        ([tenant("")], "has no name"),
        ([tenant("a/b")], "without a slash"),
        ([tenant("a", guarantee=Fraction(-1))], '"a": guarantee must not be below 0'),
        ([tenant("a", weight=Fraction(-1, 2))], '"a": weight must not be below 0'),
        ([tenant("a", limit=Fraction(-3))], '"a": limit must not be below 0'),
    ],
)
def test_what_is_no_tree_is_refused_in_one_sentence(tenants: list[Tenant], says: str) -> None:
    with pytest.raises(InvalidTenants) as caught:
        TenantTree(tenants)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_long_cycle_is_told_in_a_short_sentence() -> None:
    ring = [tenant(f"t{i}", f"t{(i + 1) % 500}") for i in range(500)]
    with pytest.raises(InvalidTenants) as caught:
        TenantTree(ring)
    assert len(str(caught.value)) < 200


def test_a_tree_may_be_a_thousand_levels_deep() -> None:
    chain = [tenant(f"t{i}", f"t{i - 1}" if i else None) for i in range(1000)]
    tree = TenantTree(reversed(chain))
    assert tree.leaves == ("t999",)
    assert len(tree.path(tree.leaves[0])) == 1000
    assert set(tree.roll_up({tree.leaves[0]: 7}, 0).values()) == {7}


@given(tenant_lists())
def test_the_order_of_the_input_plays_no_part(tenants: list[Tenant]) -> None:
    one = TenantTree(tenants)
    other = TenantTree(reversed(tenants))
    assert one.names == other.names
    assert all(one.children(name) == other.children(name) for name in (None, *one.names))


@given(tenant_lists())
def test_every_parent_stands_before_its_children(tenants: list[Tenant]) -> None:
    tree = TenantTree(tenants)
    place = {name: i for i, name in enumerate(tree.names)}
    for each in tenants:
        if each.parent is not None:
            assert place[each.parent] < place[each.name]
            assert tree.depth[each.name] == tree.depth[each.parent] + 1


def test_what_a_user_holds_that_is_not_in_the_tree_counts_for_its_tenant() -> None:
    tree = TenantTree([tenant("top"), tenant("lab", "top")])
    held = {TenantName("lab/jo"): 3, TenantName("lab"): 1, TenantName("gone/jo"): 5}
    assert tree.roll_up(held, 0) == {"top": 4, "lab": 4}
