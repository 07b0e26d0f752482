"""A round ends once enough pods are on their way; the turns go on in the next one."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import PodUID
from scheduler.core.model.nodes import Node
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.running import Memory
from scheduler.core.model.tenants import Tenant
from scheduler.core.model.verdicts import Reason
from tests.core.cycle.rounds import admitted, backlog, carry_out, plan_of, verdict
from tests.core.cycle.stopping import AGE, PATIENCE, PROFILE, Stage
from tests.support import builders
from tests.support.builders import node, pod, share, tenant, whole

A, B = tenant("a"), tenant("b", created=1.0)
TREES = st.sampled_from(
    [
        [tenant("a"), tenant("b"), tenant("c")],
        [tenant("a", weight=0), tenant("b", guarantee=2), tenant("c", limit=1, priority=200)],
        [tenant("t", limit=3), tenant("a", "t"), tenant("b", "t", guarantee="1/3"), tenant("c")],
    ]
)
CROWD = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from((share(250), share(600), whole(), whole(2)))),
    max_size=20,
)


def by_most(most: int, leaving: int = 0, pods: int = 8) -> Plan:
    ledger = Ledger([node("n1", 4)])
    waiting = [*backlog("a", pods // 2), *backlog("b", pods // 2)]
    snapshot = replace(ledger.snapshot(tenants=[A, B]), leaving=leaving)
    return run_cycle(snapshot, waiting, 0.0, Profile("best-fit", backlog=most))


@pytest.mark.parametrize(
    ("most", "leaving", "starts"),
    [
        (3, 0, ["a0", "b0", "a1"]),
        (3, 2, ["a0"]),
        (3, 3, []),
        (3, 7, []),
        (9, 0, ["a0", "b0", "a1", "b1"]),
    ],
)
def test_a_round_lets_so_many_go_as_may_be_on_their_way(
    most: int, leaving: int, starts: list[str]
) -> None:
    plan = by_most(most, leaving)
    assert admitted(plan) == starts
    assert plan.unfinished == (most < 9)
    assert len(plan.admits) + len(plan.holds) == 8
    assert verdict(plan, "a3").reason == ("InLine" if most < 9 else "WaitsForTurn")


def test_who_can_have_no_turn_is_told_so_even_then() -> None:
    waiting = [*backlog("a", 2), pod("never", whole(9), "b"), pod("lost", tenant="nobody")]
    plan = plan_of([node("n1", 4)], [A, B], waiting, profile=Profile(backlog=1))
    assert {hold.pod.name: hold.verdict.reason for hold in plan.holds} == {
        "never": Reason.NEVER_FITS,
        "lost": Reason.UNKNOWN_TENANT,
        "a1": Reason.IN_LINE,
    }


def test_whoever_has_found_no_room_hears_that_and_not_that_its_turn_comes() -> None:
    ledger = Ledger([node("n1", 2)])
    ledger.bind(pod("there", share(500), "b"), builders.place("n1", (0, 500, 40_960)))
    waiting = [pod("large", whole(2), "a"), *backlog("b", 3, 500)]
    plan = plan_of(ledger, [A, B], waiting, profile=Profile("best-fit", backlog=1))
    assert admitted(plan) == ["b0"]
    reasons = {hold.pod.name: hold.verdict.reason for hold in plan.holds}
    assert reasons == {"large": "NoRoom", "b1": "InLine", "b2": "InLine"}


@settings(max_examples=60, deadline=None)
@given(
    cluster=st.integers(1, 3).map(lambda many: [node(f"n{at}", 2) for at in range(many)]),
    tenants=TREES,
    crowd=CROWD,
    most=st.integers(1, 5),
)
def test_turns_in_pieces_are_the_turns_of_one_round(
    cluster: list[Node],
    tenants: list[Tenant],
    crowd: list[tuple[str, Request]],
    most: int,
) -> None:
    pods = [
        pod(f"p{at:02}", request, owner, created=float(at))
        for at, (owner, request) in enumerate(crowd)
    ]
    profile = Profile("best-fit", lookahead=50)
    whole_round = plan_of(cluster, tenants, pods, profile=profile)
    ledger, left, found = Ledger(cluster), list[Pod](pods), list[Plan]()
    while not found or found[-1].unfinished:
        found.append(plan_of(ledger, tenants, left, profile=replace(profile, backlog=most)))
        carry_out(ledger, found[-1])
        left = [hold.pod for hold in found[-1].holds]
    assert [(admit.pod.uid, admit.placement) for plan in found for admit in plan.admits] == [
        (admit.pod.uid, admit.placement) for admit in whole_round.admits
    ]
    assert {hold.pod.uid for hold in found[-1].holds} == {
        hold.pod.uid for hold in whole_round.holds
    }


def test_no_patience_is_lost_while_turns_go_on() -> None:
    stage = Stage([node("n", 1), node("m", 2)], [A, B], replace(PROFILE, backlog=1))
    stage.run(pod("there", whole(), "a"), builders.place("n", (0, 1000, 81_920)), age=AGE)
    since = stage.now - PATIENCE
    stage.memory = Memory(blocked={PodUID("b1"): since}, short={B.name: (since,)})
    stage.waiting = backlog("b", 4)
    first = stage.round()
    assert first.unfinished
    assert (first.evicts, first.memory.blocked[PodUID("b1")]) == ((), since)
    assert first.memory.short == {B.name: (since,)}
    while stage.round().unfinished:
        pass
    assert stage.running == {"there", "b0", "b1"}


def test_a_line_that_never_gets_shorter_suspends_no_reclaim() -> None:
    stage = Stage([node("n", 4)], [A, B], replace(PROFILE, backlog=4))
    for number in range(4):
        stage.run(pod(f"large{number}", share(900), "a"), age=AGE)
    stage.waiting = [pod("b", whole(), "b"), *backlog("a", 40, 10)]
    assert stage.round().unfinished
    stage.now += PATIENCE
    plan = stage.round()
    assert plan.unfinished
    assert [(evict.pod.tenant, evict.taker and evict.taker.name) for evict in plan.evicts] == [
        ("a", "b")
    ]
    assert "b" in admitted(stage.round())
