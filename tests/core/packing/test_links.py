"""Links between cards: several cards of one pod are linked if they can be, or must be."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.cycle.capacity import Capacity
from scheduler.core.ledger.columns import Columns
from scheduler.core.model.nodes import Node
from scheduler.core.model.placements import Slot
from scheduler.core.model.requests import Request
from scheduler.core.packing.packer import Packer
from scheduler.core.packing.policies import POLICIES
from tests.core.cycle.stopping import PATIENCE, PROFILE, Stage
from tests.support.builders import device, node, pod, requests, share, tenant, whole

WITHOUT_CHANCE = [name for name, policy in POLICIES.items() if not policy.by_chance]


def linked(name: str, links: str) -> Node:
    """A node with a card for each letter; cards of one letter are linked."""
    cards = [device(f"{name}/{at}", link=ord(letter)) for at, letter in enumerate(links)]
    return node(name, cards)


def chosen(
    links: str, request: Request, *, busy: dict[int, int] | None = None, policy: str = "best-fit"
) -> list[int] | None:
    """Return the cards that it gets; of those that are busy so many milli-GPU are taken."""
    columns = Columns([linked("n", links)])
    for at, milli in (busy or {}).items():
        columns.take(0, [Slot(at, columns.uuids[0][at], milli, milli * 16)], share(milli))
    place = Packer(columns, policy).place(request)
    return None if place is None else [slot.index for slot in place.slots]


@pytest.mark.parametrize("policy", WITHOUT_CHANCE)
@pytest.mark.parametrize(
    ("links", "request_", "busy", "cards"),
    [
        ("aaaa", whole(2), {}, [0, 1]),
        ("abab", whole(2), {}, [0, 2]),
        ("aaabb", whole(2), {}, [3, 4]),
        ("aaabb", whole(3), {}, [0, 1, 2]),
        ("aabb", whole(2), {1: 500}, [2, 3]),
        ("aabb", whole(3), {}, [0, 1, 2]),
        ("abbcc", whole(3), {}, [1, 2, 3]),
        ("abbcc", whole(4), {}, [1, 2, 3, 4]),
        ("abcd", whole(2), {}, [0, 1]),
        ("abab", share(500, 2), {}, [0, 2]),
        ("aabb", share(500, 2), {0: 500, 2: 500, 3: 500}, [0, 1]),
    ],
)
def test_several_cards_are_linked_if_they_can_be(
    policy: str, links: str, request_: Request, busy: dict[int, int], cards: list[int]
) -> None:
    assert chosen(links, request_, busy=busy, policy=policy) == cards


@pytest.mark.parametrize("policy", WITHOUT_CHANCE)
@pytest.mark.parametrize(
    ("links", "count", "busy", "cards"),
    [
        ("aabb", 2, {}, [0, 1]),
        ("aabb", 3, {}, None),
        ("aabb", 2, {1: 500}, [2, 3]),
        ("aabb", 2, {1: 500, 2: 500}, None),
        ("abcd", 2, {}, None),
        ("aaaa", 4, {}, [0, 1, 2, 3]),
    ],
)
def test_those_that_must_be_linked_wait_rather_than_be_split(
    policy: str, links: str, count: int, busy: dict[int, int], cards: list[int] | None
) -> None:
    assert chosen(links, whole(count, linked=True), busy=busy, policy=policy) == cards


def test_nodes_that_differ_by_links_alone_are_told_apart() -> None:
    columns = Columns([linked("split", "aabb"), linked("plain", "aaaa"), linked("mixed", "aaab")])
    packer = Packer(columns, "best-fit")
    names = {name for name, _ in packer.scored(whole(3, linked=True))}
    assert names == {"plain", "mixed"}
    assert {name for name, _ in packer.scored(whole(3))} == {"split", "plain", "mixed"}
    columns.reset(0, linked("split", "aaaa"))
    assert len(packer.scored(whole(3, linked=True))) == 3
    twin = columns.copy()
    twin.reset(1, linked("plain", "abcd"))
    assert len(Packer(columns, "best-fit").scored(whole(2, linked=True))) == 3
    assert len(Packer(twin, "best-fit").scored(whole(2, linked=True))) == 2


def test_what_no_node_has_linked_is_no_demand_and_it_says_so() -> None:
    capacity = Capacity(Columns([linked("n", "aabb"), linked("m", "ab")]))
    assert capacity.counts(whole(2, linked=True)) == 2000
    asked = whole(3, linked=True)
    assert capacity.counts(asked) is None
    assert capacity.missing(asked) == (
        "no node has 3 GPUs that are linked by NVLink; ask for fewer"
    )
    too_many = capacity.missing(whole(5, linked=True))
    assert "the largest node has 4 such GPUs" in too_many
    assert asked.describe() == "3 GPUs linked by NVLink"


@given(
    links=st.text("abc", min_size=1, max_size=8),
    request_=requests(),
    busy=st.dictionaries(st.integers(0, 7), st.sampled_from([250, 500, 1000]), max_size=6),
    policy=st.sampled_from(WITHOUT_CHANCE),
)
def test_required_is_never_split_and_preferred_never_waits(
    links: str, request_: Request, busy: dict[int, int], policy: str
) -> None:
    busy = {at: milli for at, milli in busy.items() if at < len(links)}
    plain = chosen("a" * len(links), replace(request_, linked=False), busy=busy, policy=policy)
    wish = chosen(links, replace(request_, linked=False), busy=busy, policy=policy)
    must = chosen(links, replace(request_, linked=True), busy=busy, policy=policy)
    assert (plain is None) == (wish is None)
    if must is not None:
        assert len({links[at] for at in must}) <= 1
    if wish is not None and request_.devices:
        if len({links[at] for at in wish}) > 1:
            assert must is None
        elif request_.devices > 1:
            assert must == wish


def test_devices_drain_for_it_in_one_group() -> None:
    stage = Stage(
        [linked("n", "abab")],
        [tenant("a"), tenant("b", created=1.0)],
        replace(PROFILE, reclaim_after=None, reserve_after=PATIENCE),
    )
    for at, milli in enumerate((900, 200, 300, 800)):
        old = pod(f"old{at}", share(milli), "b")
        card = stage.ledger.columns.uuids[0][at]
        stage.run(
            old, replace(stage.place_on("n", old), slots=(Slot(at, card, milli, milli * 16),))
        )
    stage.waiting = [pod("large", whole(2, linked=True), "a")]
    stage.pass_by(rounds=1)
    (kept,) = stage.memory.reservations
    # By what there is to end: 200 and 800, not 200 and 300.
    assert kept.devices == (1, 3)
    for at in kept.devices:
        stage.ledger.release(pod(f"old{at}").uid)
    stage.round()
    assert "large" in stage.running
