"""Orders to defragment: for whom pods are moved, how many, until when; what it would give."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.cycle.defragment import Defragmentation, defragment
from scheduler.core.cycle.profile import Profile
from scheduler.core.model.ids import TenantName
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.running import Memory, Ordered, Running
from scheduler.core.model.tenants import Tenant
from scheduler.core.model.verdicts import Reason
from tests.core.cycle.stopping import AGE, PROFILE, Stage
from tests.support.builders import node, pod, share, tenant, whole

NEVER = replace(PROFILE, reclaim_after=None)
TOP, A, B = tenant("top"), tenant("a", parent="top"), tenant("b", created=1.0)
UNTIL = 600.0


def owned(name: str, request: Request, owner: str = "a", **changes: object) -> Pod:
    """A pod that would be made again."""
    return pod(name, request, owner, owner=f"owner-{name}", **changes)


def ordered(one: Tenant, *, until: float = UNTIL, moves: int | None = None) -> Tenant:
    return replace(one, defrag_until=until, defrag_moves=moves)


def pairs_apart(count: int, *tenants: Tenant, profile: Profile = NEVER) -> Stage:
    """So many pairs of cards with a half on each, and as many that want a whole one."""
    nodes = [node(f"{letter}{number}", 1) for number in range(count) for letter in "nm"]
    stage = Stage(nodes, tenants or (TOP, A, B), profile)
    for number, each in enumerate(nodes):
        half = owned(f"half{number}", share(500))
        stage.run(half, stage.place_on(each.name, half), age=AGE - number)
    stage.waiting = [
        owned(f"large{number}", whole(), created=float(number)) for number in range(count)
    ]
    return stage


def looked(stage: Stage, *tenants: str, most: int | None = None) -> Defragmentation:
    running = tuple(
        Running(each.pod, each.placement, stage.since[uid])
        for uid, each in stage.ledger.holdings.items()
    )
    snapshot = replace(stage.ledger.snapshot(tenants=stage.tenants), running=running)
    names = [TenantName(name) for name in tenants]
    return defragment(snapshot, stage.waiting, stage.now, stage.profile, tenants=names, most=most)


@pytest.mark.parametrize(
    ("tenants", "moved"),
    [
        ((TOP, A, B), 0),
        ((TOP, ordered(A), B), 3),
        ((ordered(TOP), A, B), 3),
        ((TOP, A, ordered(B)), 0),
        ((TOP, ordered(A, until=0.5), B), 0),
        ((TOP, ordered(A, moves=2), B), 2),
        ((TOP, ordered(A, moves=0), B), 0),
        ((ordered(TOP, moves=2), ordered(A, moves=1), B), 3),
        ((ordered(TOP, moves=1), ordered(A, until=0.5), B), 1),
    ],
    ids=[
        "nobody ordered it",
        "of the tenant itself",
        "of one above it",
        "of another one",
        "its time is over",
        "so many at most",
        "none at most",
        "the one next to it first",
        "the one above where the next is over",
    ],
)
def test_for_whom_pods_are_moved_at_once_and_how_many(
    tenants: tuple[Tenant, ...], moved: int
) -> None:
    stage = pairs_apart(3, *tenants)
    stage.now = 1.0
    for _ in range(4):
        stage.round()
    assert len(stage.evicted) == moved
    assert {each.verdict.reason for each in stage.evicted} <= {Reason.MOVED}
    started = {name for name in stage.running if name.startswith("large")}
    assert len(started) == moved
    assert {f"half{number}" for number in range(6)} <= stage.running


@pytest.mark.parametrize("spent", ["", "a"])
def test_a_limit_above_holds_with_what_somebody_over_budget_has(spent: str) -> None:
    """One of b's two fits below the limit of four: who was over budget holds three of it."""
    family = tenant("root", limit=4), tenant("a", "root"), ordered(tenant("b", "root"))
    stage = Stage([node(f"n{at}", 1) for at in range(7)], [*family, tenant("c")], NEVER)
    stage.spent = frozenset({TenantName(spent)} if spent else ())
    pods = [owned(f"a{at}", whole()) for at in range(3)]
    pods += [owned(f"half{at}", share(500), "c") for at in range(4)]
    for at, each in enumerate(pods):
        stage.run(each, stage.place_on(f"n{at}", each))
    stage.waiting = [owned(f"large{at}", whole(), "b", created=float(at)) for at in range(2)]
    plan = stage.round()
    assert {each.taker and each.taker.name for each in plan.evicts} == {"large0"}
    for _ in range(4):
        assert stage.round().evicts == ()
    assert {name for name in stage.running if name.startswith("large")} == {"large0"}


