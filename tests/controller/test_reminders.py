"""A pod that was turned down is looked at again once there is room, and never in a loop."""

from typing import Any

import pytest

from tests.controller.feeding import World, bound, nominated, versioned
from tests.support.builders import place

pytestmark = pytest.mark.usefixtures("quiet")

TURNED_DOWN = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
FULL = place("n2", (0, 1000, 80_000), (1, 1000, 80_000))


def turned_down(uid: str, node: str) -> dict[str, Any]:
    """Released to that node, where kube-scheduler doesn't want it."""
    pod = nominated(uid, node)
    pod["status"]["conditions"] = [TURNED_DOWN]
    return pod


@pytest.fixture
def world() -> World:
    """One node has the pod's place, the other one is full."""
    made = World()
    made.see(versioned(bound("filler", "n2", FULL), 1), versioned(turned_down("p", "n1"), 2))
    assert made.held["p"][0] == "n1"
    return made


async def rounds(world: World, count: int = 1, seconds: float = 5.0) -> list[tuple[str, str]]:
    for _ in range(count):
        world.clock.time += seconds
        await world.controller.round()
    return world.hands.reminded


async def test_nobody_is_reminded_while_there_is_no_other_place(world: World) -> None:
    assert await rounds(world, 20) == []


async def test_room_elsewhere_is_worth_one_reminder(world: World) -> None:
    await rounds(world)
    world.see(versioned(bound("filler", "n2", FULL), 3), event="DELETED")
    assert await rounds(world) == [("p", "n2")]
    # Nothing has changed since.
    assert await rounds(world, 20) == [("p", "n2")]


async def test_a_busy_cluster_reminds_less_and_less_often(world: World) -> None:
    world.see(versioned(bound("filler", "n2", FULL), 3), event="DELETED")
    for number in range(600):
        other = bound(f"other-{number}", "n1", place("n1", (1, 500, 8_000)))
        world.see(versioned(other, 10 + 2 * number))
        world.see(versioned(other, 11 + 2 * number), event="DELETED")
        await rounds(world, seconds=1.0)
    # After 1, 2, 4, 8, 16, 32 s, and then once a minute.
    assert 12 <= len(world.hands.reminded) <= 17


async def test_a_node_that_it_may_not_go_to_is_no_room_for_it(world: World) -> None:
    choosy = turned_down("choosy", "")
    choosy["spec"]["nodeSelector"] = {"zone": "nowhere"}
    world.see(versioned(choosy, 3))
    world.see(versioned(bound("filler", "n2", FULL), 4), event="DELETED")
    assert await rounds(world, 3) == [("p", "n2")]


async def test_one_that_was_not_turned_down_needs_no_reminder(world: World) -> None:
    world.see(versioned(nominated("p", "n1"), 3))
    world.see(versioned(bound("filler", "n2", FULL), 4), event="DELETED")
    assert await rounds(world, 3) == []


async def test_one_that_got_on_is_forgotten(world: World) -> None:
    world.see(versioned(bound("filler", "n2", FULL), 3), event="DELETED")
    await rounds(world)
    world.see(versioned(bound("p", "n2", place("n2", (0, 500, 8_000))), 4))
    world.see(versioned(bound("another", "n1", place("n1", (0, 500, 8_000))), 5))
    assert await rounds(world, 3, seconds=100.0) == [("p", "n2")]


async def test_thousands_have_their_turn_one_after_the_other(world: World) -> None:
    for number in range(120):
        # Not gated, so nothing was ever reserved for them.
        pod = turned_down(f"q{number}", "")
        world.see(versioned(pod, 100 + number))
    world.see(versioned(bound("filler", "n2", FULL), 3), event="DELETED")
    for number in range(3):
        world.see(
            versioned(bound(f"other-{number}", "n1", place("n1", (1, 100, 1_000))), 500 + number)
        )
        await rounds(world, seconds=0.5)
    assert {name for name, _ in world.hands.reminded} >= {f"q{number}" for number in range(120)}
