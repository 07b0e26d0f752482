"""What each pod means for who holds what."""

import logging
from typing import Any

import pytest

from scheduler.core.cycle.standing import oversold_milli
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.gangs import Gathered
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.verdicts import Reason
from tests.controller.feeding import HALF, World, bound, gated, pinned, unreadable
from tests.support.builders import node, place
from tests.support.extenders import pod_json

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def test_a_gated_pod_waits() -> None:
    world = World()
    world.see(gated("p"), gated("q", "0.5", "example.com/quota"))
    assert (world.waiting, world.held) == ({"p", "q"}, {})


def test_a_bound_pod_holds_what_its_assignment_says() -> None:
    world = World()
    world.see(gated("p"), bound("p", "n1", HALF))
    assert (world.waiting, world.held) == (set(), {"p": ("n1", 500, True)})


def test_a_bound_pod_without_assignment_holds_no_gpu_whatever_it_asks_for() -> None:
    world = World()
    world.see(pinned("p", "n2"), bound("p", "n1"))
    assert world.held == {"p": ("n1", 0, True)}
    assert not world.ledger.closed
    assert world.ledger.columns.free.sum() == 4000


def test_an_assignment_is_kept_as_it_was_when_the_pod_was_bound() -> None:
    world = World()
    world.see(bound("p", "n1", HALF), bound("p", "n1", place("n1", (1, 1000, 16_000))))
    assert world.held == {"p": ("n1", 500, True)}


@pytest.mark.parametrize(
    "pod",
    [
        unreadable("p", "n1"),
        bound("p", "n1", devices="GPU-1"),
        bound("p", "n1", place("n2", (0, 500, 8_000))),
    ],
    ids=["garbage", "half of it", "of another node"],
)
@pytest.mark.parametrize("ending", ["deleted", "finished", "repaired"])
def test_what_can_not_be_understood_closes_its_node_until_it_is_gone_or_understood(
    pod: dict[str, Any], ending: str
) -> None:
    world = World()
    world.see(pod, pod)
    assert list(world.ledger.closed) == ["n1"]
    assert "lab/p" in world.ledger.closed[NodeName("n1")]
    assert world.held == {}
    if ending == "deleted":
        world.see(pod, event="DELETED")
    elif ending == "finished":
        world.see({**pod, "status": {"phase": "Failed"}})
    else:
        world.see(bound("p", "n1", HALF))
    assert not world.ledger.closed
    assert bool(world.held) == (ending == "repaired")


def test_a_node_stays_closed_for_the_other_pod_that_can_not_be_understood() -> None:
    world = World()
    world.see(unreadable("p", "n1"), unreadable("q", "n1"), unreadable("r", "n2"))
    world.see(unreadable("q", "n1"), event="DELETED")
    assert set(world.ledger.closed) == {"n1", "n2"}
    assert "lab/p" in world.ledger.closed[NodeName("n1")]
    world.see(unreadable("p", "n1"), event="DELETED")
    assert set(world.ledger.closed) == {"n2"}


async def test_a_closed_node_takes_no_pod_and_an_opened_one_does() -> None:
    world = World()
    world.see(unreadable("x", "n1"), unreadable("y", "n2"), gated("p"))
    await world.controller.round()
    assert world.hands.released == []
    world.see(unreadable("y", "n2"), event="DELETED")
    await world.controller.round()
    assert world.hands.places["p"].node == "n2"


async def test_an_unreadable_pod_waits_no_longer_but_keeps_what_was_reserved_for_it() -> None:
    world = World()
    world.see(gated("p"), gated("q"))
    await world.controller.round()
    on = world.hands.places["p"].node
    world.see(unreadable("p", on), gated("r"), unreadable("r", on))
    assert world.waiting == set()
    assert world.held["p"] == (on, 500, False)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_finished_and_deleted_pods_free_what_they_held_and_wait_no_longer(
    phase: str,
) -> None:
    world = World()
    ended = bound("p", "n1", HALF)
    world.see(ended, bound("q", "n1", place("n1", (1, 300, 4_800))), gated("r"))
    world.see({**ended, "status": {"phase": phase}})
    world.see(bound("q", "n1"), gated("r"), event="DELETED")
    assert (world.held, world.waiting) == ({}, set())
    assert world.ledger.columns.free.sum() == 4000


async def see_a_gang(world: World) -> dict[str, Any]:
    """Have the gang of p and q run; return p."""
    notes = {"gang": "train", "gang-size": "2"}
    first = bound("p", "n1", HALF, **notes)
    world.see(first, bound("q", "n2", place("n2", (0, 500, 8_000)), **notes))
    await world.controller.round()
    return first


async def test_members_of_a_gang_that_have_succeeded_are_not_missing() -> None:
    world = World()
    ended = await see_a_gang(world)
    world.see({**ended, "status": {"phase": "Succeeded"}})
    for _ in range(3):
        await world.controller.round()
        world.clock.time += 100.0
    assert world.hands.stopped == []
    left = Gathered(frozenset({PodUID("q")}), finished=1)
    assert world.controller.snapshot().gathered == {"lab/train": left}