def test_as_many_a_round_as_may_be() -> None:
    stage = pairs_apart(3, TOP, ordered(A), B, profile=replace(NEVER, most_moves=2))
    assert len(stage.round().evicts) == 2
    assert len(stage.round().evicts) == 1


def test_what_was_moved_by_an_order_is_remembered_and_another_one_begins_anew() -> None:
    stage = pairs_apart(3, TOP, ordered(A, moves=1), B)
    assert len(stage.round().evicts) == 1
    for _ in range(2):
        plan = stage.round()
        assert plan.evicts == ()
        assert plan.memory.ordered == {TenantName("a"): Ordered(UNTIL, 1)}
    stage.tenants = (TOP, ordered(A, until=UNTIL + 1, moves=1), B)
    assert len(stage.round().evicts) == 1
    stage.tenants = (TOP, A, B)
    assert stage.round().memory.ordered == {}


def test_devices_that_drain_for_it_are_no_reason_to_wait_on() -> None:
    stage = pairs_apart(1, TOP, A, B, profile=replace(NEVER, reserve_after=10.0))
    stage.round()
    stage.now = 10.0
    (drains,) = stage.round().memory.reservations
    assert drains.uid == "large0"
    stage.tenants = (TOP, ordered(A), B)
    assert len(stage.round().evicts) == 1
    stage.round()
    assert stage.running == {"half0", "half1", "large0"}


def test_nobody_is_moved_for_whom_somebody_is_stopped_already() -> None:
    heavy = tenant("b", weight=3, created=1.0)
    stage = pairs_apart(1, TOP, A, heavy, profile=replace(NEVER, reclaim_after=0.0))
    stage.waiting = [owned(f"due{n}", whole(), "b", created=float(n)) for n in range(2)]
    plan = stage.round(carry_out=False)
    assert [each.verdict.reason for each in plan.evicts] == [Reason.RECLAIMED]
    stage.memory, stage.ending = plan.memory, {each.pod.uid for each in plan.evicts}
    stage.tenants = (TOP, A, ordered(heavy))
    assert stage.round(carry_out=False).evicts == ()
    # By itself it is helped by a move.
    stage.memory, stage.ending = Memory(), set()
    plan = stage.round(carry_out=False)
    assert [each.verdict.reason for each in plan.evicts] == [Reason.MOVED]


def test_those_of_others_are_moved_only_as_far_as_all_of_it_is_due() -> None:
    """Of six cards two are due to `a`, and it wants three."""
    nodes = [node(f"n{number}", 1) for number in range(6)]
    stage = Stage(nodes, (ordered(tenant("a")), tenant("b", weight=2, created=1.0)), NEVER)
    for number, each in enumerate(nodes):
        one = owned(f"b{number}", share(500), "b")
        stage.run(one, stage.place_on(each.name, one))
    stage.waiting = [owned(f"large{number}", whole(), created=float(number)) for number in range(3)]
    stage.waiting += [owned(f"more{n}", whole(), "b", created=9.0) for n in range(2)]
    for _ in range(4):
        stage.round()
    assert {name for name in stage.running if name.startswith("large")} == {"large0", "large1"}


def test_a_limit_holds_for_all_of_one_round() -> None:
    stage = pairs_apart(3, ordered(tenant("a", limit=4)))
    for _ in range(4):
        stage.round()
    # Six halves are three GPUs.
    assert len(stage.evicted) == 1


