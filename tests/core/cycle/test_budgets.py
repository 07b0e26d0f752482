"""Who is over budget goes last: what a round decides, and more rounds change nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.fairness.budgets import is_spent, last_in_line, topmost
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import TenantName
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.tenants import Tenant
from scheduler.core.model.verdicts import Reason
from tests.core.cycle.rounds import PACKING, carry_out
from tests.core.cycle.stopping import PATIENCE, Stage
from tests.core.fairness.trees import tenant_lists
from tests.support.builders import node, pod, share, tenant, whole

A, B = tenant("a"), tenant("b", created=1.0)


def names(*spent: str) -> frozenset[TenantName]:
    return frozenset(map(TenantName, spent))


def decide(ledger: Ledger, tenants: Iterable[Tenant], pending: Sequence[Pod], *spent: str) -> Plan:
    snapshot = replace(ledger.snapshot(tenants=tenants), spent=names(*spent))
    return run_cycle(snapshot, pending, 0.0, PACKING)


def settled(
    cards: int, tenants: Sequence[Tenant], pending: Sequence[Pod], *spent: str
) -> tuple[list[str], Plan]:
    """Who is admitted, once nothing changes any more, and the first plan."""
    ledger = Ledger([node("n", cards)])
    plan = decide(ledger, tenants, pending, *spent)
    carry_out(ledger, plan)
    waiting = [hold.pod for hold in plan.holds]
    for _ in range(5):
        later = decide(ledger, tenants, waiting, *spent)
        assert later.admits == ()
    return sorted(admit.pod.name for admit in plan.admits), plan


def of(owner: str, count: int, **changes: Any) -> list[Pod]:
    return [
        replace(pod(f"{owner}{number}", whole(), owner, created=float(number)), **changes)
        for number in range(count)
    ]


ROOT = tenant("root", limit=3)
FAMILY = [ROOT, tenant("a", "root"), tenant("b", "root"), tenant("c")]


@pytest.mark.parametrize(
    ("tenants", "wants", "spent", "admitted"),
    [
        pytest.param([A, B], "aaaabbbb", "", "a0 a1 b0 b1", id="nobody"),
        pytest.param([A, B], "aaaabbbb", "a", "b0 b1 b2 b3", id="others first, all of it"),
        pytest.param([A, B], "aaaab", "a", "a0 a1 a2 b0", id="what others leave"),
        pytest.param([A, B], "aaaa", "a", "a0 a1 a2 a3", id="all of an idle cluster"),
        pytest.param([A, B], "aaaabbbb", "a b", "a0 a1 b0 b1", id="all are over: alike"),
        pytest.param(
            [tenant("a", guarantee=4), B], "aaaabbbb", "a", "b0 b1 b2 b3", id="no guarantee"
        ),
        pytest.param(
            [tenant("a", priority=900), B], "aabbbb", "a", "b0 b1 b2 b3", id="no priority"
        ),
        pytest.param(
            [tenant("b", weight=0), A], "aaaabbbb", "a", "b0 b1 b2 b3", id="after weight 0, too"
        ),
        pytest.param(FAMILY, "aaaac", "root", "a0 a1 a2 c0", id="of all below it, to its limit"),
        pytest.param(FAMILY, "aabbcccc", "a", "b0 b1 c0 c1", id="its parent gets nothing for it"),
        pytest.param(FAMILY, "aaabb", "a", "a0 b0 b1", id="the limit above it still holds"),
        pytest.param(FAMILY, "aabbcc", "a root", "a0 b0 c0 c1", id="it and the one above it"),
    ],
)
def test_who_starts(tenants: list[Tenant], wants: str, spent: str, admitted: str) -> None:
    pending = [each for owner in "abc" for each in of(owner, wants.count(owner))]
    found, plan = settled(4, tenants, pending, *spent.split())
    assert found == admitted.split()
    for name in spent.split():
        assert plan.shares[TenantName(name)] == 0


def test_it_is_told_why_it_waits() -> None:
    pending = [*of("a", 2), *of("b", 4)]
    _, plan = settled(4, [A, B], pending, "a")
    assert {hold.verdict.reason for hold in plan.holds} == {Reason.OVER_BUDGET}


def test_nothing_that_can_t_be_stopped_starts_on_a_guarantee_while_it_is_over_budget() -> None:
    fixed = of("a", 1, preemptible=False)
    guaranteed = [tenant("a", guarantee=2), B]
    assert settled(4, guaranteed, fixed)[0] == ["a0"]
    found, plan = settled(4, guaranteed, fixed, "a")
    assert (found, plan.holds[0].verdict.reason) == ([], Reason.OVER_GUARANTEE)


def test_what_it_has_fixed_still_counts_on_the_guarantee_above_it() -> None:
    family = [tenant("root", guarantee=2), *(tenant(x, "root", guarantee=2) for x in "ab")]
    ledger = Ledger([node("n", 4)])
    carry_out(ledger, decide(ledger, family, of("a", 1, preemptible=False)))
    plan = decide(ledger, family, of("b", 2, preemptible=False), "a")
    assert [admit.pod.name for admit in plan.admits] == ["b0"]
    assert plan.holds[0].verdict.reason is Reason.OVER_GUARANTEE


def full_of_a(*spent: str, **changes: Any) -> Stage:
    """Four cards, all of them a's, which is guaranteed them, while b waits for two."""
    stage = Stage([node("n", 4)], [tenant("a", guarantee=4), B], spent=names(*spent))
    for each in of("a", 4, **changes):
        stage.run(each)
    stage.waiting = of("b", 2)
    return stage