async def test_what_is_left_of_a_gang_is_stopped_after_a_while() -> None:
    world = World()
    ended = await see_a_gang(world)
    world.see({**ended, "status": {"phase": "Failed"}})
    await world.controller.round()
    world.clock.time += 299.0
    await world.controller.round()
    assert world.hands.stopped == []
    world.clock.time += 1.0
    await world.controller.round()
    assert [(name, why) for name, why, _ in world.hands.stopped] == [("q", "GangBroken")]


def test_a_pod_that_is_asked_to_go_holds_on_until_it_is_gone() -> None:
    world = World()
    going = bound("p", "n1", HALF)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.see(going)
    assert world.held == {"p": ("n1", 500, True)}


async def test_a_pod_that_is_asked_to_go_before_it_has_a_node_can_never_run() -> None:
    world = World()
    world.see(gated("p"), gated("q", "1"))
    await world.controller.round()
    assert set(world.held) == {"p", "q"}
    for pod in (pinned("p", "n1"), gated("q", "1")):
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        world.see(pod)
    assert (world.held, world.waiting) == ({}, set())


def test_an_ungated_foreign_pod_is_left_to_filter() -> None:
    world = World()
    foreign = pinned("daemon", "n1")
    foreign["spec"]["schedulerName"] = "default-scheduler"
    world.see(pod_json("p"), pinned("cpu", "n1", fraction=None), foreign, pinned("bad", "n1"))
    world.see(pinned("worse", "n1", fraction="1.5"), pinned("lost", "n9"))
    assert (set(world.held), world.waiting) == ({"bad"}, set())


async def test_a_gate_that_somebody_else_took_off_ends_the_wait() -> None:
    world = World()
    world.see(gated("p", "1"), gated("q", "0.5", "example.com/quota"))
    world.see(pod_json("p", "1"), pod_json("q"))
    assert world.waiting == set()
    plan = await world.controller.round()
    assert (plan.admits, plan.holds, world.hands.released) == ((), (), [])


async def test_a_release_that_is_told_does_not_move_what_is_reserved() -> None:
    world = World()
    world.see(gated("p"))
    await world.controller.round()
    before = world.held
    world.see(pinned("p", "n1"), pinned("p", "n2"))
    assert world.held == before


async def test_a_wait_is_told_even_if_the_bind_was_answered_before_the_watch() -> None:
    world = World()
    world.see(gated("p"))
    await world.controller.round()
    world.clock.time += 4.0
    holding = world.ledger.holdings[PodUID("p")]
    world.ledger.bind(holding.pod, holding.placement)
    for _ in range(2):
        world.see(bound("p", holding.placement.node, holding.placement))
    assert [turn for _, _, turn in world.eyes.waits] == [4.0]


def test_after_a_restart_released_pods_are_reserved_beside_those_that_are_bound() -> None:
    world = World(Ledger([node("n1", 1), node("n2", 1)]))
    # Whatever comes first in the list: the released one must not get what the bound one holds.
    world.feed.replace(
        [
            pinned("p", "n1", "n2", fraction="1"),
            pinned("q", "n1", fraction="0.5"),
            gated("r"),
            bound("s", "n1", HALF),
        ]
    )
    assert world.held == {
        "s": ("n1", 500, True), "p": ("n2", 1000, False), "q": ("n1", 500, False),
    }  # fmt: skip
    assert world.waiting == {"r"}
    assert oversold_milli(world.ledger.columns) == 0
    assert world.eyes.waits == []


def test_after_a_restart_a_released_pod_that_nobody_binds_is_shown_as_waiting() -> None:
    world = World(Ledger([node("n1", 1)]))
    world.feed.replace([pinned("p", "n1")])
    assert world.controller.standing().waiting == ()
    world.clock.time += 60.0
    (late,) = world.controller.standing().waiting
    assert (late.uid, late.verdict.reason) == ("p", Reason.RELEASED)


def test_after_a_restart_a_released_pod_without_room_waits_for_filter() -> None:
    world = World(Ledger([node("n1", 1)]))
    world.feed.replace([pinned("p", "n1", fraction="1"), bound("s", "n1", HALF)])
    assert set(world.held) == {"s"}
    world.see(bound("s", "n1", HALF), event="DELETED")
    world.see(pinned("p", "n1", fraction="1"))
    assert set(world.held) == {"p"}


def test_a_pod_may_be_heard_of_before_its_node() -> None:
    world = World(Ledger())
    world.feed.replace([bound("p", "n1", HALF), unreadable("q", "n2"), pinned("r", "n1")])
    world.controller.put_nodes([node("n1", 1), node("n2", 1)])
    assert world.held == {"p": ("n1", 500, True)}
    assert set(world.ledger.closed) == {"n2"}
    assert world.ledger.columns.free.sum() == 1500