def test_what_it_would_give_is_what_comes_to_pass() -> None:
    stage = pairs_apart(3)
    found = looked(stage, "top")
    assert (len(found.gains), found.moves, found.milli) == (3, 3, 3000)
    assert (found.waits, found.movable, found.running) == ((), 6, 6)
    assert stage.round().evicts == ()
    stage.tenants = (TOP, ordered(A), B)
    plan = stage.round()
    assert [(evict.pod.name, evict.taker and evict.taker.name) for evict in plan.evicts] == [
        (each.pod.name, gain.pod.name) for gain in found.gains for each, _ in gain.moves
    ]
    assert [move.place for move in plan.memory.moves] == [
        place for gain in found.gains for _, place in gain.moves
    ]
    kept = {each.uid: (each.node, each.devices) for each in plan.memory.reservations}
    assert kept == {gain.pod.uid: (gain.node, gain.devices) for gain in found.gains}


def test_what_it_would_give_does_not_hang_on_who_is_on_the_way_at_present() -> None:
    stage = pairs_apart(3)
    stage.waiting.append(owned("small", share(100), "b", created=-1.0))
    found = looked(stage, "top")
    stage.profile = replace(stage.profile, backlog=1)
    assert looked(stage, "top") == found
    assert [gain.pod.name for gain in found.gains] == ["large0", "large1"]


def test_what_it_would_give_with_few_moves_for_others_and_for_who_is_not_asked_about() -> None:
    stage = pairs_apart(3)
    few = looked(stage, "a", most=1)
    assert (few.moves, [hold.pod.name for hold in few.waits]) == (1, ["large1", "large2"])
    assert {hold.verdict.reason for hold in few.waits} == {Reason.NO_ROOM}
    none = looked(stage, "b")
    assert (none.gains, none.waits) == ((), ())
    stage.profile = replace(NEVER, most_moves=0)
    assert looked(stage, "a").gains == ()


def test_what_an_order_gives_to_a_patience_that_is_over_is_not_counted_to_others() -> None:
    stage = pairs_apart(2, profile=replace(NEVER, consolidate_after=0.0, reclaim_after=0.0))
    assert looked(stage, "b").gains == ()


@settings(max_examples=60, deadline=None)
@given(
    running=st.lists(
        st.tuples(st.sampled_from("nmo"), st.sampled_from([200, 500, 700, 1000]), st.booleans()),
        max_size=8,
    ),
    waiting=st.lists(st.sampled_from([500, 700, 1000, 2000]), min_size=1, max_size=5),
    moves=st.one_of(st.none(), st.integers(0, 4)),
)
def test_whoever_is_moved_by_an_order_runs_again_and_no_more_of_them_than_it_says(
    running: list[tuple[str, int, bool]], waiting: list[int], moves: int | None
) -> None:
    tenants = [ordered(tenant("a"), until=math.inf, moves=moves), B]
    stage = Stage([node("n", 2), node("m", 2), node("o", 1)], tenants, NEVER)
    for number, (at, milli, mine) in enumerate(running):
        one = owned(f"r{number}", share(milli) if milli < 1000 else whole(), "a" if mine else "b")
        if stage.fits_on(at, one):
            stage.run(one, stage.place_on(at, one))
    stage.waiting = [
        owned(f"w{n}", whole(milli // 1000) if milli >= 1000 else share(milli), created=float(n))
        for n, milli in enumerate(waiting)
    ]
    for _ in range(8):
        stage.now += AGE
        plan = stage.round()
        moved = {each.pod.uid for each in plan.evicts}
        takers = {each.taker.uid for each in plan.evicts if each.taker}
        assert moved | takers <= {admit.pod.uid for admit in stage.round().admits}
    count = len(stage.evicted)
    assert moves is None or count <= moves
    for _ in range(3):
        stage.now += AGE
        stage.round()
    assert len(stage.evicted) == count
