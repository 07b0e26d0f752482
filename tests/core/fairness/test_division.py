"""The division: all cases of tests/scenarios/shares.json, and what must hold for any tenants."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scheduler.core.fairness.division import divide, weighted_max_min
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName
from scheduler.core.model.tenants import Tenant
from scheduler.simulator.scenarios.sharefile import ShareCase, read_shares
from tests.core.fairness.trees import Demand, divisions, gpus, quantities, tenant

CASES = read_shares(Path(__file__).parents[2] / "scenarios" / "shares.json")

Division = tuple[TenantTree, Fraction, Demand]


def wanted(tree: TenantTree, demand: Demand) -> dict[TenantName, Fraction]:
    """What each tenant may have at most: its demand up to its limit, a parent's from its children.

    Written anew here, as a loop over one tenant's children, to check the code against.
    """
    result: dict[TenantName, Fraction] = {}
    for name in reversed(tree.names):
        below = sum((result[child] for child in tree.children(name)), Fraction(0))
        amount = demand[name] if tree.is_leaf(name) else below
        limit = tree.tenants[name].limit
        result[name] = amount if limit is None else min(amount, limit)
    return result


def families(tree: TenantTree) -> list[tuple[TenantName | None, list[Tenant]]]:
    parents: list[TenantName | None] = [None, *tree.inner]
    return [(parent, [tree.tenants[n] for n in tree.children(parent)]) for parent in parents]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_cases_come_out_exactly(case: ShareCase) -> None:
    assert case.exact is not None
    assert divide(case.tree, case.total, case.demand) == case.exact


def test_there_are_38_cases() -> None:
    assert len(CASES) == 38


def test_one_large_and_ten_small_tenants_get_nine_and_a_tenth_each() -> None:
    tree = TenantTree(
        [tenant("large", weight=Fraction(90)), *(tenant(f"small{i}") for i in range(10))]
    )
    shares = divide(tree, Fraction(10), dict.fromkeys(tree.leaves, Fraction(30)))
    assert shares == gpus(large=9) | {TenantName(f"small{i}"): Fraction(1, 10) for i in range(10)}


def test_guarantees_beyond_the_cluster_are_scaled_down_in_proportion_whatever_the_priority() -> (
    None
):
    tree = TenantTree(
        [tenant("a", guarantee=Fraction(6), priority=500), tenant("b", guarantee=Fraction(2))]
    )
    assert divide(tree, Fraction(4), gpus(a=9, b=9)) == gpus(a=3, b=1)


def test_what_a_limit_leaves_goes_to_the_siblings() -> None:
    tree = TenantTree([tenant("a", limit=Fraction(1)), tenant("b"), tenant("c")])
    assert divide(tree, Fraction(9), gpus(a=9, b=9, c=9)) == gpus(a=1, b=4, c=4)


def test_a_limit_below_caps_what_the_parent_counts_as_demand() -> None:
    tree = TenantTree([tenant("a"), tenant("a1", "a", limit=Fraction(1)), tenant("b")])
    assert divide(tree, Fraction(6), gpus(a1=50, b=50)) == gpus(a=1, a1=1, b=5)


def test_demand_of_an_inner_tenant_is_that_of_its_children() -> None:
    tree = TenantTree([tenant("a"), tenant("a1", "a"), tenant("b")])
    assert divide(tree, Fraction(6), gpus(a=99, a1=1, b=9)) == gpus(a=1, a1=1, b=5)


def test_what_nobody_below_may_have_stays_with_the_parent() -> None:
    tree = TenantTree([tenant("a"), tenant("a1", "a", weight=Fraction(0), guarantee=Fraction(1))])
    assert divide(tree, Fraction(6), gpus(a1=4)) == gpus(a=4, a1=1)


@given(divisions())
def test_top_shares_add_up_to_all_there_is_or_all_that_can_be_reached(division: Division) -> None:
    tree, total, demand = division
    shares, most = divide(tree, total, demand), wanted(tree, demand)
    top = [tree.tenants[name] for name in tree.children(None)]
    reach = sum(
        (most[each.name] if each.weight else min(each.guarantee, most[each.name]) for each in top),
        Fraction(0),
    )
    assert sum((shares[each.name] for each in top), Fraction(0)) == min(total, reach)


@given(divisions())
def test_children_divide_what_their_parent_got(division: Division) -> None:
    tree, total, demand = division
    shares, most = divide(tree, total, demand), wanted(tree, demand)
    for parent in tree.inner:
        children = [tree.tenants[name] for name in tree.children(parent)]
        given_out = sum((shares[each.name] for each in children), Fraction(0))
        assert given_out <= shares[parent]
        if all(each.weight or most[each.name] <= each.guarantee for each in children):
            assert given_out == shares[parent]


@given(divisions())
def test_nobody_gets_more_than_it_wants_or_may_have(division: Division) -> None:
    tree, total, demand = division
    shares, most = divide(tree, total, demand), wanted(tree, demand)
    assert set(shares) == set(tree.names)
    assert all(0 <= shares[name] <= most[name] for name in tree.names)


@given(divisions())
def test_everybody_gets_its_guarantee_or_all_are_scaled_alike(division: Division) -> None:
    tree, total, demand = division
    shares, most = divide(tree, total, demand), wanted(tree, demand)
    for parent, family in families(tree):
        available = total if parent is None else shares[parent]
        owed = {each.name: min(each.guarantee, most[each.name]) for each in family}
        if sum(owed.values(), Fraction(0)) <= available:
            assert all(shares[name] >= amount for name, amount in owed.items())
        else:
            cut = [each for each in family if shares[each.name] < owed[each.name]]
            assert len({shares[each.name] / each.guarantee for each in cut}) == 1
            level = shares[cut[0].name] / cut[0].guarantee
            assert all(shares[e.name] <= level * e.guarantee for e in family if e not in cut)


@given(divisions())
def test_nobody_with_weight_and_demand_stays_at_zero_while_surplus_is_left_at_its_priority(
    division: Division,
) -> None:
    tree, total, demand = division
    shares, most = divide(tree, total, demand), wanted(tree, demand)
    for parent, family in families(tree):
        available = total if parent is None else shares[parent]
        for each in family:
            before = sum(
                (
                    shares[other.name]
                    if other.priority > each.priority
                    else min(other.guarantee, most[other.name])
                    for other in family
                ),
                Fraction(0),
            )
            if each.weight and most[each.name] and before < available:
                assert shares[each.name] > 0


@given(divisions())
def test_within_a_priority_surplus_is_level_but_for_who_has_all_it_wants(
    division: Division,
) -> None:
    tree, total, demand = division
    shares, most = divide(tree, total, demand), wanted(tree, demand)
    for parent, family in families(tree):
        available = total if parent is None else shares[parent]
        base = {each.name: min(each.guarantee, most[each.name]) for each in family}
        if sum(base.values(), Fraction(0)) > available:
            continue
        for hungry in family:
            if not hungry.weight or shares[hungry.name] == most[hungry.name]:
                continue
            level = (shares[hungry.name] - base[hungry.name]) / hungry.weight
            for other in family:
                extra = shares[other.name] - base[other.name]
                if other.priority == hungry.priority and other.weight:
                    assert extra / other.weight <= level
                elif other.priority < hungry.priority:
                    assert extra == 0


@given(divisions())
def test_the_order_of_the_tenants_is_irrelevant(division: Division) -> None:
    tree, total, demand = division
    again = TenantTree(reversed(list(tree.tenants.values())))
    assert divide(again, total, dict(reversed(demand.items()))) == divide(tree, total, demand)


@given(divisions())
def test_age_is_irrelevant(division: Division) -> None:
    tree, total, demand = division
    reborn = TenantTree(
        replace(each, created=float(-i)) for i, each in enumerate(tree.tenants.values())
    )
    assert divide(reborn, total, demand) == divide(tree, total, demand)


@given(divisions(), st.fractions(Fraction(1, 50), 50, max_denominator=99))
def test_twice_of_everything_gives_twice_the_shares(division: Division, factor: Fraction) -> None:
    tree, total, demand = division
    scaled = TenantTree(
        replace(
            each,
            guarantee=each.guarantee * factor,
            limit=None if each.limit is None else each.limit * factor,
        )
        for each in tree.tenants.values()
    )
    larger = divide(scaled, total * factor, {name: want * factor for name, want in demand.items()})
    assert larger == {name: share * factor for name, share in divide(tree, total, demand).items()}


@given(divisions(), st.fractions(Fraction(1, 50), 50, max_denominator=99))
def test_only_the_ratio_of_weights_counts(division: Division, factor: Fraction) -> None:
    tree, total, demand = division
    scaled = TenantTree(replace(t, weight=t.weight * factor) for t in tree.tenants.values())
    assert divide(scaled, total, demand) == divide(tree, total, demand)


@given(divisions(), quantities())
def test_more_to_divide_makes_nobody_poorer(division: Division, more: Fraction) -> None:
    tree, total, demand = division
    before, after = divide(tree, total, demand), divide(tree, total + more, demand)
    assert all(after[name] >= before[name] for name in tree.names)


@given(divisions(), quantities(), st.data())
def test_to_want_more_never_brings_less(
    division: Division, more: Fraction, data: st.DataObject
) -> None:
    tree, total, demand = division
    leaf = data.draw(st.sampled_from(tree.leaves))
    before = divide(tree, total, demand)
    after = divide(tree, total, {**demand, leaf: demand[leaf] + more})
    assert after[leaf] >= before[leaf]


@given(divisions(), quantities(), st.data())
def test_to_want_more_than_one_gets_anyway_brings_nothing(
    division: Division, more: Fraction, data: st.DataObject
) -> None:
    tree, total, demand = division
    tops = [name for name in tree.leaves if tree.tenants[name].parent is None]
    assume(tops)
    leaf = data.draw(st.sampled_from(tops))
    before = divide(tree, total, demand)
    assume(before[leaf] < demand[leaf])
    after = divide(tree, total, {**demand, leaf: demand[leaf] + more})
    if tree.tenants[leaf].guarantee <= demand[leaf]:
        assert after == before


@given(st.lists(st.tuples(quantities(), quantities(90)), max_size=8), quantities(40))
def test_filling_gives_everything_or_fills_everybody(
    parts: list[tuple[Fraction, Fraction]], amount: Fraction
) -> None:
    caps, weights = [cap for cap, _ in parts], [weight for _, weight in parts]
    given_out = weighted_max_min(amount, caps, weights)
    reach = sum((cap for cap, weight in parts if weight), Fraction(0))
    assert sum(given_out, Fraction(0)) == min(amount, reach)
    assert all(0 <= got <= cap for got, cap in zip(given_out, caps, strict=True))


def test_a_thousand_levels_of_odd_weights_are_divided() -> None:
    chain = [
        tenant(f"t{i}", f"t{i - 1}" if i else None, weight=Fraction(7, 3)) for i in range(1000)
    ]
    beside = [
        tenant(f"u{i}", f"t{i - 1}" if i else None, weight=Fraction(i + 1, 11)) for i in range(1000)
    ]
    tree = TenantTree([*chain, *beside])
    shares = divide(tree, Fraction(10), dict.fromkeys(tree.leaves, Fraction(3)))
    assert sum((shares[leaf] for leaf in tree.leaves), Fraction(0)) == 10
