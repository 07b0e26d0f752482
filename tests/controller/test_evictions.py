"""Running pods that are stopped for others: asked, asked again, deleted in the end, or let be."""

import asyncio
from dataclasses import replace

import pytest

from scheduler.clock import Clock
from scheduler.controller.evictions import AGAIN_SECONDS, MOST_REFUSALS, SPARED_SECONDS
from scheduler.controller.lives import LOST_SECONDS
from scheduler.controller.state import State
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.errors import NotLeading, ReleaseRefused
from scheduler.core.model.ids import PodUID
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Memory
from scheduler.core.model.verdicts import Reason
from scheduler.settings import Fairness, Reclaim, Settings
from scheduler.simulator import virtualtime
from tests.controller.hands import Eyes, Hands, controller
from tests.support.builders import node, place, pod, tenant, whole
from tests.support.extenders import ManualClock

pytestmark = pytest.mark.usefixtures("quiet")

PATIENCE, BUDGET, GRACE = 60.0, 30.0, 20.0
RECLAIM = Reclaim(PATIENCE, min_runtime_seconds=0.0, budget_seconds=BUDGET, grace_seconds=GRACE)
TAKER = pod("taker", whole(), "b")


class World:
    """Tenant a has both cards, the second one for a shorter time; b waits for one."""

    def __init__(self, reclaim: Reclaim = RECLAIM, *, clock: Clock | None = None) -> None:
        self.clock, self.hands, self.eyes = ManualClock(), Hands(), Eyes()
        now = clock or self.clock
        self.ledger = Ledger([node("n1", 2)])
        self.controller = controller(
            self.ledger,
            [tenant("a"), tenant("b")],
            clock=now,
            hands=self.hands,
            eyes=self.eyes,
            settings=Settings(reclaim=reclaim, fairness=Fairness(reserve_seconds=None)),
        )
        for index, name in enumerate(["old", "young"]):
            self.runs(pod(name, whole(), "a"), index, now.now() - 500 + 10 * index)
        self.controller.add(TAKER)

    def runs(self, running: Pod, index: int, since: float) -> None:
        self.controller.bound(running, place("n1", (index, 1000, 16_000)))
        self.controller.runs(running, since)

    def gone(self, name: str) -> None:
        self.controller.gone(PodUID(name))

    async def after(self, seconds: float) -> list[tuple[str, bool]]:
        """Let time pass; return who was asked since, and whether past all budgets."""
        before = len(self.hands.stopped)
        self.clock.time += seconds
        await self.controller.round()
        return [(name, past) for name, _, past in self.hands.stopped[before:]]

    async def late(self) -> list[tuple[str, bool]]:
        """Let the patience of who waits be over."""
        await self.after(0)
        return await self.after(PATIENCE)

    @property
    def evicted(self) -> int:
        return self.eyes.decisions.count(("evict", Reason.RECLAIMED))


async def test_one_pod_is_asked_once_and_the_other_one_has_its_place_when_it_is_gone() -> None:
    world = World()
    assert await world.late() == [("young", False)]
    assert world.hands.stopped == [("young", Reason.RECLAIMED, False)]
    for _ in range(5):
        assert await world.after(BUDGET) == []
    assert world.evicted == 1
    # It had run for 490 s when b came.
    assert world.eyes.lost == {"young": 490 + PATIENCE}
    assert world.hands.released == []
    world.gone("young")
    await world.after(0)
    assert world.hands.released == ["taker"]
    assert await world.after(10 * PATIENCE) == []


async def test_a_budget_delays_it_and_then_the_pod_is_deleted() -> None:
    world = World()
    world.hands.going = False
    assert await world.late() == [("young", False)]
    assert await world.after(AGAIN_SECONDS - 1) == []
    assert await world.after(1) == [("young", False)]
    assert world.evicted == 0
    world.hands.going = True
    assert await world.after(BUDGET - AGAIN_SECONDS) == [("young", True)]
    assert world.evicted == 1


async def test_the_time_of_a_budget_is_not_drawn_out_by_the_last_attempt() -> None:
    world = World()
    world.hands.going = False
    await world.late()
    await world.after(BUDGET - 1)
    assert await world.after(1) == [("young", True)]


async def test_in_the_place_of_one_that_can_not_even_be_deleted_another_one_is_stopped() -> None:
    world = World()
    world.hands.going = ConnectionError("no answer")
    await world.late()
    assert await world.after(BUDGET) == [("young", True)]
    assert await world.after(AGAIN_SECONDS) == [("young", True)]
    world.hands.going = True
    assert await world.after(1) == [("old", False)]
    assert await world.after(SPARED_SECONDS) == []


async def test_once_its_place_is_not_wanted_any_more_it_is_let_be() -> None:
    world = World()
    world.hands.going = False
    assert await world.late() == [("young", False)]
    world.gone("taker")
    assert await world.after(BUDGET) == []
    world.controller.add(pod("another", whole(), "b"))
    assert await world.late() == [("young", False)]


