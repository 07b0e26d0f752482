"""Whatever fails, and whoever acts: nothing is sold twice, nobody is lost, and it settles."""

import asyncio
import logging
import random
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.settings import Extender
from tests.controller.universe import STUCK_SECONDS, Universe

Step = tuple[str, int]

FATES = ("ok", "ok", "refused", "lost", "down", "told", "gone", "deposed", "retired")
FRACTIONS = ("0.25", "0.5", "0.5", "1")
OWNERS = ("", "rs1", "rs2")
CHANGES = (
    *("create", "create", "create", "create ungated", "finish", "delete", "fate", "fate"),
    *("round", "round", "schedule", "schedule", "schedule", "time", "ill", "mended", "move"),
    *("tell", "tell", "hear first", "cut", "reconnect", "stand by", "act", "rival", "rival"),
)
STEPS = st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 999)), max_size=60)


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


class History:
    """One history of a universe, step by step."""

    def __init__(self) -> None:
        self.world = Universe()

    async def step(self, what: str, number: int) -> None:
        world = self.world
        if what in ("round", "schedule", "stand by", "act", "rival"):
            await self.decide(what, number)
        elif what in ("cut", "reconnect", "tell", "hear first"):
            self.listen(what, number)
        elif what == "fate":
            world.api.fates.append(FATES[number % len(FATES)])
        elif what == "time":
            # A watch that is there isn't late for so long.
            world.tell()
            world.clock.time += number / 10
        elif what in ("ill", "mended"):
            world.ill(healthy=what == "mended")
        elif what == "move":
            world.tenants["lab"] = ("lab", "moved")[number % 2]
            world.feed.retell("lab")
        else:
            self.change(what, number)
        world.check()

    async def decide(self, what: str, number: int) -> None:
        world = self.world
        on_their_way = list(world.on_their_way())
        match what:
            case "round":
                await world.controller.round()
            # The extender answers only while it acts and the watch is there.
            case "schedule" if on_their_way and world.controller.active and not world.outage:
                await world.schedule(on_their_way[number % len(on_their_way)])
            case "stand by":
                world.controller.set_active(False)
            case "act" if not world.controller.active:
                # Others have ended what they had begun, and all pods are listed anew.
                world.clock.time += Extender().bind_seconds
                world.reconnect()
                world.controller.set_active(True)
            case "rival" if not world.controller.active:
                unbound = [uid for uid in world.api.pods if not world.api.is_placed(uid)]
                if unbound:
                    world.rival(unbound[number % len(unbound)])

    def listen(self, what: str, number: int) -> None:
        world = self.world
        match what:
            case "cut":
                world.outage = True
            case "reconnect":
                world.reconnect()
            case "tell":
                world.tell()
            case "hear first" if world.api.told and not world.outage:
                # The watch is slow: it tells a part only.
                late = world.api.told[1 + number % len(world.api.told) :]
                del world.api.told[len(world.api.told) - len(late) :]
                world.tell()
                world.api.told = late

    def change(self, what: str, number: int) -> None:
        api = self.world.api
        uids = list(api.pods)
        if what.startswith("create"):
            fraction, owner = FRACTIONS[number % 4], OWNERS[number % 3]
            namespace, gated = ("lab", "other")[number % 2], what == "create"
            api.create(fraction, owner, namespace=namespace, gated=gated)
        elif uids and what == "delete":
            api.delete(uids[number % len(uids)])
        elif uids and api.is_placed(uid := uids[number % len(uids)]):
            pod = api.change(uid)
            pod["status"]["phase"] = "Succeeded"
            api.write(uid, pod)

    async def settle(self) -> None:
        """Let nothing fail any more, and pods end soon: everybody has to have run then."""
        world = self.world
        world.api.fates.clear()
        world.ill(healthy=True)
        await self.step("reconnect", 0)
        await self.step("act", 0)
        for _ in range(60):
            unfinished = [u for u, p in world.api.pods.items() if p["status"]["phase"] == "Pending"]
            if not unfinished and not world.ledger.holdings:
                return
            world.clock.time += STUCK_SECONDS + 1.0
            await self.step("round", 0)
            await self.step("tell", 0)
            for uid in list(world.on_their_way()):
                await world.schedule(uid)
                await self.step("tell", 0)
            for at, uid in enumerate(list(world.api.pods)):
                if world.api.is_placed(uid):
                    await self.step("finish", at)
            await self.step("tell", 0)
        pytest.fail(f"these never ran: {unfinished}")


def play(steps: Iterable[Step]) -> None:
    async def main() -> None:
        history = History()
        for what, number in steps:
            await history.step(what, number)
        await history.settle()

    asyncio.run(main())


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_nothing_is_sold_twice_nobody_is_lost_and_it_settles(steps: list[Step]) -> None:
    play(steps)


@pytest.mark.parametrize("seed", range(40))
def test_long_histories_settle_too(seed: int) -> None:
    dice = random.Random(seed)
    play((dice.choice(CHANGES), dice.randrange(1000)) for _ in range(250))
