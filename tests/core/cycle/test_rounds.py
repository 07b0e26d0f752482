"""Rounds as tables: who is admitted; then five more rounds change nothing."""

from collections.abc import Callable
from fractions import Fraction

import pytest

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import PHASES, run_cycle
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.pods import Pod
from scheduler.core.model.tenants import Tenant
from scheduler.core.model.verdicts import Reason
from tests.core.cycle.rounds import admitted, backlog, plan_of, settled, verdict
from tests.support.builders import by_memory, cpu_only, node, place, pod, tenant, whole

A, B = tenant("a"), tenant("b")


@pytest.mark.parametrize(
    ("gpus", "tenants", "pending", "expected"),
    [
        # Equal tenants take turns, and the older pod of each goes first.
        (4, [A, B], [*backlog("a", 9), *backlog("b", 9)], ["a0", "b0", "a1", "b1"]),
        # By weight: 3 of 4 for a; after a0 it has a third of its due, b has nothing yet.
        (
            4,
            [tenant("a", weight=3), B],
            [*backlog("a", 9), *backlog("b", 9)],
            ["a0", "b0", "a1", "a2"],
        ),
        # The limit holds back a, so b gets the rest.
        (
            4,
            [tenant("a", limit=1), B],
            [*backlog("a", 9), *backlog("b", 9)],
            ["a0", "b0", "b1", "b2"],
        ),
        # What is guaranteed comes first; the surplus of 2 is shared, so b is due 3.
        (
            4,
            [A, tenant("b", guarantee=2)],
            [*backlog("a", 9), *backlog("b", 9)],
            ["b0", "b1", "a0", "b2"],
        ),
        # Weight 0 gets no share and takes what nobody else wants.
        (3, [tenant("a", weight=0), B], [*backlog("a", 9), *backlog("b", 2)], ["b0", "b1", "a0"]),
        # The priority of the tenant decides about the surplus.
        (2, [A, tenant("b", priority=200)], [*backlog("a", 2), *backlog("b", 2)], ["b0", "b1"]),
        # Alone, a tenant takes all that there is.
        (3, [A, B], backlog("a", 9), ["a0", "a1", "a2"]),
        (0, [A], backlog("a", 1), []),
        (3, [], backlog("a", 1), []),
        (3, [A], [], []),
    ],
)
def test_who_is_admitted_and_in_which_order(
    gpus: int, tenants: list[Tenant], pending: list[Pod], expected: list[str]
) -> None:
    assert admitted(settled([node("n1", gpus)], tenants, pending)) == expected


def test_an_empty_cluster_without_nodes_or_pods_is_a_plan_as_well() -> None:
    assert plan_of([], [], []).admits == ()
    plan = plan_of([], [A], [pod("p"), pod("q", tenant="b")])
    assert [hold.verdict.reason for hold in plan.holds] == [
        Reason.NEVER_FITS,
        Reason.UNKNOWN_TENANT,
    ]
    assert plan.shares == {"a": 0}


def test_inside_a_tenant_priority_goes_before_age() -> None:
    pending = [
        pod("old", created=1.0),
        pod("urgent", created=3.0, priority=5),
        pod("older", created=0.0),
        pod("late-and-urgent", created=4.0, priority=5),
    ]
    plan = settled([node("n1", 1)], [A], pending)
    assert admitted(plan) == ["urgent", "late-and-urgent"]
    assert [str(hold.pod.uid) for hold in plan.holds] == ["older", "old"]


def test_the_limit_of_a_parent_binds_its_children_together() -> None:
    tenants = [tenant("top", limit=2), tenant("a", "top"), tenant("b", "top")]
    plan = settled([node("n1", 4)], tenants, [*backlog("a", 2), *backlog("b", 2)])
    assert admitted(plan) == ["a0", "b0"]
    assert verdict(plan, "a1").reason is Reason.OVER_LIMIT
    assert verdict(plan, "a1").detail.startswith("top holds 2 of at most 2 GPUs")


def test_a_small_pod_still_fits_under_a_limit_that_the_large_one_would_pass() -> None:
    pending = [pod("large", 1000, created=0.0), pod("small", 500, created=1.0)]
    assert admitted(settled([node("n1", 4)], [tenant("a", limit="1/2")], pending)) == ["small"]


@pytest.mark.parametrize(
    ("tenants", "expected"),
    [
        ([tenant("a", guarantee=2)], ["a0", "a1"]),
        ([tenant("a", guarantee=0)], []),
        # A promise that its parent doesn't have can't be passed on.
        ([tenant("top", guarantee=1), tenant("a", "top", guarantee=2)], ["a0"]),
        ([tenant("top"), tenant("a", "top", guarantee=2)], []),
    ],
)
def test_pods_that_can_not_be_stopped_stay_inside_the_guarantee_at_every_level(
    tenants: list[Tenant], expected: list[str]
) -> None:
    plan = settled([node("n1", 8)], tenants, backlog("a", 4, preemptible=False))
    assert admitted(plan) == expected
    assert {hold.verdict.reason for hold in plan.holds} == {Reason.OVER_GUARANTEE}


def test_preemptible_pods_do_not_use_up_the_guarantee_of_the_others() -> None:
    ledger = Ledger([node("n1", 4)])
    ledger.bind(pod("r", 1000), place("n1", (0, 1000, 16_000)))
    plan = settled(ledger, [tenant("a", guarantee=1)], backlog("a", 2, preemptible=False))
    assert admitted(plan) == ["a0"]


