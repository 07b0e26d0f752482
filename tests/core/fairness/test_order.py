"""Turns: who goes next, and what a run of turns adds up to."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.fairness.division import divide
from scheduler.core.fairness.lag import Lags
from scheduler.core.fairness.order import Turns
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName
from scheduler.core.model.tenants import Tenant
from tests.core.fairness.trees import tenant, tenant_lists

A, B, C, D = (TenantName(name) for name in "abcd")
Milli = dict[TenantName, int]


def turns(
    tenants: list[Tenant],
    total: int,
    *,
    demand: dict[TenantName, int] | None = None,
    held: Milli | None = None,
    lags: dict[TenantName, float] | None = None,
) -> Turns:
    tree = TenantTree(tenants)
    wants = demand or dict.fromkeys(tree.leaves, 100)
    shares = divide(tree, Fraction(total), {name: Fraction(want) for name, want in wants.items()})
    return Turns(tree, shares=shares, lags=Lags(lags or {}, 0.0), held=held or {})


def served(line: Turns, candidates: Milli, milli_free: int) -> list[TenantName]:
    """Give out what is free, turn by turn, to queues that never end."""
    order: list[TenantName] = []
    while (leaf := line.next(candidates)) is not None and milli_free >= candidates[leaf]:
        line.took(leaf, candidates[leaf])
        milli_free -= candidates[leaf]
        order.append(leaf)
    return order


@pytest.mark.parametrize(
    ("tenants", "standing", "first"),
    [
        pytest.param([tenant("a"), tenant("b")], {}, A, id="equals go by name"),
        pytest.param(
            [tenant("a", created=2.0), tenant("b", created=1.0)], {}, B, id="the older one first"
        ),
        pytest.param(
            [tenant("a"), tenant("b")], {"held": {A: 500}}, B, id="who holds less of its share"
        ),
        pytest.param(
            [tenant("a"), tenant("b")], {"lags": {A: -5.0, B: 5.0}}, B, id="who is owed more"
        ),
        pytest.param(
            [tenant("a", weight=Fraction(9)), tenant("b")],
            {"lags": {A: 90.0, B: 20.0}},
            B,
            id="seconds of its own share count, not GPU-seconds",
        ),
        pytest.param(
            [tenant("a"), tenant("b", guarantee=Fraction(1))],
            {"lags": {A: 900.0, B: -900.0}},
            B,
            id="inside its guarantee before all others",
        ),
        pytest.param(
            [tenant("a"), tenant("b", guarantee=Fraction(1))],
            {"lags": {A: 900.0, B: -900.0}, "held": {B: 500}},
            A,
            id="a guarantee that the next request would pass is used up",
        ),
        pytest.param(
            [tenant("a"), tenant("b", priority=101, guarantee=Fraction(2), weight=Fraction(0))],
            {"held": {B: 2000}},
            A,
            id="no surplus without weight, whatever the priority",
        ),
        pytest.param(
            [tenant("a"), tenant("b", priority=101)],
            {"demand": {A: 9, B: 1}, "lags": {A: 300.0, B: -80.0}},
            B,
            id="priority before lag among those who are owed",
        ),
        pytest.param(
            [tenant("a", guarantee=Fraction(8)), tenant("b", guarantee=Fraction(8), priority=101)],
            {},
            B,
            id="guarantees beyond the cluster: priority first",
        ),
        pytest.param(
            [tenant("a", guarantee=Fraction(8)), tenant("b", guarantee=Fraction(8), priority=101)],
            {"held": {B: 2000}, "lags": {A: 1.0, B: -1.0}},
            A,
            id="guarantees beyond the cluster: nobody takes more than its part",
        ),
        pytest.param(
            [tenant("a", weight=Fraction(0)), tenant("b")],
            {"lags": {B: -9000.0}},
            B,
            id="a share of 0 comes last",
        ),
        pytest.param(
            [tenant("a", weight=Fraction(0)), tenant("b", priority=1), tenant("c", priority=200)],
            {"held": {B: 900}, "demand": {A: 9, B: 9, C: 9}, "lags": {C: -9000.0}},
            C,
            id="a share of 0 by priority comes last too",
        ),
    ],
)
def test_who_goes_first(tenants: list[Tenant], standing: dict[str, Milli], first: str) -> None:
    line = turns(tenants, 4, **standing)  # type: ignore[arg-type]  # a table of two kinds of dict
    assert line.next(dict.fromkeys((each.name for each in tenants), 1000)) == first


def test_among_shares_of_zero_who_holds_least_for_its_weight_and_without_weight_last() -> None:
    tenants = [
        tenant("a", weight=Fraction(0), created=-1.0),
        tenant("b", weight=Fraction(1)),
        tenant("c", weight=Fraction(3)),
        tenant("d", priority=200),
    ]
    line = turns(tenants, 4, held={D: 4000})
    assert Counter(served(line, {A: 500, B: 500, C: 500}, 4000)) == {C: 6, B: 2}


def test_without_candidates_it_is_nobodys_turn() -> None:
    assert turns([tenant("a")], 4).next({}) is None


def test_only_leaves_have_turns() -> None:
    line = turns([tenant("a"), tenant("b", "a")], 4)
    with pytest.raises(KeyError):
        line.next({A: 500})


def test_candidates_come_change_and_go_between_turns() -> None:
    line = turns([tenant("a", guarantee=Fraction(1)), tenant("b", guarantee=Fraction(1))], 2)
    assert line.next({A: 1000}) == A
    assert line.next({A: 1000, B: 1000}) == A
    assert line.next({A: 1001, B: 1000}) == B
    assert line.next({A: 1001}) == A
    assert line.next({}) is None
    assert line.next({B: 1000}) == B


def test_a_turn_that_was_not_used_moves_nobody() -> None:
    line = turns([tenant("a"), tenant("b")], 4)
    assert line.next({A: 1000, B: 1000}) == A
    before = line.owed_seconds(A)
    assert line.next({B: 1000}) == B
    assert line.owed_seconds(A) == before
    assert line.next({A: 500, B: 1000}) == A


def test_a_department_goes_by_its_own_standing_and_then_the_teams_by_theirs() -> None:
    tenants = [tenant("a"), tenant("b"), tenant("c", "a"), tenant("d", "a")]
    line = turns(tenants, 4, held={C: 500})
    assert line.next({B: 500, C: 500, D: 500}) == B
    line.took(B, 1000)
    assert line.next({B: 500, C: 500, D: 500}) == D
    assert line.held == {A: 500, B: 1000, C: 500, D: 0}


def test_a_departments_guarantee_counts_the_request_that_would_come_next() -> None:
    tenants = [
        tenant("a", guarantee=Fraction(1), created=1.0),
        tenant("b"),
        tenant("c", "a"),
        tenant("d", "a"),
    ]
    lags: dict[TenantName, float] = {A: -9000.0, B: 9000.0, C: 100.0}
    line = turns(tenants, 4, lags=lags)
    assert line.next({B: 500, C: 2000, D: 500}) == B
    assert line.next({B: 500, C: 1000, D: 500}) == C


def test_one_tenant_does_not_take_all_that_is_free_at_one_moment() -> None:
    line = turns([tenant("a"), tenant("b")], 100)
    assert Counter(served(line, {A: 1000, B: 1000}, 100_000)) == {A: 50, B: 50}


def test_without_a_horizon_one_tenant_would_take_it_all() -> None:
    tree = TenantTree([tenant("a"), tenant("b")])
    shares = dict.fromkeys(tree.leaves, Fraction(50))
    line = Turns(tree, shares=shares, lags=Lags({A: 1.0, B: -1.0}, 0.0), held={}, horizon=0.0)
    assert Counter(served(line, {A: 1000, B: 1000}, 100_000)) == {A: 100}


@given(
    st.lists(st.integers(1, 100), min_size=2, max_size=6),
    st.integers(1, 200),
    st.sampled_from([125, 250, 500, 1000]),
)
def test_what_is_free_at_one_moment_is_divided_as_the_shares_within_one_request(
    weights: list[int], cards: int, milli: int
) -> None:
    tree = TenantTree(tenant(f"t{i}", weight=Fraction(w)) for i, w in enumerate(weights))
    shares = divide(tree, Fraction(cards), dict.fromkeys(tree.leaves, Fraction(1000)))
    line = Turns(tree, shares=shares, lags=Lags({}, 0.0), held={})
    got = Counter(served(line, dict.fromkeys(tree.leaves, milli), cards * 1000))
    # The last to go stood at or below its share; so nobody is above it by a request or more.
    for leaf in tree.leaves:
        assert got[leaf] * milli < shares[leaf] * 1000 + milli + Fraction(1, 100)


@st.composite
def rounds(draw: st.DrawFn) -> tuple[list[Tenant], list[tuple[Milli, bool]]]:
    tenants = draw(tenant_lists(largest=7))
    leaves = TenantTree(tenants).leaves
    heads = st.dictionaries(st.sampled_from(leaves), st.integers(0, 3000))
    return tenants, draw(st.lists(st.tuples(heads, st.booleans()), max_size=12))


@given(rounds())
def test_turns_with_memory_go_like_turns_begun_anew(
    data: tuple[list[Tenant], list[tuple[Milli, bool]]],
) -> None:
    tenants, steps = data
    tree = TenantTree(tenants)
    lags = Lags({name: float(len(name) * 7 % 5 - i) for i, name in enumerate(tree.names)}, 0.0)
    shares = divide(tree, Fraction(10), dict.fromkeys(tree.leaves, Fraction(8)))
    line = Turns(tree, shares=shares, lags=lags, held={})
    held: Milli = {}
    for candidates, takes in steps:
        leaf = line.next(candidates)
        assert leaf == Turns(tree, shares=shares, lags=lags, held=held).next(candidates)
        if leaf is None:
            assert not candidates
        elif takes:
            line.took(leaf, candidates[leaf])
            held[leaf] = held.get(leaf, 0) + candidates[leaf]
    assert line.held == tree.roll_up(held, 0)


def test_turns_reach_the_bottom_of_a_thousand_levels() -> None:
    chain = [tenant(f"t{i}", f"t{i - 1}" if i else None) for i in range(1000)]
    line = turns(chain, 4)
    leaf = TenantName("t999")
    assert served(line, {leaf: 1000}, 3000) == [leaf] * 3
    assert line.held[TenantName("t0")] == 3000
