"""Gangs: together or not at all, later members, victims as one, and what is left of them."""

from dataclasses import replace

from scheduler.core.model.gangs import Gang
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.verdicts import Reason
from tests.core.cycle.rounds import admitted, plan_of, settled, verdict
from tests.core.cycle.stopping import AGE, PATIENCE, PROFILE, Stage
from tests.support.builders import by_memory, node, pod, share, tenant, whole

A, B = tenant("a"), tenant("b", created=1.0)


def gang(
    name: str,
    count: int,
    request: Request | None = None,
    *,
    size: int = 0,
    owner: str = "a",
    first: int = 0,
    **changes: object,
) -> list[Pod]:
    """Members of one gang, name-0 and on; `size` by default as many."""
    return [
        replace(
            pod(f"{name}-{number}", request or whole(), owner),
            gang=Gang(f"ns/{name}", size or count),
            **changes,  # type: ignore[arg-type]  # fields by name, for brevity
        )
        for number in range(first, first + count)
    ]


def test_it_starts_together_where_there_is_room_for_all_of_it() -> None:
    plan = settled([node("n", 2), node("m", 2)], [A], gang("g", 4))
    assert sorted(admitted(plan)) == ["g-0", "g-1", "g-2", "g-3"]


def test_ranks_that_follow_each_other_are_neighbours() -> None:
    plan = settled([node("n", 2), node("m", 2)], [A], gang("g", 4))
    assert [admit.placement.node for admit in plan.admits] == ["n", "n", "m", "m"]


def test_nothing_of_it_starts_where_one_of_them_finds_no_room() -> None:
    plan = settled([node("n", 2), node("m", 1)], [A], [*gang("g", 4, share(800)), pod("p", 100)])
    assert admitted(plan) == ["p"]
    assert verdict(plan, "g-0").reason is Reason.NEVER_FITS
    held = {verdict(plan, f"g-{number}").sentence for number in range(4)}
    assert held == {
        "no node could hold it even if it were empty: its gang takes 4 × 0.8 GPU at once, and all "
        "nodes together have room for 3 were they empty; make it smaller"
    }


def test_kinds_that_fit_one_by_one_and_not_all_at_once_are_told_so() -> None:
    of = Gang("g", 3)
    members = [
        pod("g-0", whole(2), gang=of),
        *(pod(f"g-{at}", share(750), gang=of) for at in (1, 2)),
    ]
    plan = settled([node("n", 2), node("m", 1)], [A], members)
    assert admitted(plan) == []
    assert verdict(plan, "g-2").sentence == (
        "no node could hold it even if it were empty: its gang takes 3.5 GPUs at once, and all "
        "nodes together have 3; make it smaller"
    )


def test_others_pass_it_while_it_waits_for_room() -> None:
    nodes, running = [node("n", 2), node("m", 2)], pod("old", whole())
    stage = Stage(nodes, [A], replace(PROFILE, reclaim_after=None))
    stage.run(running)
    stage.waiting = [*gang("g", 4), pod("later", whole(), created=5.0)]
    plan = stage.round()
    assert admitted(plan) == ["later"]
    said = verdict(stage.round(), "g-3")
    assert said.reason is Reason.NO_ROOM
    assert said.detail.startswith("its gang takes 4 × 1 GPU at once; 2 GPUs are free in all")


def test_an_incomplete_one_is_no_demand() -> None:
    plan = settled([node("n", 4)], [A, B], [*gang("g", 3, size=4), pod("p", whole(), "b")])
    assert admitted(plan) == ["p"]
    assert verdict(plan, "g-2").reason is Reason.GANG_INCOMPLETE
    assert verdict(plan, "g-2").detail == "3 of 4 pods are there; create the others"
    assert plan.demand[A.name] == 0


def test_one_whose_size_nobody_knows_is_no_demand_whoever_of_it_runs() -> None:
    unknown = Gang("ns/g", 0, unknown="JobSet g isn't there; create it")
    waiting = [replace(each, gang=unknown) for each in gang("g", 2)]
    plan = settled([node("n", 4)], [A, B], [*waiting, pod("p", whole(), "b")])
    assert admitted(plan) == ["p"]
    assert verdict(plan, "g-0").reason is Reason.GANG_UNKNOWN
    assert verdict(plan, "g-0").detail == unknown.unknown
    assert plan.demand[A.name] == 0
    stage = Stage([node("n", 4)], [A])
    stage.run(gang("g", 1, first=7)[0])
    stage.waiting = waiting
    assert admitted(stage.round()) == []