@pytest.mark.parametrize(
    ("grace", "asked"), [(GRACE, []), (365 * 86400.0, [("young", False)])], ids=["short", "a year"]
)
async def test_a_pod_that_is_going_anyway_is_waited_for_unless_it_takes_its_time(
    grace: float, asked: list[tuple[str, bool]]
) -> None:
    world = World()
    await world.after(0)
    world.clock.time += PATIENCE
    world.controller.ends(PodUID("young"), world.clock.time + grace)
    assert await world.after(0) == asked


async def test_a_pod_of_which_nobody_knows_since_when_it_runs_begins_now() -> None:
    world = World(Reclaim(PATIENCE, min_runtime_seconds=100.0))
    for name in ("old", "young"):
        world.gone(name)
        world.runs(pod(name, whole(), "a"), int(name == "old"), 0.0)
    assert await world.late() == []
    assert await world.after(40) == [("old", False)]


async def test_who_leads_no_more_asks_nobody_and_whoever_leads_then_waits_anew() -> None:
    world = World()
    world.hands.going = NotLeading("another one does")
    await world.late()
    world.controller.set_active(False)
    assert await world.after(BUDGET) == []
    world.controller.set_active(True)
    world.hands.going = True
    assert await world.after(0) == []
    assert await world.after(PATIENCE) == [("young", False)]


async def test_it_can_be_switched_off() -> None:
    world = World(Reclaim(None))
    assert await world.late() == []
    assert await world.after(1e6) == []


async def test_the_loop_wakes_up_when_a_patience_is_over() -> None:
    state = State(Ledger(), clock=ManualClock(), settings=Settings(reclaim=RECLAIM), active=True)
    assert state.next_patience(0.0) is None
    state.memory = Memory({PodUID("p"): 100.0, PodUID("q"): 120.0})
    assert state.next_patience(110.0) == 100.0 + PATIENCE
    assert state.next_patience(100.0 + PATIENCE) == 120.0 + PATIENCE
    # After that those for whom GPUs are to be reserved.
    assert state.next_patience(120.0 + PATIENCE) == 100.0 + (
        Settings().fairness.reserve_seconds or 0.0
    )


def test_a_patience_that_ends_while_a_round_is_under_way_waits_for_no_other_news() -> None:
    async def main() -> tuple[list[str], list[str]]:
        clock = virtualtime.LoopClock()
        world = World(replace(RECLAIM, patience_seconds=7.0), clock=clock)
        slow = [0.0]
        world.controller.prepare_rounds(lambda: asyncio.sleep(slow[0]))
        running = asyncio.create_task(world.controller.run())
        await asyncio.sleep(6.5)
        slow[0] = 1.0
        world.controller.put_nodes([node("n2", 0)])
        await asyncio.sleep(1.4)
        before = [name for name, _, _ in world.hands.stopped]
        await asyncio.sleep(1.4)
        running.cancel()
        await asyncio.wait({running})
        return before, [name for name, _, _ in world.hands.stopped]

    assert virtualtime.run(main()) == ([], ["young"])


async def test_how_long_pods_were_held_is_counted_by_reason() -> None:
    world = World()
    await world.after(0)
    await world.after(10)
    world.controller.add(pod("second", whole(), "b", created=1.0))
    await world.after(5)
    await world.after(1)
    assert world.eyes.held_for == {Reason.NO_ROOM: 10 + 5 + 2}


async def test_who_only_follows_counts_nobodys_waiting() -> None:
    world = World()
    await world.after(0)
    world.controller.set_active(False)
    await world.after(100)
    world.controller.set_active(True)
    await world.after(0)
    assert world.eyes.held_for == {Reason.NO_ROOM: 0.0}


async def test_one_that_goes_after_all_is_waited_for_though_we_had_given_it_up() -> None:
    world = World()
    world.hands.going = ConnectionError("no answer")
    await world.late()
    await world.after(BUDGET)
    await world.after(AGAIN_SECONDS)
    world.controller.ends(PodUID("young"), world.clock.time + 1)
    assert await world.after(1) == []


async def test_one_that_can_not_die_holds_nobody_up_for_long() -> None:
    world = World()
    assert await world.late() == [("young", False)]
    world.controller.ends(PodUID("young"), world.clock.time + GRACE)
    assert await world.after(GRACE + LOST_SECONDS) == []
    assert await world.after(1) == [("old", False)]


async def test_for_one_whose_release_is_refused_again_and_again_nobody_is_stopped() -> None:
    world = World(replace(RECLAIM, patience_seconds=1.0))
    world.hands.answers["taker"] = ReleaseRefused("it changed")
    stopped = 0
    for number in range(200):
        for name, _ in await world.after(30.0):
            stopped += 1
            index = world.ledger.holdings[PodUID(name)].placement.slots[0].index
            world.gone(name)
            await world.after(1.0)
            world.runs(pod(f"again{number}", whole(), "a"), index, 1.0)
    assert 0 < stopped <= MOST_REFUSALS + 1