def test_its_pods_make_way_for_those_within_budget_though_they_are_guaranteed() -> None:
    stage = full_of_a()
    stage.pass_by()
    assert stage.evicted == []
    stage = full_of_a("a")
    stage.pass_by()
    assert [each.verdict.reason for each in stage.evicted] == [Reason.RECLAIMED] * 2
    stage.pass_by(10 * PATIENCE)
    assert len(stage.evicted) == 2
    assert {"b0", "b1"} <= stage.running


def test_those_that_can_t_be_stopped_stay() -> None:
    stage = full_of_a("a", preemptible=False)
    stage.pass_by(10 * PATIENCE)
    assert stage.evicted == []


def test_it_takes_back_nothing_itself() -> None:
    stage = full_of_a("b")
    stage.tenants = [A, tenant("b", guarantee=2)]
    stage.lags = {"b": 1e6}
    stage.pass_by(100 * PATIENCE)
    assert stage.evicted == []


@pytest.mark.parametrize(("above", "weight"), [("a", 1), ("root", 1), ("", 0)])
def test_credit_from_before_stops_nobody_for_who_has_no_share(above: str, weight: int) -> None:
    """Its lag stands still, so the same pods would come and go for as long as it is over budget."""
    root, c = tenant("root"), tenant("c", created=2.0)
    a = tenant("a", "root", guarantee=1, weight=weight)
    if not above:
        a = replace(a, guarantee=Fraction(0))
    stage = Stage([node("n", 4), node("m", 2, model="A100")], [root, a, B, c])
    stage.spent, stage.lags = names(*above.split()), {"a": 400.0, "root": 400.0}
    old, new = whole(models=("T4",)), whole(models=("A100",))
    for number in range(4):
        stage.run(pod(f"b{number}", old, "b"))
    for number in range(2):
        stage.run(pod(f"c{number}", new, "c"))
    stage.waiting = [pod("a0", old, "a"), *(pod(f"c-next{at}", new, "c") for at in range(4))]
    for _ in range(10):
        stage.pass_by(rounds=2)
    assert stage.evicted == []


def reserving(*spent: str) -> Stage:
    """One card, b's; a, who is older, has waited for it for so long that it would be kept for a."""
    profile = Profile("gpu-packing", reserve_after=PATIENCE)
    stage = Stage([node("n", 1)], [A, B], profile=profile, spent=names(*spent))
    stage.run(pod("r", whole(), "b"))
    stage.waiting = [*of("a", 1), pod("later", share(500), "b", created=9.0)]
    stage.pass_by()
    return stage


@pytest.mark.parametrize(("spent", "kept"), [("", {"a0"}), ("a", {"later"}), ("a b", {"a0"})])
def test_nothing_is_kept_for_it_while_others_wait(spent: str, kept: set[str]) -> None:
    stage = reserving(*spent.split())
    assert {each.uid for each in stage.memory.reservations} == kept


def test_what_was_kept_for_it_before_is_free_for_others() -> None:
    stage = reserving()
    stage.spent = names("a")
    stage.round()
    assert {each.uid for each in stage.memory.reservations} <= {"later"}


