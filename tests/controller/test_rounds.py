"""Rounds in a worker: the same decisions, beside the event loop, with the ledger's last word."""

import asyncio
import threading
from dataclasses import replace

import pytest

from scheduler.clock import SystemClock
from scheduler.controller.controller import Controller
from scheduler.controller.loop import COALESCE_SECONDS, MOST_REST_SECONDS
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.gangs import Gang
from scheduler.core.model.plans import Plan
from scheduler.core.model.requests import Request
from scheduler.settings import Kube, Reclaim, Settings
from tests.controller.hands import Eyes, Hands, controller
from tests.support.builders import node, place, pod, share, tenant, whole
from tests.support.extenders import ManualClock

pytestmark = pytest.mark.usefixtures("quiet")

TENANTS = [tenant("a", weight=2), tenant("b"), tenant("c", limit=1)]
REQUESTS = (share(250), share(500), whole(), share(300, 2))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger([node("n1", 4), node("n2", 2, model="A100")])


def made(ledger: Ledger, worker_above: int | None, hands: Hands | None = None) -> Controller:
    return controller(
        ledger, TENANTS, clock=ManualClock(), worker_above=worker_above, hands=hands or Hands()
    )


def fill(world: Controller, count: int = 24) -> None:
    for number in range(count):
        request: Request = REQUESTS[number % len(REQUESTS)]
        world.add(pod(f"p{number}", request, "abc"[number % 3], created=float(number)))


async def decided(worker_above: int | None) -> list[Plan]:
    ledger = Ledger([node("n1", 4), node("n2", 2, model="A100")])
    world, plans = made(ledger, worker_above), list[Plan]()
    fill(world)
    for _ in range(3):
        plans.append(await world.round())
        gone = next(iter(ledger.holdings))
        world.gone(gone)
    return plans


async def test_a_worker_decides_just_the_same() -> None:
    at_once = await decided(None)
    assert any(plan.admits for plan in at_once[1:])
    assert await decided(0) == at_once


@pytest.mark.parametrize(("pods", "beside"), [(3, False), (4, True)])
async def test_only_a_long_line_is_decided_about_beside_the_loop(
    ledger: Ledger, pods: int, beside: bool
) -> None:
    before = set(threading.enumerate())
    world = made(ledger, 3)
    fill(world, pods)
    await world.round()
    # The loop's executor keeps the thread that it made.
    assert bool(set(threading.enumerate()) - before) == beside


@pytest.mark.parametrize("ordered", [False, True])
async def test_who_runs_is_copied_for_an_order_though_nobody_could_be_stopped(
    ordered: bool,
) -> None:
    settings = Settings(reclaim=Reclaim(patience_seconds=None))
    until = 10.0 if ordered else 0.0
    clock = ManualClock()
    world = controller(
        Ledger([node("n1", 2)]),
        [replace(tenant("a"), defrag_until=clock.now() + until if until else 0.0)],
        clock=clock,
        hands=Hands(),
        eyes=Eyes(),
        settings=settings,
    )
    for index, name in enumerate(["one", "other"]):
        running = pod(name, whole(), "a")
        world.bound(running, place("n1", (index, 1000, 16_000)))
        world.runs(running, clock.now())
    assert bool(world.snapshot().running) is False
    world.add(pod("waits", whole(), "a"))
    assert bool(world.snapshot().running) is ordered
    assert len(world.snapshot(everybody=True).running) == 2
    clock.time += 10.0
    assert bool(world.snapshot().running) is False


async def test_what_happens_meanwhile_counts_more_than_the_plan() -> None:
    hands = Hands()
    world = made(Ledger([node("n1", 8)]), 0, hands)
    for name in ("went", "changed", "ungated", "stays"):
        world.add(pod(name, whole()))
    going = asyncio.create_task(world.round())
    await asyncio.sleep(0)
    world.gone(pod("went").uid)
    world.add(pod("changed", 500))
    world.ungated(pod("ungated").uid)
    await going
    assert hands.released == ["stays"]
    await world.round()
    assert hands.released == ["stays", "changed"]


async def test_a_place_that_was_taken_meanwhile_is_not_sold_again() -> None:
    hands = Hands()
    world = made(Ledger([node("n1", 1)]), 0, hands)
    world.add(pod("p", whole()))
    going = asyncio.create_task(world.round())
    await asyncio.sleep(0)
    world.bound(pod("q", whole()), place("n1", (0, 1_000, 16_000)))
    await going
    assert hands.released == []
    assert set(world.queue.pods) == {"p"}
    world.gone(pod("q").uid)
    await world.round()
    assert hands.released == ["p"]


