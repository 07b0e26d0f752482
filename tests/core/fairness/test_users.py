"""Users below a tenant: the tree that they make, and how a tenant's share is divided among them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.fairness.division import divide
from scheduler.core.fairness.lag import slopes
from scheduler.core.fairness.limits import over_guarantee
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName
from scheduler.core.model.tenants import tenant_part, user_leaf, user_part
from tests.core.fairness.trees import Demand, divisions, quantities, tenant

TEAM = TenantName("team")
JO, AL = user_leaf(TEAM, "jo"), user_leaf(TEAM, "al")


def team(guarantee: int = 0) -> TenantTree:
    shared = tenant("team", by_user=True, guarantee=Fraction(guarantee))
    return TenantTree([shared, tenant("other")])


def test_a_leaf_is_named_after_tenant_and_user() -> None:
    assert JO == "team/jo"
    assert (tenant_part(JO), user_part(JO)) == ("team", "jo")
    assert (tenant_part(TEAM), user_part(TEAM)) == ("team", "")
    assert user_leaf(TEAM, "") not in (TEAM, JO)


def test_users_stand_below_their_tenant_which_still_takes_pods() -> None:
    tree = team().with_users([JO, AL])
    assert tree.children(TEAM) == (AL, JO)
    assert set(tree.users) == {AL, JO}
    assert tree.takes_pods(TEAM)
    assert tree.leaf_of(TEAM, "jo") == JO
    assert tree.leaf_of(TenantName("other"), "jo") == "other"


@pytest.mark.parametrize(
    "leaf", ["other/jo", "nobody/jo", "team", "nobody"], ids=["not shared", "none", "itself", "no"]
)
def test_nobody_else_comes_into_the_tree(leaf: str) -> None:
    tree = team()
    assert tree.with_users([TenantName(leaf)]) is tree


def test_a_tenant_with_tenants_below_it_has_no_users() -> None:
    tree = TenantTree([tenant("team", by_user=True), tenant("part", "team")])
    assert not tree.takes_pods(TEAM)
    assert tree.with_users([JO]) is tree
    assert tree.leaf_of(TEAM, "jo") == TEAM


def test_users_that_go_leave_the_tree_as_it_was() -> None:
    tree = team().with_users([JO, AL]).without_users({JO, AL})
    assert tree.names == team().names
    assert tree.is_leaf(TEAM)


def test_pods_that_can_t_be_stopped_fit_into_the_guarantee_of_the_tenant_whoever_s_they_are() -> (
    None
):
    tree = team(guarantee=2).with_users([JO, AL])
    fixed = tree.roll_up({JO: 1500}, 0)
    assert over_guarantee(tree, fixed, leaf=AL, milli=500) is None
    assert over_guarantee(tree, fixed, leaf=AL, milli=501) == TEAM


@st.composite
def split(draw: st.DrawFn) -> tuple[TenantTree, TenantTree, Fraction, Demand, Demand]:
    """Tenants, and the same with one of them shared by users who ask for its demand together."""
    plain, total, demand = draw(divisions())
    shared = draw(st.sampled_from(plain.leaves))
    tenants = [
        tenant(
            each.name,
            each.parent,
            guarantee=each.guarantee,
            weight=each.weight,
            limit=each.limit,
            priority=each.priority,
            created=each.created,
            by_user=each.name == shared,
        )
        for each in plain.tenants.values()
    ]
    parts = draw(st.lists(quantities(9), min_size=1, max_size=5))
    users = {user_leaf(shared, f"u{number}"): part for number, part in enumerate(parts)}
    demand = {**demand, shared: sum(parts, Fraction(0))}
    tree = TenantTree(tenants).with_users(users)
    return plain, tree, total, demand, {**demand, **users}


@given(split())
def test_what_users_are_due_sums_to_their_tenant_s_share_and_nobody_else_is_touched(
    case: tuple[TenantTree, TenantTree, Fraction, Demand, Demand],
) -> None:
    plain, tree, total, demand, by_user = case
    before, after = divide(plain, total, demand), divide(tree, total, by_user)
    assert {name: after[name] for name in plain.names} == before
    (shared,) = {tenant_part(leaf) for leaf in tree.users}
    assert sum((after[leaf] for leaf in tree.users), Fraction(0)) == after[shared]


@given(split())
def test_among_users_nobody_has_less_than_one_who_asks_for_no_more(
    case: tuple[TenantTree, TenantTree, Fraction, Demand, Demand],
) -> None:
    _, tree, total, _, by_user = case
    shares = divide(tree, total, by_user)
    most = max(shares[leaf] for leaf in tree.users)
    assert all(shares[leaf] in (most, by_user[leaf]) for leaf in tree.users)


@given(split())
def test_the_lags_of_users_sum_to_zero_and_their_tenant_s_is_as_if_it_had_none(
    case: tuple[TenantTree, TenantTree, Fraction, Demand, Demand],
) -> None:
    plain, tree, total, demand, by_user = case
    shared = tenant_part(tree.users[0])
    held = {leaf: amount / 2 for leaf, amount in by_user.items() if leaf != shared}
    # In the tree without users what they hold counts for their tenant.
    in_all = {**held, shared: Fraction(0)}
    before = slopes(plain, shares=divide(plain, total, demand), held=in_all)
    after = slopes(tree, shares=divide(tree, total, by_user), held=held)
    assert all(abs(after[name] - before[name]) < 1e-9 for name in plain.names)
    assert abs(sum(after[leaf] for leaf in tree.users)) < 1e-9