def test_those_over_budget_stand_at_the_top_with_all_that_is_below_them() -> None:
    family = [
        tenant("root", max_runtime=60.0),
        tenant("mid", "root", guarantee=2),
        tenant("leaf", "mid", guarantee=1),
        tenant("other", "root", guarantee=1),
    ]
    tree = TenantTree(family)
    last = last_in_line(tree, names("mid", "leaf", "gone"))
    assert topmost(tree, names("mid", "leaf", "gone")) == names("mid")
    assert last.path(TenantName("leaf")) == ("mid", "leaf")
    assert {name: int(each.guarantee) for name, each in last.tenants.items()} == {
        "root": 0,
        "mid": 0,
        "leaf": 0,
        "other": 1,
    }
    assert last.longest[TenantName("leaf")] == 60.0
    assert last_in_line(tree, names()) is tree


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[Tenant], Ledger, list[Pod], frozenset[TenantName]]:
    tenants = draw(tenant_lists(7))
    tree = TenantTree(tenants)
    spent = draw(st.sets(st.sampled_from([each.name for each in tenants])))
    requests = st.sampled_from([share(250), share(500), whole(), whole(2)])

    def pods(prefix: str, most: int) -> list[Pod]:
        return [
            replace(
                pod(f"{prefix}{number}", draw(requests), draw(st.sampled_from(tree.leaves))),
                created=float(number),
                preemptible=draw(st.sampled_from([True, True, False])),
            )
            for number in range(draw(st.integers(0, most)))
        ]

    ledger = Ledger([node("n", 3), node("m", 2)])
    carry_out(ledger, decide(ledger, tenants, pods("r", 6)))
    return tenants, ledger, pods("w", 8), frozenset(spent)


@settings(max_examples=150, deadline=None)
@given(clusters())
def test_who_is_within_budget_gets_what_it_would_if_the_others_asked_for_nothing(
    case: tuple[list[Tenant], Ledger, list[Pod], frozenset[TenantName]],
) -> None:
    tenants, ledger, pending, spent = case
    tree = TenantTree(tenants)
    within = [each for each in pending if not is_spent(tree, spent, each.tenant)]
    alone = decide(ledger, tenants, within, *spent)
    together = decide(ledger, tenants, pending, *spent)
    asking = {each.uid for each in within}
    places = [(each.pod.uid, each.placement) for each in together.admits if each.pod.uid in asking]
    assert places == [(each.pod.uid, each.placement) for each in alone.admits]
    for name in spent:
        assert together.shares[name] == 0
    # Hard caps hold where everybody stands.
    carry_out(ledger, together)
    held = tree.roll_up({name: each.milli for name, each in ledger.held.items()}, 0)
    for admit in together.admits:
        for name in tree.path(admit.pod.tenant):
            limit = tree.tenants[name].limit
            assert limit is None or held[name] <= limit * 1000


@settings(max_examples=80, deadline=None)
@given(clusters(), st.sampled_from([0.0, 400.0, 1e6]))
def test_nobody_within_budget_is_stopped_for_one_over_it(
    case: tuple[list[Tenant], Ledger, list[Pod], frozenset[TenantName]], credit: float
) -> None:
    tenants, ledger, pending, spent = case
    tree = TenantTree(tenants)
    stage = Stage([node("n", 3), node("m", 2)], tenants, spent=spent)
    # From before: whoever is over budget neither spends it nor loses it.
    stage.lags = {name: credit for name in tree.names if is_spent(tree, spent, name)}
    for holding in ledger.holdings.values():
        stage.run(holding.pod, holding.placement)
    stage.waiting = pending
    spares_who_is_within(stage)


OWNERS = st.sampled_from("abc")
WISHES = st.tuples(OWNERS, st.sampled_from(["T4", "A100"]))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(OWNERS, min_size=5, max_size=5),
    st.lists(WISHES, min_size=3, max_size=8),
    st.sampled_from(["a", "root", "a c"]),
)
def test_nor_where_who_is_within_holds_more_than_its_share(
    running: list[str], wishes: list[tuple[str, str]], spent: str
) -> None:
    """Who waits for cards of one model makes shares smaller than what is held of the other."""
    nodes = [node("n", 3), node("m", 2, model="A100")]
    family = [tenant("root"), tenant("a", "root", guarantee=2), B, tenant("c", created=2.0)]
    stage = Stage(nodes, family, spent=names(*spent.split()))
    stage.lags = dict.fromkeys(("root", *spent.split(), "a"), 1e6)
    for number, owner in enumerate(running):
        stage.run(pod(f"r{number}", whole(), owner))
    stage.waiting = [
        pod(f"w{number}", whole(models=(model,)), owner, created=float(number))
        for number, (owner, model) in enumerate(wishes)
    ]
    spares_who_is_within(stage)


def spares_who_is_within(stage: Stage) -> None:
    """Have ten rounds in which whoever is over budget stops nobody but its own pods."""
    tree = TenantTree(stage.tenants)
    for _ in range(10):
        stage.now += PATIENCE
        for evict in stage.round().evicts:
            assert evict.taker is not None
            if is_spent(tree, stage.spent, evict.taker.tenant):
                assert evict.pod.tenant == evict.taker.tenant