async def test_all_of_a_gang_is_released_or_none_of_it() -> None:
    hands = Hands()
    world = made(Ledger([node("n1", 3)]), 0, hands)
    for number in range(3):
        world.add(replace(pod(f"g{number}", whole()), gang=Gang("lab/g", 3)))
    going = asyncio.create_task(world.round())
    await asyncio.sleep(0)
    world.bound(pod("q", whole()), place("n1", (2, 1_000, 16_000)))
    await going
    assert hands.released == []
    assert set(world.queue.pods) == {"g0", "g1", "g2"}
    world.gone(pod("q").uid)
    await world.round()
    assert sorted(hands.released) == ["g0", "g1", "g2"]


async def test_what_was_decided_for_tenants_that_are_others_now_is_decided_anew(
    ledger: Ledger,
) -> None:
    hands = Hands()
    world = made(ledger, 0, hands)
    world.add(pod("p", whole(2), "a"))
    going = asyncio.create_task(world.round())
    await asyncio.sleep(0)
    world.set_tenants([tenant("a", limit=1)])
    await going
    assert (hands.released, world.plan) == ([], Plan())
    await world.round()
    assert hands.held == [("p", "OverLimit")]


async def test_a_loop_in_real_time_rests_after_work_and_not_for_long() -> None:
    eyes = Eyes()
    world = controller(
        Ledger([node("n1", 2)]), TENANTS, clock=SystemClock(), eyes=eyes, worker_above=0
    )
    running = asyncio.create_task(world.run())
    for number in range(5):
        world.add(pod(f"p{number}", 100))
        await asyncio.sleep(2 * COALESCE_SECONDS)
    async with asyncio.timeout(10 * MOST_REST_SECONDS):
        while world.queue.pods:
            await asyncio.sleep(COALESCE_SECONDS)
    running.cancel()
    await asyncio.wait({running})
    assert 1 <= eyes.phases.count("admit") <= 6


async def test_a_large_standing_is_the_same_when_it_is_worked_out_beside_the_loop() -> None:
    ledger = Ledger([node(f"n{number}", 2) for number in range(250)])
    world = made(ledger, 0)
    fill(world)
    world.add(pod("waits", whole(9)))
    world.bound(pod("runs", whole()), place("n7", (1, 1_000, 16_000)))
    await world.round()
    assert await world.standing_beside() == world.standing()


async def test_a_standing_worked_out_beside_the_loop_is_of_one_moment() -> None:
    ledger = Ledger([node(f"n{number}", 2) for number in range(250)])
    world = made(ledger, 0)
    world.bound(pod("runs", whole()), place("n7", (1, 1_000, 16_000)))
    before = world.standing()
    asked = asyncio.create_task(world.standing_beside())
    await asyncio.sleep(0)
    world.gone(pod("runs").uid)
    world.drop_node(ledger.columns.names[0])
    assert await asked == before


async def test_turns_go_on_once_half_of_those_on_their_way_are_through() -> None:
    ledger, hands = Ledger([node("n1", 8)]), Hands()
    world = controller(
        ledger,
        [tenant("a"), tenant("b")],
        clock=ManualClock(),
        hands=hands,
        settings=Settings(kube=Kube(backlog=4)),
    )
    for number in range(6):
        world.add(pod(f"p{number}", whole(), "ab"[number % 2], created=float(number)))
    await world.round()
    assert hands.released == ["p0", "p1", "p2", "p3"]
    assert hands.held == []
    assert [each.verdict.reason for each in world.standing().waiting] == ["InLine"] * 2
    again = asyncio.create_task(world.run())
    world.ungated(pod("p0").uid)
    await asyncio.sleep(2 * COALESCE_SECONDS)
    assert len(hands.released) == 4
    world.ungated(pod("p1").uid)
    async with asyncio.timeout(10):
        while len(hands.released) < 6 or world.standing().waiting:
            await asyncio.sleep(COALESCE_SECONDS)
    assert hands.released[4:] == ["p4", "p5"]
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)


async def test_releases_of_which_nobody_knows_what_became_hold_up_nobody_else() -> None:
    ledger, hands = Ledger([node("n1", 8)]), Hands()
    hands.answers = {name: ConnectionError("a webhook of theirs fails") for name in ("p0", "p1")}
    world = controller(
        ledger,
        [tenant("a"), tenant("b")],
        clock=ManualClock(),
        hands=hands,
        settings=Settings(kube=Kube(backlog=2)),
    )
    for name in ("p0", "p1"):
        world.add(pod(name, whole(), "a"))
    await world.round()
    world.add(pod("q", whole(), "b"))
    await world.round()
    assert hands.released[:2] == ["p0", "p1"]
    assert "q" in hands.released