def test_one_that_grows_while_it_runs_goes_on_and_what_comes_starts_together() -> None:
    stage = Stage([node("n", 3)], [A], replace(PROFILE, broken_after=30.0))
    for each in gang("g", 2):
        stage.run(each)
    stage.waiting = gang("g", 2, size=4, first=2)
    for _ in range(4):
        assert admitted(stage.round()) == []
        stage.now += 60.0
    assert stage.evicted == []
    larger = Stage([node("n", 4)], [A])
    for each in gang("g", 2):
        larger.run(each)
    larger.waiting = gang("g", 2, size=4, first=2)
    assert sorted(admitted(larger.round())) == ["g-2", "g-3"]


def test_a_limit_counts_for_all_of_it() -> None:
    plan = settled([node("n", 4)], [tenant("a", limit=1)], gang("g", 3, share(500)))
    assert admitted(plan) == []
    assert {hold.verdict.reason for hold in plan.holds} == {Reason.OVER_LIMIT}


def test_a_limit_counts_for_all_of_it_by_memory_too() -> None:
    plan = settled([node("n", 4)], [tenant("a", limit=1)], gang("g", 3, by_memory(8_000)))
    assert admitted(plan) == []
    assert {hold.verdict.reason for hold in plan.holds} == {Reason.OVER_LIMIT}


def test_more_members_than_its_size_join_later_one_by_one() -> None:
    plan = settled([node("n", 3)], [A], gang("g", 5, size=2))
    assert admitted(plan) == ["g-0", "g-1", "g-2"]
    assert {verdict(plan, name).reason for name in ("g-3", "g-4")} == {Reason.NO_ROOM}


def test_they_don_t_start_before_its_first_ones() -> None:
    plan = settled([node("n", 1), node("m", 1)], [A], [*gang("g", 2, whole(), size=3)])
    assert admitted(plan) == []
    nodes = [node("n", 2)]
    stage = Stage(nodes, [A], replace(PROFILE, reclaim_after=None))
    stage.run(pod("old", whole()))
    stage.waiting = gang("g", 4, size=2)
    assert admitted(stage.round()) == []


def test_members_of_several_shapes_start_together() -> None:
    members = [*gang("g", 1, whole(2), size=3), *gang("g", 2, share(500), size=3, first=1)]
    plan = settled([node("n", 2), node("m", 1)], [A], members)
    assert sorted(admitted(plan)) == ["g-0", "g-1", "g-2"]


def test_where_they_disagree_about_its_size_the_largest_counts() -> None:
    members = [*gang("g", 1, size=1), *gang("g", 1, size=3, first=1)]
    plan = settled([node("n", 4)], [A], members)
    assert verdict(plan, "g-0").detail == "2 of 3 pods are there; create the others"


def test_a_missing_member_alone_is_enough_for_one_that_lost_it() -> None:
    stage = Stage([node("n", 3)], [A])
    members = gang("g", 3)
    for each in members[:2]:
        stage.run(each)
    stage.waiting = members[2:]
    assert admitted(stage.round()) == ["g-2"]


def test_finished_members_are_not_missing() -> None:
    stage = Stage([node("n", 4)], [A], replace(PROFILE, broken_after=0.0))
    members = gang("g", 4)
    for each in members[:2]:
        stage.run(each)
    stage.finished = {"ns/g": 2}
    for _ in range(3):
        assert stage.round().evicts == ()
        stage.now += 60.0


def test_a_reclaim_for_it_stops_as_many_as_it_takes_and_it_starts_together() -> None:
    stage = Stage([node("n", 2), node("m", 2)], [A, tenant("b", guarantee=3, created=1.0)])
    for number in range(3):
        stage.run(pod(f"a{number}", whole()))
    stage.waiting = gang("g", 3, owner="b")
    stage.round()
    stage.now += PATIENCE
    plan = stage.round(carry_out=False)
    assert len(plan.evicts) == 2
    assert {each.taker.name for each in plan.evicts if each.taker} == {"g-0"}
    assert {each.uid for each in plan.memory.reservations} == {"g-0", "g-1", "g-2"}
    stage.pass_by()
    assert {"g-0", "g-1", "g-2"} <= stage.running


def test_nobody_is_stopped_for_one_that_doesn_t_fit_all_the_same() -> None:
    tenants = [tenant("a", guarantee=1), tenant("b", guarantee=3, created=1.0)]
    stage = Stage([node("n", 2), node("m", 2)], tenants)
    stage.run(pod("fixed", whole(), preemptible=False))
    for number in range(3):
        stage.run(pod(f"a{number}", whole()))
    stage.waiting = gang("g", 4, owner="b")
    stage.pass_by()
    assert stage.evicted == []