def test_a_tenant_below_its_guarantee_goes_before_one_that_is_owed_more() -> None:
    tenants = [A, tenant("b", guarantee=1)]
    pending = [*backlog("a", 2), *backlog("b", 1)]
    plan = plan_of([node("n1", 1)], tenants, pending, lags={"a": 5000.0, "b": -5000.0})
    assert admitted(plan) == ["b0"]


def test_who_is_owed_more_goes_first_and_pays_later() -> None:
    pending = [*backlog("a", 3), *backlog("b", 3)]
    plan = plan_of([node("n1", 1)], [A, B], pending, lags={"a": -50.0, "b": 50.0})
    assert admitted(plan) == ["b0"]


def test_one_tenant_can_not_take_all_that_is_free_at_one_moment() -> None:
    # Owed seconds of its own share: (±60 + 120·(4 − held)) ÷ 4, so b has 135, 105, 75, 45, 15 and
    # a 105, 75, 45, 15 with each card more; without the horizon b would take all eight.
    pending = [*backlog("a", 20), *backlog("b", 20)]
    nodes, lags = [node("n1", 8)], {"a": -60.0, "b": 60.0}
    taken = admitted(plan_of(nodes, [A, B], pending, lags=lags))
    assert [name[0] for name in taken] == list("babababa")
    greedy = Profile(policy="gpu-packing", horizon=0.0)
    alone = admitted(plan_of(nodes, [A, B], pending, lags=lags, profile=greedy))
    assert [name[0] for name in alone] == ["b"] * 8


def test_what_does_not_fit_does_not_hold_up_what_does() -> None:
    ledger = Ledger([node("n1", 2)])
    ledger.bind(pod("r", 100, tenant="b"), place("n1", (0, 100, 1_600)))
    pending = [pod("two", whole(2), created=0.0), pod("one", whole(1), created=1.0)]
    assert admitted(settled(ledger, [A, B], pending)) == ["one"]


def test_a_long_row_of_the_same_that_does_not_fit_hides_nothing_behind_it() -> None:
    ledger = Ledger([node("n1", 1)])
    ledger.bind(pod("r", 100, tenant="b"), place("n1", (0, 100, 1_600)))
    pending = [*backlog("a", 200), pod("last", 250, created=1e6)]
    assert admitted(settled(ledger, [A, B], pending)) == ["last"]


def test_only_so_many_places_are_looked_for_in_vain() -> None:
    ledger = Ledger([node("n1", 1)])
    ledger.bind(pod("r", 100, tenant="b"), place("n1", (0, 100, 1_600)))
    pending = [pod(f"p{n}", 950 + n, created=float(n)) for n in range(5)]
    pending.append(pod("last", 250, created=9.0))
    assert admitted(plan_of(ledger, [A, B], pending, profile=Profile(lookahead=5))) == []
    assert admitted(plan_of(ledger, [A, B], pending, profile=Profile(lookahead=6))) == ["last"]


def test_a_tenant_set_aside_does_not_stop_the_others() -> None:
    ledger = Ledger([node("n1", 1)])
    ledger.bind(pod("r", 100, tenant="b"), place("n1", (0, 100, 1_600)))
    pending = [*backlog("a", 3), *backlog("b", 3, 300)]
    assert admitted(settled(ledger, [A, B], pending)) == ["b0", "b1", "b2"]


def test_a_request_by_memory_counts_as_its_part_of_the_smallest_card_while_it_waits() -> None:
    nodes = [node("n1", 1), node("n2", 1, model="A100")]
    # Half of a T4; a tenth of an A100 once it lands there.
    plan = plan_of(nodes, [A], [pod("p", by_memory(8_000))])
    assert plan.demand == {"a": Fraction(1, 2)}
    only_large = plan_of(nodes, [A], [pod("p", by_memory(8_000, models=("A100",)))])
    assert only_large.demand == {"a": Fraction(97, 1000)}
    assert only_large.admits[0].placement == place("n2", (0, 97, 8_000))


def test_shares_are_those_of_the_division_and_count_what_is_held() -> None:
    ledger = Ledger([node("n1", 4)])
    ledger.bind(pod("r", 1000, tenant="a"), place("n1", (0, 1000, 16_000)))
    plan = plan_of(ledger, [A, B, tenant("idle")], [*backlog("a", 9), *backlog("b", 1, 500)])
    assert plan.demand == {"a": 10, "b": Fraction(1, 2), "idle": 0}
    assert plan.shares == {"a": Fraction(7, 2), "b": Fraction(1, 2), "idle": 0}


def test_cards_that_are_shut_are_shared_no_more_than_what_is_held_on_them() -> None:
    ledger = Ledger([node("n1", 2), node("n2", 2)])
    ledger.bind(pod("r", 500, tenant="a"), place("n1", (0, 500, 8_000)))
    ledger.close_node(node("n1").name, "its pod x can't be understood")
    plan = plan_of(ledger, [A, B], [*backlog("a", 9), *backlog("b", 9)])
    assert sum(plan.shares.values()) == Fraction(5, 2)


def test_pods_without_a_gpu_cost_nothing_of_anybody_s_share() -> None:
    plan = settled([node("n1", 1)], [tenant("a", limit=0)], [pod("p", cpu_only())])
    assert admitted(plan) == ["p"]


def test_each_phase_is_handed_to_the_timer_once() -> None:
    seen = []

    def timing(name: str, phase: Callable[[], None]) -> None:
        seen.append(name)
        phase()

    snapshot = Ledger([node("n1")]).snapshot(tenants=[A])
    plan = run_cycle(snapshot, [pod("p")], 0.0, Profile(), timing=timing)
    assert seen == list(PHASES)
    assert admitted(plan) == ["p"]
