"""Pods that none of their nodes takes: evicted once in a while, and never in a loop."""

from collections.abc import Iterable
from typing import Any

import pytest

from scheduler.controller.controller import Controller
from scheduler.controller.journeys import Journey
from scheduler.controller.strikes import OWNERS_KEPT
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import NodeName
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.settings import Kube, Settings
from tests.controller.hands import Eyes, Hands, controller
from tests.support.builders import node, place, pod, tenant
from tests.support.extenders import ManualClock

pytestmark = pytest.mark.usefixtures("quiet")

STUCK = 60.0


class World:
    """A controller, and pods on their way."""

    def __init__(self) -> None:
        self.clock, self.hands, self.eyes = ManualClock(), Hands(), Eyes()
        self.ledger = Ledger([node("n1", 4)])
        self.controller: Controller = controller(
            self.ledger,
            [tenant("a")],
            clock=self.clock,
            hands=self.hands,
            eyes=self.eyes,
            settings=Settings(kube=Kube(stuck_seconds=STUCK)),
        )

    def on_its_way(
        self,
        name: str,
        *,
        owner: str = "rs",
        pinned: bool = True,
        turned_down: bool = True,
        nodes: Iterable[str] = ("n1",),
    ) -> None:
        names = tuple(map(NodeName, nodes))
        self.controller.on_its_way(Journey(pod(name), names, pinned, owner, turned_down))

    async def after(self, seconds: float) -> list[str]:
        """Let time pass, and return who was evicted since the start."""
        self.clock.time += seconds
        await self.controller.round()
        return self.hands.evicted

    @property
    def waiting(self) -> dict[str, Verdict]:
        return {each.uid: each.verdict for each in self.controller.standing().waiting}


async def test_a_pinned_pod_that_kube_scheduler_turned_down_is_evicted_after_a_while() -> None:
    world = World()
    world.on_its_way("p")
    assert await world.after(STUCK - 1) == []
    assert await world.after(1) == ["p"]
    assert ("evict", Reason.STUCK) in world.eyes.decisions


@pytest.mark.parametrize(
    "how",
    [{"owner": ""}, {"pinned": False}, {"turned_down": False}],
    ids=["nothing would make it again", "only nominated", "kube-scheduler has not looked yet"],
)
async def test_others_are_never_evicted_but_shown(how: dict[str, Any]) -> None:
    world = World()
    world.on_its_way("p", **how)
    for _ in range(10):
        assert await world.after(STUCK) == []
    assert set(world.waiting) == {"p"}


async def test_time_counts_from_the_moment_in_which_it_was_turned_down() -> None:
    world = World()
    world.on_its_way("p", turned_down=False)
    await world.after(10 * STUCK)
    world.on_its_way("p")
    world.on_its_way("p")
    assert await world.after(STUCK - 1) == []
    assert await world.after(1) == ["p"]


@pytest.mark.parametrize("answer", [False, ConnectionError("reset")], ids=["no", "no answer"])
async def test_an_eviction_that_failed_is_tried_again_after_another_while(
    answer: bool | Exception,
) -> None:
    world = World()
    world.hands.going = answer
    world.on_its_way("p")
    assert await world.after(STUCK) == ["p"]
    assert await world.after(STUCK - 1) == ["p"]
    assert world.eyes.decisions == []
    assert await world.after(1) == ["p", "p"]


async def test_a_pod_that_is_bound_in_time_stays() -> None:
    world = World()
    world.on_its_way("p")
    await world.after(STUCK - 1)
    world.controller.ungated(pod("p").uid)
    assert await world.after(STUCK) == []


async def test_what_its_owner_makes_next_is_neither_pinned_nor_evicted() -> None:
    world = World()
    world.on_its_way("p1")
    await world.after(STUCK)
    world.controller.gone(pod("p1").uid)
    world.controller.add(pod("p2"), "rs")
    world.controller.add(pod("other"), "another")
    await world.controller.round()
    assert world.hands.pinnable == {"p2": False, "other": True}
    # Its own template may pin it: that is nobody's to mend by evicting it for ever.
    world.on_its_way("p2")
    assert await world.after(10 * STUCK) == ["p1"]


async def test_what_its_owner_has_in_line_is_not_pinned_either() -> None:
    world = World()
    world.on_its_way("p1")
    for name in ("p2", "p3"):
        world.controller.add(pod(name, 5_000), "rs")
    await world.after(STUCK)
    assert [each.pinnable for each in world.controller.queue.pods.values()] == [False, False]
    # Told of them again: still not.
    world.controller.add(pod("p2", 5_000), "rs")
    assert [each.pinnable for each in world.controller.queue.pods.values()] == [False, False]


async def test_those_that_were_pinned_before_are_evicted_too() -> None:
    world = World()
    for name in ("p1", "p2"):
        world.on_its_way(name)
    assert await world.after(STUCK) == ["p1", "p2"]


async def test_pods_that_never_had_a_gate_are_evicted_once_for_an_owner() -> None:
    world = World()
    for number in range(5):
        world.on_its_way(f"p{number}")
        await world.after(STUCK)
        world.controller.gone(pod(f"p{number}").uid)
    assert world.hands.evicted == ["p0"]


async def test_only_so_many_owners_are_remembered() -> None:
    world = World()
    for number in range(OWNERS_KEPT + 1):
        world.on_its_way(f"p{number}", owner=f"rs{number}")
    await world.after(STUCK)
    spared: list[bool] = []
    for number in (0, OWNERS_KEPT):
        world.controller.add(pod(f"next{number}", 5_000), f"rs{number}")
        spared.append(not world.controller.queue.pods[pod(f"next{number}").uid].pinnable)
    assert spared == [False, True]


async def test_a_successor_gives_everybody_another_while() -> None:
    world = World()
    world.controller.set_active(False)
    world.on_its_way("p")
    world.clock.time += 10 * STUCK
    world.controller.set_active(True)
    assert await world.after(STUCK - 1) == []
    assert await world.after(1) == ["p"]


async def test_a_late_pod_is_shown_with_what_it_lacks() -> None:
    world = World()
    full = Verdict(Reason.NO_ROOM, "n1 is full")
    for name in ("placed", "lost", "never gated"):
        world.on_its_way(name)
    world.on_its_way("never gated", nodes=(), pinned=False)
    world.controller.lost(pod("lost"), full)
    world.controller.reserve(pod("placed"), place("n1", (0, 500, 8_000)))
    assert world.waiting == {}
    world.clock.time += 5.0
    assert world.waiting == {
        "placed": Verdict(Reason.RELEASED),
        "lost": full,
        "never gated": Verdict(Reason.NO_ROOM),
    }


async def test_a_release_that_hangs_is_shown_as_well() -> None:
    world = World()
    world.hands.answers["p"] = ConnectionError("no API server")
    world.controller.add(pod("p"))
    await world.controller.round()
    world.clock.time += 5.0
    assert world.waiting == {"p": Verdict(Reason.RELEASED)}


def bound(world: World, each: Pod) -> None:
    world.ledger.bind(each, world.hands.places[each.name])


async def test_news_from_before_its_bind_does_not_send_a_pod_on_its_way_again() -> None:
    world = World()
    world.controller.add(pod("p"))
    await world.controller.round()
    bound(world, pod("p"))
    world.on_its_way("p")
    world.controller.add(pod("p"))
    world.clock.time += 10.0
    assert (world.waiting, dict(world.controller.queue.pods)) == ({}, {})
    world.controller.bound(pod("p"), world.hands.places["p"])
    assert await world.after(10 * STUCK) == []
    assert world.waiting == {}
