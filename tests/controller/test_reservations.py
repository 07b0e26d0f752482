"""Devices that drain for a large request stay kept from one round to the next."""

import pytest

from scheduler.controller.controller import Controller
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import PodUID
from scheduler.settings import Fairness, Settings
from tests.controller.hands import controller
from tests.support.builders import node, pod, share, tenant, whole
from tests.support.extenders import ManualClock

pytestmark = pytest.mark.usefixtures("quiet")

PATIENCE = 720.0


async def busy(settings: Settings) -> tuple[Controller, ManualClock]:
    """Two cards with halves of b on them, of which more wait; a pod of a that needs both cards."""
    clock = ManualClock()
    world = controller(
        Ledger([node("n1", 2)]), [tenant("a"), tenant("b")], clock=clock, settings=settings
    )
    for number in range(4):
        world.add(pod(f"b{number}", share(500), "b", created=float(number)))
    await world.round()
    world.add(pod("large", whole(2), "a", created=5.0))
    for number in range(4, 8):
        world.add(pod(f"b{number}", share(500), "b", created=float(number)))
    await world.round()
    return world, clock


async def started_after_ends(world: Controller, clock: ManualClock) -> list[str]:
    """Let the first four end one after another once the patience is over; return who started."""
    clock.time += PATIENCE
    await world.round()
    started = []
    for number in range(4):
        world.gone(PodUID(f"b{number}"))
        clock.time += 1
        started += [admit.pod.name for admit in (await world.round()).admits]
    return started


async def test_by_default_small_ones_take_whatever_ends() -> None:
    world, clock = await busy(Settings())
    assert await started_after_ends(world, clock) == ["b4", "b5", "b6", "b7"]


async def test_with_a_patience_the_large_one_starts_when_both_are_free() -> None:
    world, clock = await busy(Settings(fairness=Fairness(reserve_seconds=PATIENCE)))
    assert await started_after_ends(world, clock) == ["large"]
    assert world.plan.memory.reservations == ()
