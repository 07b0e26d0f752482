"""Whom a round stops for whom: state, then what it comes to, and more rounds change nothing."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from scheduler.core.cycle.run import run_cycle
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.plans import Evict, Plan
from scheduler.core.model.running import Memory, Reservation, Running
from scheduler.core.model.tenants import Tenant
from scheduler.core.model.verdicts import Reason
from tests.core.cycle.stopping import AGE, PATIENCE, PROFILE, UNDISTURBED, Stage
from tests.support.builders import node, place, pod, share, tenant, whole

A, B, C = tenant("a"), tenant("b", created=1.0), tenant("c", created=2.0)


def stopped(stage: Stage) -> list[tuple[str, str, Reason]]:
    return [(each.pod.name, for_whom(each), each.verdict.reason) for each in stage.evicted]


def for_whom(evict: Evict) -> str:
    assert evict.taker is not None
    return evict.taker.name


def full_of_a(cards: int = 4, *, tenants: Iterable[Tenant] = (A, B), **changes: Any) -> Stage:
    """One node, all of whose cards pods of a have, the last one for the shortest time."""
    stage = Stage([node("n", cards)], list(tenants))
    for index in range(cards):
        running = replace(pod(f"a{index}", whole(), "a"), **changes)
        stage.run(running, place("n", (index, 1000, 16_000)), age=AGE - index)
    return stage


def test_who_is_below_its_share_gets_it_from_who_is_above_the_youngest_first() -> None:
    stage = full_of_a()
    stage.waiting = [pod(f"b{index}", whole(), "b", created=float(index)) for index in range(3)]
    stage.pass_by()
    # The second fits into its tenant's share, too; the third would not.
    assert stopped(stage) == [("a3", "b0", Reason.RECLAIMED), ("a2", "b1", Reason.RECLAIMED)]
    stage.pass_by(10 * PATIENCE)
    assert stage.running == {"a0", "a1", "b0", "b1"}


def test_nobody_is_stopped_before_the_patience_is_over() -> None:
    stage = full_of_a()
    stage.waiting = [pod("b0", whole(), "b")]
    stage.pass_by(PATIENCE - 1)
    assert stage.evicted == []


def test_who_runs_for_less_than_the_least_time_is_not_stopped() -> None:
    stage = full_of_a()
    for uid in stage.since:
        stage.since[uid] = stage.now + PATIENCE - UNDISTURBED + 1
    stage.waiting = [pod("b0", whole(), "b")]
    stage.pass_by()
    assert stage.evicted == []
    stage.pass_by(1.0)
    assert len(stage.evicted) == 1


@pytest.mark.parametrize(
    ("why", "changes", "tenants"),
    [
        ("they can't be stopped", {"preemptible": False}, [A, B]),
        ("it is inside its guarantee", {}, [tenant("a", guarantee=4), B]),
        ("the taker is due nothing", {}, [A, tenant("b", weight=0)]),
        ("the taker is at its limit", {}, [A, tenant("b", limit="1/2")]),
        ("its priority leaves nothing", {}, [tenant("a", priority=200), B]),
    ],
)
def test_nobody_is_stopped_if(why: str, changes: dict[str, Any], tenants: list[Tenant]) -> None:
    stage = full_of_a(tenants=tenants, **changes)
    stage.waiting = [pod("b0", whole(), "b"), pod("a9", whole(4), "a")]
    stage.pass_by(100 * PATIENCE)
    assert stage.evicted == [], why


def test_the_fewest_gpu_seconds_are_lost() -> None:
    stage = Stage([node("n", 2), node("m", 2)], [A, B])
    stage.run(pod("old", whole(), "a"), place("n", (0, 1000, 16_000)), age=1_000)
    pair = place("m", (0, 1000, 16_000), (1, 1000, 16_000))
    stage.run(pod("pair", whole(2), "a"), pair, age=400)
    stage.run(pod("half", share(500), "a"), place("n", (1, 500, 8_000)), age=700)
    stage.run(pod("other", share(500), "a"), place("n", (1, 500, 8_000)), age=800)
    stage.waiting = [pod("b0", whole(), "b")]
    # The two halves lose 750 GPU-seconds, the old one 1,000, the pair 800.
    stage.pass_by(PATIENCE)
    assert {each.pod.name for each in stage.evicted} == {"half", "other"}


def test_what_turns_out_not_to_be_needed_is_spared() -> None:
    stage = Stage([node("n", 2)], [A, B])
    stage.run(pod("half", share(500), "a"), place("n", (0, 500, 8_000)), age=500)
    stage.run(pod("whole", whole(), "a"), place("n", (1, 1000, 16_000)), age=600)
    stage.waiting = [pod("b0", whole(), "b")]
    stage.pass_by()
    assert [each.pod.name for each in stage.evicted] == ["half"]


def test_a_taker_whose_place_is_being_cleared_stops_nobody_else() -> None:
    stage = full_of_a()
    stage.waiting = [pod("b0", whole(), "b")]
    stage.round()
    stage.now += PATIENCE
    plan = stage.round(carry_out=False)
    (evict,) = plan.evicts
    (kept,) = plan.memory.reservations
    assert (evict.pod.name, kept.uid, kept.devices) == ("a3", "b0", (3,))
    # It takes its time to end: it still holds its card, and was asked to go.
    stage.memory = plan.memory
    assert not _again(stage, evict.pod.uid).evicts


def _again(stage: Stage, *going: PodUID) -> Plan:
    running = tuple(
        Running(each.pod, each.placement, stage.since[uid], ending=uid in going)
        for uid, each in stage.ledger.holdings.items()
    )
    snapshot = stage.ledger.snapshot(tenants=stage.tenants)
    snapshot = replace(snapshot, running=running, memory=stage.memory)
    return run_cycle(snapshot, stage.waiting, stage.now + 1, PROFILE)


def test_by_credit_a_tenant_with_a_tenth_of_a_gpu_gets_its_turn() -> None:
    tenants = [tenant("a", weight=9), B]
    stage = full_of_a(1, tenants=tenants)
    stage.waiting = [pod("b0", whole(), "b"), pod("a9", whole(), "a")]
    stage.lags = {"b": 0.9 * UNDISTURBED - 1, "a": -0.9 * UNDISTURBED + 1}
    stage.pass_by()
    assert stage.evicted == []
    stage.lags = {"b": 0.9 * UNDISTURBED, "a": -0.9 * UNDISTURBED}
    stage.pass_by()
    assert stopped(stage) == [("a0", "b0", Reason.RECLAIMED)]
    # And not back: that takes credit of the other one.
    stage.pass_by(10 * PATIENCE)
    assert stage.running == {"b0"}


def test_inside_a_tenant_a_pod_of_higher_priority_takes_the_place_of_a_lower_one() -> None:
    stage = full_of_a(2, tenants=[A])
    stage.waiting = [pod("low", whole(), "a"), pod("high", whole(), "a", priority=10)]
    stage.pass_by()
    assert stopped(stage) == [("a1", "high", Reason.PREEMPTED)]
    stage.pass_by(10 * PATIENCE)
    assert stage.running == {"a0", "high"}


def test_at_its_limit_too() -> None:
    stage = Stage([node("n", 2)], [tenant("a", limit=1)])
    stage.run(pod("low", whole(), "a"))
    stage.waiting = [pod("high", whole(), "a", priority=10)]
    stage.pass_by()
    assert stopped(stage) == [("low", "high", Reason.PREEMPTED)]
    assert stage.running == {"high"}


def test_from_a_tenant_of_another_branch_though_its_own_branch_has_its_due() -> None:
    tenants = [
        tenant("x"),
        tenant("y"),
        tenant("a", "x"),
        tenant("b", "y"),
        tenant("c", "y", created=1.0),
    ]
    stage = Stage([node("n", 4)], tenants)
    for name, owner in (("a0", "a"), ("a1", "a"), ("b0", "b"), ("b1", "b")):
        stage.run(pod(name, whole(), owner))
    stage.waiting = [pod("c0", whole(), "c"), pod("a9", whole(), "a")]
    stage.pass_by()
    assert [(each.pod.tenant, for_whom(each)) for each in stage.evicted] == [("b", "c0")]


def test_two_takers_never_stop_the_same_pod() -> None:
    stage = full_of_a(4, tenants=[A, B, C])
    stage.waiting = [pod("b0", whole(), "b"), pod("c0", whole(), "c")]
    stage.round()
    stage.now += PATIENCE
    evicts: tuple[Evict, ...] = stage.round().evicts
    assert len({each.pod.uid for each in evicts}) == 2
    assert {for_whom(each) for each in evicts} == {"b0", "c0"}


def test_what_is_kept_for_the_taker_itself_is_not_in_its_way() -> None:
    # A card was kept for it on n; of m the whole card would cost more.
    stage = Stage([node("n", 1), node("m", 1)], [A, B])
    stage.run(pod("half", share(500), "a"), place("n", (0, 500, 8_000)), age=700)
    stage.run(pod("dear", whole(), "a"), place("m", (0, 1000, 16_000)), age=800)
    stage.waiting = [pod("b0", whole(), "b")]
    kept = Reservation(PodUID("b0"), NodeName("n"), (0,), 0.0)
    stage.memory = Memory({PodUID("b0"): -PATIENCE}, (kept,))
    plan = stage.round()
    assert [(each.pod.name, for_whom(each)) for each in plan.evicts] == [("half", "b0")]


def test_where_the_cheapest_set_is_not_allowed_another_one_of_the_node_is() -> None:
    # Of c nothing may be taken together with that of a: only what is a's alone.
    tenants = [A, B, tenant("c", guarantee=1, created=2.0)]
    stage = Stage([node("n", 4)], tenants)
    for index, (owner, age) in enumerate([("a", 900), ("a", 800), ("c", 100), ("a", 700)]):
        running = pod(f"{owner}{index}", whole(), owner)
        stage.run(running, place("n", (index, 1000, 16_000)), age=age)
    stage.waiting = [pod("b0", whole(2), "b", created=0.0)]
    stage.tenants = [tenant("a"), tenant("b", guarantee=2, created=1.0), tenants[2]]
    stage.pass_by()
    assert {each.pod.name for each in stage.evicted} == {"a1", "a3"}


def test_while_the_first_ones_place_is_cleared_those_behind_it_are_served_as_well() -> None:
    stage = full_of_a(8, tenants=[A, B])
    stage.waiting = [pod(f"b{n}", whole(), "b", created=float(n)) for n in range(6)]
    stage.round()
    stage.now += PATIENCE
    plan = stage.round(carry_out=False)
    assert len(plan.evicts) == 4
    # Of the four only the first is known to go: the others are asked for again, and no more.
    first = plan.evicts[0]
    kept = [each for each in plan.memory.reservations if each.uid == for_whom(first)]
    stage.memory = replace(plan.memory, reservations=tuple(kept))
    again = _again(stage, first.pod.uid)
    assert [for_whom(each) for each in again.evicts] == ["b1", "b2", "b3"]


def test_what_goes_already_counts_as_held_by_who_gets_it() -> None:
    stage = full_of_a(4, tenants=[A, B])
    stage.waiting = [pod("b0", whole(), "b"), pod("b1", whole(), "b", created=1.0)]
    stage.round()
    stage.now += PATIENCE
    plan = stage.round(carry_out=False)
    assert len(plan.evicts) == 2
    stage.memory = plan.memory
    # Both go slowly. A third one of b would take it beyond its share.
    stage.waiting.append(pod("b2", whole(), "b", created=-1.0))
    stage.memory = replace(stage.memory, blocked={**stage.memory.blocked, PodUID("b2"): 0.0})
    going = {each.pod.uid for each in plan.evicts}
    assert not _again(stage, *going).evicts


def in_its_turn(age: float) -> Stage:
    """b has a share of a tenth and a card that it runs on since then; a has two of its 2.9."""
    tenants = [tenant("a", weight=29), tenant("b", weight=1, created=1.0)]
    stage = Stage([node("n", 3)], tenants)
    for index in range(2):
        stage.run(pod(f"a{index}", whole(), "a"), place("n", (index, 1000, 16_000)))
    stage.run(pod("b0", whole(), "b"), place("n", (2, 1000, 16_000)), age=age)
    stage.waiting = [pod("a9", whole(), "a"), pod("b9", whole(), "b")]
    return stage


def test_who_is_in_its_turn_is_left_alone_for_its_time_by_who_is_better_off() -> None:
    turn = PROFILE.turn_runtime
    early = in_its_turn(turn - PATIENCE - 1)
    early.pass_by()
    assert early.evicted == []
    late = in_its_turn(turn - PATIENCE)
    late.pass_by()
    assert stopped(late) == [("b0", "a9", Reason.RECLAIMED)]


def test_but_not_by_who_is_worse_off() -> None:
    stage = in_its_turn(2 * UNDISTURBED)
    stage.tenants = [*stage.tenants, tenant("c", weight=30, created=2.0)]
    stage.waiting = [pod("c0", whole(), "c"), *stage.waiting]
    stage.pass_by()
    assert [for_whom(each) for each in stage.evicted] == ["c0"]


def test_a_small_pod_of_least_priority_does_not_protect_the_others() -> None:
    stage = Stage([node("n", 4)], [A, B])
    for index in range(4):
        running = pod(f"a{index}", share(990), "a", priority=10)
        stage.run(running, place("n", (index, 990, 15_840)), age=AGE - index)
    stage.run(pod("decoy", share(10), "a"), place("n", (0, 10, 160)))
    stage.waiting = [pod("b0", whole(), "b")]
    stage.pass_by()
    assert [each.pod.name for each in stage.evicted] == ["a3"]


def test_devices_are_known_by_their_uuids_after_a_reboot() -> None:
    stage = full_of_a(2)
    first, second = stage.ledger.nodes[NodeName("n")].devices
    stage.ledger.put_nodes([node("n", [second, first])])
    stage.waiting = [pod("b0", whole(), "b")]
    stage.pass_by()
    # The youngest one's card is the first one now, and it is that one's that is taken.
    assert stopped(stage) == [("a1", "b0", Reason.RECLAIMED)]
    assert stage.running == {"a0", "b0"}


def test_a_pod_whose_device_is_gone_is_let_alone() -> None:
    stage = full_of_a(2)
    first, _ = stage.ledger.nodes[NodeName("n")].devices
    stage.ledger.put_nodes([node("n", [first]), node("m", 1)])
    stage.run(pod("a9", whole(), "a"), place("m", (0, 1000, 16_000)))
    stage.waiting = [pod("b0", whole(), "b")]
    stage.pass_by()
    assert "a1" not in {each.pod.name for each in stage.evicted}


def test_what_becomes_free_as_somebodys_time_is_over_counts_as_gone() -> None:
    stage = full_of_a(4)
    over = next(each for each in stage.ledger.holdings.values() if each.pod.name == "a0")
    stage.ledger.bind(replace(over.pod, max_runtime=AGE), over.placement)
    stage.waiting = [pod("b0", whole(3), "b")]
    stage.memory = Memory({PodUID("b0"): -PATIENCE})
    plan = stage.round(carry_out=False)
    # With that one a has three of its two: by three more b would have more than its own due.
    assert [(each.pod.name, each.taker) for each in plan.evicts] == [("a0", None)]


def owners(**changes: Any) -> Stage:
    """a and b are guaranteed two cards each; a holds three, the single one since long ago."""
    guaranteed = [tenant("a", guarantee=2), tenant("b", guarantee=2, created=1.0)]
    stage = Stage([node("n", 2), node("m", 2)], guaranteed)
    both = ((0, 1000, 16_000), (1, 1000, 16_000))
    stage.run(pod("pair", whole(2), "a"), place("n", *both), age=2 * UNDISTURBED)
    stage.run(replace(pod("one", whole(), "a"), **changes), place("m", both[0]))
    stage.run(pod("b0", whole(), "b"), place("m", both[1]))
    stage.waiting = [pod("b1", whole(), "b")]
    return stage


def test_what_others_are_guaranteed_is_left_to_them_though_other_pods_cost_more() -> None:
    stage = owners()
    stage.pass_by()
    assert stopped(stage) == [("one", "b1", Reason.RECLAIMED)]
    stage.pass_by(10 * PATIENCE)
    assert stage.running == {"pair", "b0", "b1"}


def test_where_nothing_else_would_do_who_is_inside_its_guarantee_goes_past_that_of_others() -> None:
    stage = owners(preemptible=False)
    stage.pass_by()
    assert stopped(stage) == [("pair", "b1", Reason.RECLAIMED)]
    stage.pass_by(10 * PATIENCE)
    assert stage.running == {"one", "b0", "b1"}


@pytest.mark.parametrize(("guarantee", "whom"), [(4, ["lent"]), (0, [])])
def test_what_is_lent_comes_back_at_once_though_it_leaves_the_other_one_worse_off(
    guarantee: int, whom: list[str]
) -> None:
    """A turn of an hour is for shares; who stays inside its guarantee needn't wait for it."""
    tenants = [tenant("a", guarantee=1), tenant("b", guarantee=guarantee, created=1.0)]
    stage = Stage([node("n", 4), node("m", 4)], tenants)
    cards = [(index, 1000, 16_000) for index in range(4)]
    stage.run(pod("lent", whole(4), "a"), place("n", *cards), age=10 * UNDISTURBED)
    stage.run(pod("kept", whole(), "a", preemptible=False), place("m", cards[0]))
    for index in (1, 2, 3):
        stage.run(pod(f"b{index}", whole(), "b"), place("m", cards[index]))
    stage.waiting = [pod("b0", whole(), "b")]
    stage.pass_by()
    assert [name for name, _, _ in stopped(stage)] == whom


def test_a_pod_whose_end_would_be_passed_on_to_a_larger_one_of_its_tenant_is_let_alone() -> None:
    """Else they take turns for ever: a takes b's first, which takes b's large one, and so on."""
    stage = Stage([node("n", 3), node("m", 2)], [tenant("a"), tenant("b", created=1.0)])
    both = ((0, 1000, 16_000), (1, 1000, 16_000))
    stage.run(pod("a0", whole(2), "a"), place("n", *both))
    stage.run(pod("large", whole(2), "b"), place("m", *both))
    stage.run(pod("first", whole(), "b", priority=10), place("n", (2, 1000, 16_000)))
    stage.waiting = [pod(f"a{number}", share(250), "a") for number in (1, 2, 3, 4)]
    stage.pass_by(20 * PATIENCE)
    assert stopped(stage) == []
