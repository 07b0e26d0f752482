"""How near gangs sit: in one rack if they can, or must; and what is said where none has room."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.cycle.profile import Profile
from scheduler.core.model.gangs import Gang, Topology
from scheduler.core.model.ids import PodUID
from scheduler.core.model.nodes import Node
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.verdicts import Reason
from tests.core.cycle.rounds import verdict
from tests.core.cycle.stopping import AGE, PATIENCE, PROFILE, Stage
from tests.support.builders import node, place, pod, share, tenant, whole

BLOCK, RACK = "example.com/block", "topology.kubernetes.io/rack"
LEVELS = (BLOCK, RACK)
A, B = tenant("a"), tenant("b", created=1.0)
CALM = replace(PROFILE, reclaim_after=None, topology=LEVELS)


def rack(name: str, sizes: Sequence[int], block: str = "") -> list[Node]:
    """Nodes of so many cards each in one rack, named after it."""
    labels = {RACK: name, **({BLOCK: block} if block else {})}
    return [node(f"{name}-{at}", size, labels=labels) for at, size in enumerate(sizes)]


def gang(
    count: int,
    topology: Topology | None = None,
    *,
    name: str = "g",
    size: int = 0,
    request: Request | None = None,
    owner: str = "a",
    first: int = 0,
) -> list[Pod]:
    wish = Gang(f"ns/{name}", size or count, topology=topology)
    return [
        replace(pod(f"{name}-{at}", request or whole(), owner), gang=wish, owner=f"owner-{name}")
        for at in range(first, first + count)
    ]


def must(level: str) -> Topology:
    return Topology(level, required=True)


def racks_of(stage: Stage, name: str = "g") -> list[str]:
    """The racks in which members are, sorted."""
    nodes = {each.name: each for each in stage.nodes}
    return sorted(
        nodes[held.placement.node].labels.get(RACK, "")
        for held in stage.ledger.holdings.values()
        if held.pod.gang is not None and held.pod.gang.name == f"ns/{name}"
    )


def started(
    nodes: Iterable[Node], pods: Iterable[Pod], *busy: tuple[str, int], profile: Profile = CALM
) -> Stage:
    """Have three rounds, with so many cards of some nodes in use already."""
    stage = Stage(list(nodes), [A, B], profile)
    for at, count in busy:
        old = pod(f"old-{at}", whole(count), "b")
        stage.run(old, stage.place_on(at, old))
    stage.waiting = list(pods)
    stage.round()
    before = stage.running
    for _ in range(3):
        stage.round()
    assert stage.running == before, "more rounds change nothing"
    return stage


SMALL, LARGE = rack("small", [2, 2]), rack("large", [4, 4])
FOUR = (*rack("r1", [2, 2], "b1"), *rack("r2", [2, 2], "b1"), *rack("r3", [2, 4], "b2"))


@pytest.mark.parametrize(
    ("nodes", "pods", "racks"),
    [
        ([*LARGE, *SMALL], gang(4), {"small": 4}),
        ([*LARGE, *SMALL], gang(5), {"large": 5}),
        ([*LARGE, *SMALL], gang(9), {"large": 5, "small": 4}),
        ([*LARGE, *SMALL], gang(4, must(RACK)), {"small": 4}),
        ([*LARGE, *SMALL], gang(9, must(RACK)), {}),
        ([*LARGE, *SMALL], gang(4, request=whole(4)), {}),
        ([*LARGE, *SMALL], gang(2, must(RACK), request=whole(3)), {"large": 2}),
        (FOUR, gang(4), {"r1": 4}),
        (FOUR, gang(6), {"r3": 6}),
        (FOUR, gang(7), {"r1": 4, "r2": 3}),
        (FOUR, gang(7, must(BLOCK)), {"r1": 4, "r2": 3}),
        (FOUR, gang(4, must(BLOCK)), {"r1": 4}),
        (FOUR, gang(9, must(BLOCK)), {}),
        (FOUR, gang(9, Topology(BLOCK)), {"r1": 4, "r2": 4, "r3": 1}),
        (FOUR, gang(4, must("example.com/none")), {}),
        (FOUR, gang(4, Topology("example.com/none")), {"r1": 4}),
        (FOUR, gang(5, Topology("example.com/none")), {"r3": 5}),
        ([node("plain", 4), *SMALL], gang(4, must(RACK)), {"small": 4}),
        ([node("plain", 8), *SMALL], gang(5), {"": 1, "small": 4}),
    ],
    ids=[
        "the smallest rack that is large enough",
        "the only one that is",
        "several, where none is",
        "the same if it must",
        "none, where it must and none is large enough",
        "none, where its nodes are too small",
        "by node, not by the sum",
        "of racks that are alike the first",
        "a rack of another block",
        "a block, where no rack is large enough",
        "the same if it must be a block",
        "near inside the block",
        "none, where no block is large enough",
        "any, where that is only preferred",
        "no node has the label",
        "it is only preferred, and no node has it",
        "then the levels count that nodes have",
        "a node without the label is in no rack",
        "it may go there where nothing is asked",
    ],
)
def test_where_a_gang_starts(nodes: Iterable[Node], pods: list[Pod], racks: dict[str, int]) -> None:
    found = racks_of(started(nodes, pods))
    assert {name: found.count(name) for name in set(found)} == racks


def one_lost(*changed: Node) -> Stage:
    """A gang of three in a rack that is full: its second pod waits again, and nodes change."""
    stage = started([*rack("r1", [1] * 4), *rack("r2", [1] * 3)], gang(3, must(RACK)))
    assert racks_of(stage) == ["r2"] * 3
    place = stage.ledger.holdings[PodUID("g-1")].placement
    stage.ledger.release(PodUID("g-1"))
    stage.run(pod("other", whole(), "b"), place)
    first = stage.ledger.holdings[PodUID("g-0")].placement.node
    stage.ledger.put_nodes([replace(each, name=first) for each in changed])
    if not changed:
        stage.ledger.drop_node(first)
    stage.waiting = gang(1, must(RACK), size=3, first=1)
    return stage


@pytest.mark.parametrize("changed", [(), (node("bare", 1),)], ids=["is gone", "has no label"])
def test_it_stays_where_the_others_are_though_the_first_node(changed: tuple[Node, ...]) -> None:
    stage = one_lost(*changed)
    for _ in range(3):
        plan = stage.round()
        assert plan.admits == ()
        assert "with the same topology.kubernetes.io/rack as r2-" in verdict(plan, "g-1").detail
    stage.ledger.release(PodUID("other"))
    stage.round()
    assert "g-1" in stage.running


def test_nobody_joins_a_gang_of_which_nobody_knows_the_rack() -> None:
    stage = one_lost()
    for other in ("g-0", "g-2"):
        node_ = stage.ledger.holdings[PodUID(other)].placement.node
        stage.ledger.drop_node(node_)
    for _ in range(3):
        plan = stage.round()
        assert plan.admits == ()
        held = verdict(plan, "g-1")
        assert held.reason is Reason.NO_ROOM
        assert "no label topology.kubernetes.io/rack is known" in held.detail
    stage.ledger.put_nodes(stage.nodes)
    stage.ledger.release(PodUID("other"))
    stage.round()
    assert racks_of(stage) == ["r2"] * 3


def test_one_by_itself_goes_where_the_label_is_too() -> None:
    """So those that join it later can be near it."""
    alone = gang(1, must(RACK))
    assert racks_of(started([node("bare", 1), *rack("r1", [2])], alone)) == ["r1"]
    assert racks_of(started([node("bare", 1)], alone)) == []


def test_a_rack_outside_of_all_blocks_is_none_for_who_needs_a_block() -> None:
    outside, inside = rack("r1", [2]), rack("r2", [4], "b1")
    assert racks_of(started([*outside, *inside], gang(2, must(BLOCK)))) == ["r2"] * 2
    assert racks_of(started(outside, gang(2, must(BLOCK)))) == []
    assert racks_of(started([*outside, *inside], gang(2))) == ["r1"] * 2


@pytest.mark.parametrize(
    ("cards", "halves", "cpu_milli"),
    [(3, 0, 64_000), (6, 3, 64_000), (5, 0, 4_000)],
    ids=["too few GPUs", "too few whole ones", "too little CPU"],
)
def test_a_rack_is_found_however_many_are_too_small_for_both_kinds_at_once(
    cards: int, halves: int, cpu_milli: int
) -> None:
    """Each kind by itself fits into every one of the forty: one of 2 CPUs, and three of 1."""
    racks = [rack(f"s{at}", [cards]) for at in range(40)]
    small = [replace(each, cpu_milli=cpu_milli) for nodes in racks for each in nodes]
    stage = Stage([*small, *rack("large", [8])], [A, B], CALM)
    for each in small:
        for at in range(halves):
            half = pod(f"{each.name}-half{at}", share(600), "b")
            stage.run(half, place(each.name, (at, 600, 9_600)))
    first, *others = gang(4, must(RACK), request=whole(cpu_milli=1000))
    stage.waiting = [replace(first, request=whole(cpu_milli=2000)), *others]
    stage.round()
    assert racks_of(stage) == ["large"] * 4


def test_of_racks_with_room_that_with_the_least_left() -> None:
    nodes = [*rack("r1", [4]), *rack("r2", [4]), *rack("r3", [4])]
    assert set(racks_of(started(nodes, gang(2), ("r2-0", 2)))) == {"r2"}
    assert set(racks_of(started(nodes, gang(3), ("r2-0", 2), ("r3-0", 1)))) == {"r3"}


def test_without_levels_without_labels_nothing_is_otherwise() -> None:
    nodes = [*SMALL, *LARGE]
    bare = [replace(each, labels={}) for each in nodes]
    plain = replace(CALM, topology=())
    places = [
        {
            uid: held.placement
            for uid, held in started(these, gang(5), profile=how).ledger.holdings.items()
        }
        for these, how in ((nodes, plain), (bare, CALM), (bare, plain))
    ]
    assert places[0] == places[1] == places[2]


@pytest.mark.parametrize(
    ("pods", "reason", "sentence"),
    [
        (
            gang(9, must(RACK)),
            Reason.NEVER_FITS,
            "its gang takes 9 × 1 GPU at once on nodes with the same topology.kubernetes.io/rack, "
            "and the largest such part of the cluster has room for 8 were it empty; make it "
            "smaller, or ask for a wider one",
        ),
        (
            gang(7, must(RACK)),
            Reason.NO_ROOM,
            "its gang takes 7 × 1 GPU at once on nodes with the same topology.kubernetes.io/rack; "
            "none has room for all, in large most is free: 6 GPUs; ask for a wider one or wait "
            "for pods to end",
        ),
        (
            [*gang(1, must(RACK), size=2), *gang(1, size=2, first=1)],
            Reason.INVALID_REQUEST,
            "of its gang not all say the same about equipoise.dev/required-topology or "
            "equipoise.dev/preferred-topology; say it on all its pods",
        ),
    ],
)
def test_why_it_waits(pods: list[Pod], reason: Reason, sentence: str) -> None:
    stage = Stage([*SMALL, *LARGE], [A, B], CALM)
    old = pod("old", whole(2), "b")
    stage.run(old, stage.place_on("large-0", old))
    stage.waiting = pods
    found = verdict(stage.round(), "g-0")
    assert (found.reason, found.detail) == (reason, sentence)


def test_who_joins_later_or_comes_back_goes_where_the_others_are_or_waits() -> None:
    for topology, waits in ((must(RACK), True), (None, False)):
        stage = started([*SMALL, *LARGE], gang(4, topology))
        assert racks_of(stage) == ["small"] * 4
        # One more than its size; the rack is full.
        stage.waiting = gang(1, topology, size=4, first=4)
        stage.round()
        assert ("g-4" in stage.running) is not waits
        if waits:
            found = verdict(stage.round(), "g-4")
            assert (found.reason, found.detail) == (
                Reason.NO_ROOM,
                "its gang takes 1 × 1 GPU more on nodes with the same topology.kubernetes.io/rack "
                "as small-0, where it is already, and there is too little free; wait for pods to "
                "end",
            )
        stage.ledger.release(gang(1)[0].uid)
        stage.waiting = gang(1, topology, size=4)
        stage.round()
        assert racks_of(stage).count("small") == 4


def test_those_beyond_its_size_that_are_there_at_once_join_it_in_its_rack() -> None:
    stage = started([*SMALL, *LARGE], gang(6, must(RACK), size=3))
    assert racks_of(stage) == ["small"] * 4
    assert {each.name for each in stage.waiting} == {"g-4", "g-5"}


def test_other_nodes_that_it_may_be_bound_to_are_in_its_rack_if_they_must() -> None:
    stage = Stage([*rack("r1", [2, 2, 2]), *rack("r2", [2, 2, 2])], [A, B], CALM)
    stage.waiting = gang(2, must(RACK))
    plan = stage.round()
    assert len(plan.admits) == 2
    for admit in plan.admits:
        assert admit.alternatives
        assert len({name[:2] for name in admit.nodes}) == 1


def test_others_are_stopped_for_it_in_one_rack() -> None:
    nodes = [*rack("r1", [2, 2]), *rack("r2", [2, 2])]
    stage = Stage(nodes, [A, B], replace(PROFILE, topology=LEVELS))
    for at, each in enumerate(nodes):
        for number in range(2):
            old = pod(f"old{at}{number}", whole(), "b", owner=f"old{at}{number}")
            # What costs least to stop is in both racks.
            stage.run(old, stage.place_on(each.name, old), age=AGE - 1000 * number)
    stage.waiting = gang(4, must(RACK))
    stage.pass_by()
    assert len(set(racks_of(stage))) == 1
    assert len(racks_of(stage)) == 4
    assert len(stage.evicted) == 4


def test_devices_drain_for_it_in_one_rack() -> None:
    nodes = [*rack("r1", [2]), *rack("r2", [1, 1])]
    profile = replace(CALM, reserve_after=PATIENCE)
    stage = Stage(nodes, [A, B], profile)
    for each in nodes:
        old = pod(f"old-{each.name}", whole(), "b")
        stage.run(old, stage.place_on(each.name, old))
    stage.waiting = gang(2, must(RACK))
    stage.pass_by(rounds=1)
    kept = {each.node for each in stage.memory.reservations}
    assert len(stage.memory.reservations) == 2
    assert kept in ({"r1-0"}, {"r2-0", "r2-1"})
    for held in list(stage.ledger.holdings.values()):
        if held.placement.node in kept:
            stage.ledger.release(held.pod.uid)
    stage.round()
    assert len(set(racks_of(stage))) == 1
    assert stage.waiting == []


def test_what_is_reserved_anew_for_it_is_in_the_rack_of_the_rest() -> None:
    nodes = [*rack("r1", [1, 1, 1]), *rack("r2", [1, 1, 1])]
    stage = Stage(nodes, [A, B], replace(CALM, reserve_after=PATIENCE))
    for each in nodes:
        old = pod(f"old-{each.name}", whole(), "b")
        stage.run(old, stage.place_on(each.name, old))
    stage.waiting = gang(2, must(RACK))
    stage.pass_by(rounds=1)
    first, second = (each.node for each in stage.memory.reservations)
    assert first[:2] == second[:2]
    # The other rack looks better by now, and one of the two nodes is gone.
    other = {"r1": "r2", "r2": "r1"}[first[:2]]
    for held in list(stage.ledger.holdings.values()):
        if held.placement.node == f"{other}-0":
            stage.ledger.release(held.pod.uid)
    stage.ledger.drop_node(second)
    stage.round()
    kept = {each.node for each in stage.memory.reservations}
    assert len(kept) == 2
    assert {name[:2] for name in kept} == {first[:2]}


def test_a_gang_that_must_sit_near_is_not_moved() -> None:
    for topology, moved in ((must(RACK), 0), (None, 1)):
        stage = Stage(rack("r1", [1, 1]), [A, B], replace(CALM, consolidate_after=PATIENCE))
        other = replace(pod("other", share(500), "a"), owner="other", preemptible=False)
        halves = [*gang(1, topology, request=share(500)), other]
        stage.tenants = [tenant("a", guarantee=2), B]
        for at, half in enumerate(halves):
            stage.run(half, stage.place_on(f"r1-{at}", half))
        stage.waiting = [replace(pod("large", whole(), "a"), owner="large")]
        stage.pass_by(rounds=1)
        assert len(stage.evicted) == moved


REQUESTS = st.sampled_from([share(500), whole(), whole(2)])
NODES = [*rack("r1", [2, 1], "b1"), *rack("r2", [3], "b1"), *rack("r3", [2], "b2"), node("p", 2)]
WISHES = st.sampled_from([None, Topology(RACK), must(RACK), must(BLOCK)])


@st.composite
def several(draw: st.DrawFn) -> list[Pod]:
    pods: list[Pod] = []
    for number in range(draw(st.integers(1, 5))):
        size, extra = draw(st.integers(1, 4)), draw(st.integers(0, 2))
        pods += [
            replace(each, created=float(number))
            for each in gang(
                size + extra,
                draw(WISHES),
                name=f"g{number}",
                size=size,
                request=draw(REQUESTS),
                owner=draw(st.sampled_from("ab")),
            )
        ]
    return pods


@settings(max_examples=120, deadline=None)
@given(pods=several(), gone=st.lists(st.integers(0, 40), max_size=12))
def test_what_must_sit_near_is_never_split(pods: list[Pod], gone: list[int]) -> None:
    profile = replace(
        PROFILE, topology=LEVELS, reserve_after=2 * PATIENCE, consolidate_after=PATIENCE
    )
    stage = Stage(NODES, [A, B], profile)
    stage.waiting = list(pods)
    labels = {each.name: each.labels for each in NODES}
    for number in range(14):
        stage.round()
        for held in list(stage.ledger.holdings.values()):
            level = held.pod.gang.level if held.pod.gang else ""
            if level:
                assert held.pod.gang is not None
                others = [
                    labels[each.placement.node].get(level)
                    for each in stage.ledger.holdings.values()
                    if each.pod.gang is not None and each.pod.gang.name == held.pod.gang.name
                ]
                if held.pod.gang.size > 1:
                    assert len(set(others)) == 1
                    assert others[0] is not None
        stage.now += PATIENCE
        if number < len(gone) and stage.ledger.holdings:
            # One ends, and is made again.
            known = sorted(stage.ledger.holdings)
            uid = known[gone[number] % len(known)]
            stage.waiting.append(stage.ledger.holdings[uid].pod)
            stage.ledger.release(uid)


@settings(max_examples=120, deadline=None)
@given(pods=several())
def test_what_is_only_preferred_makes_nobody_wait(pods: list[Pod]) -> None:
    """Whoever starts on an empty cluster without a wish starts with one, the first gang alone."""
    (first, *_) = pods
    assert first.gang is not None
    theirs = [each for each in pods if each.gang and each.gang.name == first.gang.name]
    counts = []
    for topology, levels in ((None, ()), (Topology(RACK), LEVELS), (Topology(BLOCK), ())):
        wish = replace(first.gang, topology=topology)
        stage = Stage(NODES, [A, B], replace(CALM, topology=levels))
        stage.waiting = [replace(each, gang=wish) for each in theirs]
        for _ in range(3):
            stage.round()
        counts.append(len(stage.running))
    size = first.gang.size
    assert (counts[0] >= size) == (counts[1] >= size) == (counts[2] >= size)
