"""Consolidation: who is moved for whom, that everybody has a place, and that it is kept."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.model.gangs import Gang
from scheduler.core.model.ids import PodUID
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.verdicts import Reason
from tests.core.cycle.rounds import admitted
from tests.core.cycle.stopping import AGE, PATIENCE, PROFILE, Stage
from tests.support.builders import node, pod, share, tenant, whole

A, B = tenant("a"), tenant("b", created=1.0)
MOVING = replace(PROFILE, reclaim_after=None, consolidate_after=PATIENCE)
HALVES = [node("n", 1), node("m", 1)]


def owned(name: str, request: Request | int, owner: str = "a", **changes: object) -> Pod:
    """A pod that would be made again."""
    return pod(name, request, owner, owner=f"owner-{name}", **changes)


def spread_out(*tenants: str, **changes: object) -> Stage:
    """Half of each of two cards is taken, so that a whole one fits nowhere."""
    stage = Stage(HALVES, [A, B], MOVING)
    for number, name in enumerate(tenants):
        half = owned(f"half{number}", share(500), name, **changes)
        place = stage.place_on("nm"[number], half)
        stage.run(half, place, age=AGE - number)
    return stage


def test_a_half_is_moved_beside_the_other_so_that_a_whole_one_fits() -> None:
    stage = spread_out("a", "a")
    stage.waiting = [owned("large", whole())]
    stage.round()
    stage.now += PATIENCE
    plan = stage.round()
    (moved,) = plan.evicts
    assert (moved.pod.name, moved.taker and moved.taker.name) == ("half1", "large")
    assert moved.verdict.sentence == (
        "makes room where another pod fits, and has its place kept elsewhere: to n, for lab/large"
    )
    assert set(admitted(stage.round())) == {"large", "half1"}
    assert stage.running == {"half0", "half1", "large"}


def test_its_place_is_kept_until_it_is_there_again_under_another_uid() -> None:
    stage = spread_out("a", "a")
    stage.waiting = [owned("large", whole())]
    stage.pass_by(rounds=1)
    stage.waiting.pop()
    greedy = owned("greedy", share(500), "b", created=1.0)
    stage.waiting.append(greedy)
    assert admitted(stage.round()) == ["large"]
    again = owned("again", share(500), created=stage.now + 1)
    stage.waiting.append(replace(again, owner="owner-half1"))
    stage.now += 2.0
    assert admitted(stage.round()) == ["again"]


def test_its_place_is_not_kept_for_ever() -> None:
    stage = spread_out("a", "a")
    stage.waiting = [owned("large", whole())]
    stage.pass_by(rounds=1)
    stage.waiting[1:] = [owned("greedy", share(500), "b", created=1.0)]
    stage.round()
    stage.now += 121.0
    assert admitted(stage.round()) == ["greedy"]


@pytest.mark.parametrize(
    "changes", [{"preemptible": False}, {"owner": ""}], ids=["fixed", "nothing makes it again"]
)
def test_some_are_never_moved(changes: dict[str, object]) -> None:
    tenants = [tenant("a", guarantee=2), B]
    stage = Stage(HALVES, tenants, MOVING)
    for number in range(2):
        half = replace(owned(f"half{number}", share(500)), **changes)  # type: ignore[arg-type]
        stage.run(half, stage.place_on("nm"[number], half))
    stage.waiting = [owned("large", whole())]
    stage.pass_by()
    assert stage.evicted == []


def test_others_are_moved_only_for_what_the_tenant_is_due() -> None:
    stage = spread_out("b", "b")
    stage.tenants = [tenant("a", weight=0), B]
    stage.waiting = [owned("large", whole())]
    stage.pass_by()
    assert stage.evicted == []
    stage.tenants = [A, B]
    stage.pass_by()
    assert [each.verdict.reason for each in stage.evicted] == [Reason.MOVED]


def test_who_has_run_for_as_long_as_it_may_is_stopped_and_not_moved_too() -> None:
    stage = spread_out("a", "a", max_runtime=AGE + PATIENCE - 1)
    stage.waiting = [owned("large", whole())]
    stage.round()
    stage.now += PATIENCE
    plan = stage.round()
    assert [(each.pod.name, each.verdict.reason) for each in plan.evicts] == [
        ("half0", Reason.MAX_RUNTIME),
        ("half1", Reason.MAX_RUNTIME),
    ]
    assert plan.memory.moves == ()


def test_nobody_is_moved_before_the_patience_is_over_or_for_who_was_just_started() -> None:
    stage = spread_out("a", "a")
    stage.waiting = [owned("large", whole())]
    stage.round()
    stage.now += PATIENCE - 1
    assert stage.round().evicts == ()
    young = Stage(HALVES, [A, B], MOVING)
    for number in range(2):
        half = owned(f"half{number}", share(500))
        young.run(half, young.place_on("nm"[number], half), age=0.0)
    young.waiting = [owned("large", whole())]
    young.round()
    young.now += PATIENCE - 1
    assert young.round().evicts == ()


def test_whose_move_costs_least_is_moved() -> None:
    stage = Stage([node("n", 1), node("m", 1), node("o", 1)], [A, B], MOVING)
    for at, (name, age) in enumerate({"old": AGE, "young": 100.0, "older": 2 * AGE}.items()):
        half = owned(name, share(400))
        stage.run(half, stage.place_on("nmo"[at], half), age=age)
    stage.waiting = [owned("large", whole())]
    stage.pass_by(rounds=1)
    assert [each.pod.name for each in stage.evicted] == ["young"]


def test_no_more_are_moved_in_a_round_than_may_be() -> None:
    profile = replace(MOVING, most_moves=1)
    stage = Stage([node("n", 4), node("m", 4)], [A, B], profile)
    for number in range(4):
        single = owned(f"p{number}", whole())
        stage.run(single, stage.place_on("nm"[number % 2], single))
    stage.waiting = [owned("large", whole(4))]
    stage.pass_by()
    assert stage.evicted == []
    stage.profile = replace(profile, most_moves=2)
    stage.pass_by()
    assert len(stage.evicted) == 2
    assert "large" in stage.running


def test_a_gang_is_moved_as_one() -> None:
    stage = Stage([node("n", 3), node("m", 3)], [A, B], MOVING)
    for number, at in enumerate("nnm"):
        member = replace(owned(f"g-{number}", whole()), gang=Gang("lab/g", 3))
        stage.run(member, stage.place_on(at, member))
    stage.waiting = [owned("large", whole(3))]
    stage.pass_by()
    assert stage.running == {"g-0", "g-1", "g-2", "large"}
    assert stage.waiting == []


@settings(max_examples=80, deadline=None)
@given(
    running=st.lists(
        st.tuples(st.sampled_from("nmo"), st.sampled_from([200, 500, 700, 1000]), st.booleans()),
        max_size=8,
    ),
    waiting=st.lists(st.sampled_from([500, 700, 1000, 2000]), min_size=1, max_size=4),
)
def test_whoever_is_moved_runs_again_in_the_next_round_and_it_comes_to_an_end(
    running: list[tuple[str, int, bool]], waiting: list[int]
) -> None:
    stage = Stage([node("n", 2), node("m", 2), node("o", 1)], [A, B], MOVING)
    for number, (at, milli, mine) in enumerate(running):
        one = owned(f"r{number}", share(milli) if milli < 1000 else whole(), "a" if mine else "b")
        if stage.fits_on(at, one):
            stage.run(one, stage.place_on(at, one))
    stage.waiting = [
        owned(f"w{n}", whole(milli // 1000) if milli >= 1000 else share(milli), created=float(n))
        for n, milli in enumerate(waiting)
    ]
    stage.round()
    for _ in range(12):
        stage.now += PATIENCE
        plan = stage.round()
        moved = {each.pod.uid for each in plan.evicts}
        takers = {each.taker.uid for each in plan.evicts if each.taker}
        after = {admit.pod.uid for admit in stage.round().admits}
        assert moved | takers <= after
    count = len(stage.evicted)
    for _ in range(3):
        stage.now += PATIENCE
        stage.round()
    assert len(stage.evicted) == count


def test_a_pod_that_stays_all_the_same_has_no_place_kept_and_others_are_looked_for() -> None:
    stage = spread_out("a", "a")
    stage.waiting = [owned("large", whole())]
    stage.round()
    stage.now += PATIENCE
    plan = stage.round(carry_out=False)
    # A PodDisruptionBudget says no.
    stage.memory = plan.memory
    again = stage.round(carry_out=False)
    assert [each.pod.name for each in again.evicts] == ["half1"]
    stage.memory, stage.ending = plan.memory, {each.pod.uid for each in plan.evicts}
    meanwhile = stage.round(carry_out=False)
    assert (meanwhile.evicts, len(meanwhile.memory.moves)) == ((), 1)


def test_its_place_is_kept_while_its_tenant_is_at_its_limit() -> None:
    stage = spread_out("a", "a")
    stage.tenants = [tenant("a", limit=1), B, tenant("c", created=2.0)]
    stage.waiting = [owned("large", whole(), "b")]
    stage.round()
    stage.now += PATIENCE
    plan = stage.round(carry_out=False)
    stage.memory, stage.ending = plan.memory, {each.pod.uid for each in plan.evicts}
    again = replace(owned("again", share(500)), owner="owner-half1")
    stage.waiting += [again, owned("greedy", share(500), "c", created=1.0)]
    # The old one counts until it is gone.
    assert admitted(stage.round()) == []
    stage.ledger.release(plan.evicts[0].pod.uid)
    assert set(admitted(stage.round())) == {"again", "large"}


def test_two_pods_of_one_owner_that_are_moved_have_a_place_each() -> None:
    stage = Stage([node("n", 4), node("m", 4)], [A, B], MOVING)
    for number in range(4):
        single = replace(owned(f"p{number}", whole()), owner="all")
        stage.run(single, stage.place_on("nm"[number % 2], single))
    stage.waiting = [owned("large", whole(4))]
    stage.round()
    stage.now += PATIENCE
    plan = stage.round(carry_out=False)
    gone = [each.pod for each in plan.evicts]
    assert len(gone) == 2
    stage.memory = plan.memory
    for each in gone:
        stage.ledger.release(each.uid)
    again = [replace(each, uid=PodUID(f"again-{each.uid}")) for each in gone]
    stage.waiting += [again[0], owned("greedy", whole(), "b", created=9.0)]
    assert set(admitted(stage.round())) == {"large", str(again[0].uid)}
    stage.waiting.append(again[1])
    assert admitted(stage.round()) == [str(again[1].uid)]


def test_what_is_vain_for_one_tenant_is_not_for_another_one() -> None:
    stage = spread_out("b", "b")
    stage.tenants = [tenant("a", weight=0), B, tenant("c", created=2.0)]
    stage.lags = {"a": 500.0}
    stage.waiting = [owned("a-large", whole(), "a"), owned("c-large", whole(), "c")]
    stage.pass_by(rounds=1)
    assert {each.taker and each.taker.name for each in stage.evicted} == {"c-large"}