def test_victims_of_a_gang_go_together() -> None:
    stage = Stage([node("n", 2), node("m", 2)], [A, tenant("b", guarantee=1, created=1.0)])
    for each in gang("g", 4):
        stage.run(each)
    stage.waiting = [pod("b0", whole(), "b")]
    stage.round()
    stage.now += PATIENCE
    plan = stage.round()
    assert {each.pod.name for each in plan.evicts} == {"g-0", "g-1", "g-2", "g-3"}


def test_another_pod_goes_before_a_whole_gang() -> None:
    stage = Stage([node("n", 4)], [A, tenant("b", guarantee=1, created=1.0)])
    for each in gang("g", 3):
        stage.run(each, age=PATIENCE)
    stage.run(pod("old", whole()), age=2 * PATIENCE)
    stage.waiting = [pod("b0", whole(), "b")]
    stage.pass_by()
    assert [each.pod.name for each in stage.evicted] == ["old"]


def test_an_elastic_one_shrinks_to_its_size_before_it_stops() -> None:
    stage = Stage([node("n", 4)], [A, tenant("b", guarantee=3, created=1.0)])
    for each in gang("g", 4, size=2):
        stage.run(each)
    stage.waiting = [pod("b0", whole(), "b"), pod("b1", whole(), "b", created=1.0)]
    stage.pass_by()
    assert {each.pod.name for each in stage.evicted} == {"g-3", "g-2"}
    assert {"g-0", "g-1", "b0", "b1"} == stage.running
    stage.waiting = [each for each in stage.waiting if each.tenant == "b"]
    stage.waiting.append(pod("b2", whole(), "b", created=2.0))
    stage.pass_by(AGE)
    assert {each.pod.name for each in stage.evicted} == {"g-0", "g-1", "g-2", "g-3"}


def one_that_lost_a_member() -> Stage:
    """A gang of three on three GPUs was whole, and then g-1 went; half a minute is patience."""
    stage = Stage([node("n", 3)], [A], replace(PROFILE, broken_after=30.0))
    members = gang("g", 3)
    for each in members:
        stage.run(each)
    stage.round()
    stage.ledger.release(members[1].uid)
    return stage


def test_what_is_left_of_a_broken_one_is_stopped_after_a_while() -> None:
    stage = one_that_lost_a_member()
    stage.run(pod("other", whole()))
    stage.round()
    stage.now += 29.0
    stage.round()
    assert stage.evicted == []
    stage.now += 1.0
    stage.round()
    assert {each.pod.name for each in stage.evicted} == {"g-0", "g-2"}
    (said,) = {each.verdict.sentence for each in stage.evicted}
    assert said == "its gang runs together, and members are missing for too long: 1 of 3 for 30s"


def test_one_that_gets_its_member_back_in_time_runs_on() -> None:
    stage = one_that_lost_a_member()
    stage.now += 29.0
    stage.waiting = gang("g", 1, size=3, first=7)
    assert admitted(stage.round()) == ["g-7"]
    stage.now += 60.0
    stage.round()
    assert stage.evicted == []


def test_one_that_was_never_seen_whole_is_let_alone() -> None:
    stage = Stage([node("n", 3)], [A], replace(PROFILE, broken_after=0.0))
    for each in gang("g", 2, size=4):
        stage.run(each)
    for _ in range(3):
        stage.round()
        stage.now += 60.0
    assert stage.evicted == []


def test_devices_drain_for_all_of_it_and_it_starts_together() -> None:
    profile = replace(PROFILE, reclaim_after=None, reserve_after=PATIENCE)
    stage = Stage([node("n", 2), node("m", 2)], [A, B], profile, lags={"a": 100.0})
    old = [pod(f"old{number}", whole(), "b") for number in range(3)]
    for each in old:
        stage.run(each)
    stage.waiting = gang("g", 3)
    stage.round()
    stage.now += PATIENCE
    stage.round()
    assert {each.uid for each in stage.memory.reservations} == {"g-0", "g-1", "g-2"}
    stage.waiting += [pod(f"next{number}", whole(), "b", created=9.0) for number in range(3)]
    for each in old[:2]:
        stage.ledger.release(each.uid)
        stage.now += 1.0
        stage.round()
    assert {"g-0", "g-1", "g-2"} <= stage.running


def test_the_same_plan_whatever_the_order() -> None:
    pods = [*gang("g", 3, size=2), *gang("h", 2, owner="b"), pod("p", whole())]
    nodes = [node("n", 2), node("m", 2)]
    plans = [plan_of(nodes, [A, B], order) for order in (pods, pods[::-1])]
    assert plans[0].admits == plans[1].admits
    assert set(plans[0].holds) == set(plans[1].holds)


