"""Lists: what was missed, what is the same, and what is newer than the list."""

from typing import Any

import pytest

from scheduler.controller.feed import UNSEEN_SECONDS
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.verdicts import Reason
from tests.controller.feeding import (
    HALF,
    World,
    bound,
    gated,
    nominated,
    pinned,
    unreadable,
    versioned,
)
from tests.support.builders import node, place, pod
from tests.support.extenders import pod_json

pytestmark = pytest.mark.usefixtures("quiet")


async def test_pods_that_vanished_while_nobody_watched_are_gone() -> None:
    world = World()
    world.see(bound("runs", "n1", HALF), bound("went", "n1", place("n1", (1, 500, 8_000))))
    world.see(gated("waits"), gated("left"), unreadable("broken", "n2"))
    await world.controller.round()
    assert set(world.held) == {"runs", "went", "waits", "left"}
    world.feed.replace([bound("runs", "n1", HALF), pinned("waits", "n1")])
    assert set(world.held) == {"runs", "waits"}
    assert not world.ledger.closed
    assert world.feed.pod(pod("left").uid) is None


async def test_a_pod_in_line_that_vanished_waits_no_longer() -> None:
    world = World()
    world.see(gated("p", "0.5", "example.com/quota"))
    await world.controller.round()
    assert world.hands.held == [("p", Reason.FOREIGN_GATE)]
    world.feed.replace([])
    assert world.waiting == set()
    assert world.controller.standing().waiting == ()


async def test_a_list_of_the_same_pods_changes_nothing() -> None:
    world = World()
    pods = [
        versioned(bound("runs", "n1", HALF), 1),
        versioned(gated("waits", "0.5", "example.com/quota"), 2),
        versioned(pinned("goes", "n2"), 3),
        versioned(pod_json("daemon"), 4, name="daemon"),
    ]
    world.feed.replace(pods)
    await world.controller.round()
    before = (world.held, world.waiting, world.controller.version)
    world.feed.replace(pods)
    assert (world.held, world.waiting, world.controller.version) == before


def test_what_a_bound_pod_holds_is_booked_before_one_on_its_way_is_given_a_place() -> None:
    world = World(Ledger([node("n1", 1)]))
    world.feed.replace([pinned("p", "n1", fraction="1"), bound("s", "n1", HALF)])
    assert set(world.held) == {"s"}


def test_what_those_that_are_gone_held_is_there_for_those_on_their_way() -> None:
    world = World(Ledger([node("n1", 1)]))
    world.see(bound("s", "n1", HALF))
    world.feed.replace([pinned("p", "n1", fraction="1")])
    assert world.held == {"p": ("n1", 1000, False)}


async def test_a_pod_that_the_extender_knew_before_the_watch_is_not_taken_for_gone() -> None:
    world = World()
    # Made, filtered and bound after the list was read, and before it came here.
    world.ledger.bind(pod("new"), HALF)
    world.feed.replace([])
    assert set(world.held) == {"new"}
    world.see(bound("new", "n1", HALF))
    world.clock.time += UNSEEN_SECONDS
    await world.controller.round()
    assert world.held == {"new": ("n1", 500, True)}


async def test_a_pod_that_came_and_went_while_nobody_watched_is_forgotten_in_the_end() -> None:
    world = World()
    world.ledger.bind(pod("ghost"), HALF)
    world.feed.replace([])
    world.clock.time += UNSEEN_SECONDS - 0.1
    await world.controller.round()
    assert set(world.held) == {"ghost"}
    world.clock.time += 0.1
    await world.controller.round()
    assert world.held == {}


def test_who_decides_nothing_forgets_such_a_pod_at_once() -> None:
    world = World(active=False)
    world.ledger.bind(pod("ghost"), HALF)
    world.feed.replace([])
    assert world.held == {}


def test_after_a_restart_a_nominated_pod_is_reserved_where_it_was_nominated() -> None:
    world = World()
    world.feed.replace([nominated("p", "n2"), pod_json("q")])
    # q has neither pin nor nomination: filter plans it.
    assert world.held == {"p": ("n2", 500, False)}


async def test_a_released_pod_without_room_goes_before_all_that_wait() -> None:
    world = World(Ledger([node("n1", 1)]))
    world.feed.replace([pinned("p", "n1", fraction="1"), bound("s", "n1", HALF), gated("q", "1")])
    await world.controller.round()
    assert set(world.held) == {"s"}
    # Nobody tells of p again.
    world.see(bound("s", "n1", HALF), event="DELETED")
    await world.controller.round()
    assert world.held == {"p": ("n1", 1000, False)}
    assert world.hands.released == []


async def test_a_booking_of_filter_for_a_pod_that_was_released_gets_no_time_limit() -> None:
    world = World()
    world.see(pinned("p", "n1"))
    world.ledger.release(pod("p").uid)
    world.ledger.reserve(pod("p"), HALF, expires=world.clock.time + 30.0)
    await world.controller.round()
    world.clock.time += 60.0
    await world.controller.round()
    assert set(world.held) == {"p"}


def test_a_booking_of_filter_for_a_pod_that_had_no_gate_keeps_its_time_limit() -> None:
    world = World()
    world.see(pod_json("p"))
    world.ledger.reserve(pod("p"), HALF, expires=world.clock.time + 30.0)
    assert world.controller.astray() == []


async def test_a_standby_reserves_for_pods_on_their_way_only_once_it_acts() -> None:
    world = World(active=False)
    world.feed.replace([pinned("p", "n1"), gated("q"), bound("s", "n1", HALF)])
    world.see(pinned("r", "n2"))
    await world.controller.round()
    assert set(world.held) == {"s"}
    world.controller.set_active(True)
    await world.controller.round()
    assert {uid: at for uid, (at, _, _) in world.held.items() if uid != "q"} == {
        "p": "n1", "r": "n2", "s": "n1",
    }  # fmt: skip
    assert world.hands.released == ["q"]


async def test_who_acts_again_confirms_the_places_of_those_on_their_way() -> None:
    world = World()
    world.see(gated("p"))
    await world.controller.round()
    before = world.held
    world.see(pinned("p", "n1", "n2"))
    world.controller.set_active(False)
    assert world.ledger.holdings[pod("p").uid].expires is not None
    world.controller.set_active(True)
    await world.controller.round()
    assert world.held == before
    assert world.ledger.holdings[pod("p").uid].expires is None


async def test_hundreds_on_their_way_are_reserved_in_one_round() -> None:
    world = World(Ledger([node("n1", 200, cpu_milli=10**6)]), active=False)
    pods: list[dict[str, Any]] = [pinned(f"p{number}", "n1") for number in range(300)]
    world.feed.replace(pods)
    world.controller.set_active(True)
    await world.controller.round()
    assert len(world.held) == 300