def test_who_takes_the_place_of_a_member_that_is_about_to_go_waits_for_the_others() -> None:
    stage = Stage([node("n", 5)], [A])
    old = gang("g", 4)
    for each in old:
        stage.run(each)
    stage.round()
    stage.ending = {each.uid for each in old}
    stage.waiting = gang("g", 4, first=4)
    assert admitted(stage.round()) == []
    for each in old[:3]:
        stage.ledger.release(each.uid)
        plan = stage.round()
    assert sorted(admitted(plan)) == ["g-4", "g-5", "g-6", "g-7"]


def test_of_a_gang_that_disagrees_about_being_stopped_none_starts() -> None:
    members = gang("g", 2)
    odd = replace(members[1], preemptible=False)
    plan = settled([node("n", 2)], [A], [members[0], odd])
    assert verdict(plan, "g-0").reason is Reason.INVALID_REQUEST
    assert "say the same on all its pods" in verdict(plan, "g-1").detail


def test_one_for_which_others_are_being_stopped_is_not_stopped_itself() -> None:
    profile = replace(PROFILE, broken_after=PATIENCE)
    stage = Stage([node("n", 3)], [A, tenant("b", guarantee=2, created=1.0)], profile)
    members = gang("g", 2, owner="b")
    for each in members:
        stage.run(each)
    stage.round()
    stage.ledger.release(members[1].uid)
    for number in range(2):
        stage.run(pod(f"a{number}", whole()))
    stage.waiting = gang("g", 1, size=2, owner="b", first=2)
    stage.round()
    stage.now += PATIENCE
    plan = stage.round(carry_out=False)
    (victim,) = plan.evicts
    assert victim.taker == stage.waiting[0]
    stage.memory, stage.ending = plan.memory, {victim.pod.uid}
    stage.now += PATIENCE
    assert stage.round().evicts == ()
    stage.ledger.release(victim.pod.uid)
    assert admitted(stage.round()) == ["g-2"]


def test_one_whose_missing_member_is_let_alone_for_a_while_is_stopped_all_the_same() -> None:
    stage = Stage([node("n", 2)], [A], replace(PROFILE, broken_after=30.0))
    first, second = gang("g", 2)
    stage.run(first)
    stage.run(pod("other", whole()))
    stage.waiting = [second]
    stage.round()
    # Its release was refused, say: some rounds don't know of it.
    stage.waiting = []
    stage.now += 30.0
    stage.round()
    assert [each.pod.name for each in stage.evicted] == ["g-0"]


def test_all_of_it_counts_as_held_while_others_are_stopped_for_it() -> None:
    """What its sibling may take is what is left below their parent's limit then."""
    tenants = [
        tenant("p", limit=4),
        tenant("a", "p", created=1.0),
        tenant("c", "p", created=2.0),
        tenant("b", created=3.0),
    ]
    stage = Stage([node("n", 8)], tenants)
    for number in range(5):
        stage.run(pod(f"b{number}", whole(), "b"))
    stage.waiting = gang("g", 4)
    stage.round()
    stage.now += PATIENCE
    plan = stage.round(carry_out=False)
    stage.memory, stage.ending = plan.memory, {each.pod.uid for each in plan.evicts}
    stage.waiting.append(pod("late", whole(), "c"))
    for _ in range(3):
        stage.now += PATIENCE
        assert stage.round(carry_out=False).evicts == ()


def test_a_gang_of_mixed_priorities_is_preempted_by_a_higher_one_than_all_of_it() -> None:
    for priority, goes in ((50, False), (101, True)):
        stage = Stage([node("n", 2)], [tenant("a", guarantee=2)])
        for each, rank in zip(gang("g", 2), (0, 100), strict=True):
            stage.run(replace(each, priority=rank))
        stage.waiting = [pod("urgent", whole(2), priority=priority)]
        stage.pass_by()
        assert ("urgent" in stage.running) is goes


def test_later_members_are_told_as_well_when_its_first_ones_start_by_their_reservation() -> None:
    profile = replace(PROFILE, reclaim_after=None, reserve_after=PATIENCE)
    stage = Stage([node("n", 2)], [A, B], profile, lags={"a": 100.0})
    for number in range(2):
        stage.run(pod(f"old{number}", whole(), "b"))
    stage.waiting = gang("g", 4, size=2)
    stage.round()
    stage.now += PATIENCE
    stage.round()
    for number in range(2):
        stage.ledger.release(pod(f"old{number}").uid)
    plan = stage.round()
    assert admitted(plan) == ["g-0", "g-1"]
    assert {hold.pod.name for hold in plan.holds} == {"g-2", "g-3"}
