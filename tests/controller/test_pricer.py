"""Prices follow what is asked for, and the cluster; never for every pod."""

import pytest

from scheduler.clock import SystemClock
from scheduler.controller.pricer import Pricer
from scheduler.controller.state import State
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.requests import Request
from scheduler.core.packing.mixer import Mixer
from scheduler.settings import Kube, Packing, Settings
from tests.support.builders import node, share


class World:
    def __init__(self) -> None:
        self.mixer, self.ledger = Mixer(), Ledger([node("a", 4)])
        self.pricer = Pricer(self.mixer, self.ledger, clock=SystemClock())

    def ask(self, request: Request, times: int) -> None:
        for _ in range(times):
            self.mixer.count(request)

    @property
    def priced(self) -> set[Request]:
        return {request for bids in self.mixer.mix.bids for request, _ in bids.rents}


async def test_what_is_asked_for_is_priced() -> None:
    world = World()
    world.ask(share(500), 4)
    before = world.mixer.mix
    assert await world.pricer.look()
    assert world.priced == {share(500)}
    # Kept scores go by the mix: it has to be another one.
    assert world.mixer.mix is not before
    assert world.mixer.mix.weights == before.weights


async def test_a_few_more_change_no_price() -> None:
    world = World()
    world.ask(share(500), 100)
    await world.pricer.look()
    world.ask(share(300), 20)
    assert not await world.pricer.look()
    assert world.priced == {share(500)}
    world.ask(share(300), 10)
    assert await world.pricer.look()
    assert world.priced == {share(500), share(300)}


async def test_prices_outlive_a_new_mix() -> None:
    world = World()
    world.ask(share(500), 10)
    await world.pricer.look()
    world.ask(share(300), 1)
    assert share(300) in dict(world.mixer.mix.weights)
    assert world.priced == {share(500)}


async def test_a_cluster_of_another_size_has_other_prices() -> None:
    world = World()
    world.ask(share(500), 10)
    await world.pricer.look()
    assert not await world.pricer.look()
    world.ledger.put_nodes([node("b", 4)])
    assert await world.pricer.look()


async def test_where_nobody_asked_yet_nothing_has_a_price() -> None:
    world = World()
    await world.pricer.look()
    assert world.mixer.mix.bids == ()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            Settings(packing=Packing(remembered_requests=100)),
            r"packing\.remembered_requests is 100; write 2048 or more",
        ),
        (Settings(kube=Kube(backlog=0)), r"kube\.backlog is 0; write 1 or more"),
        (Settings(kube=Kube(backlog=-5)), r"kube\.backlog is -5; write 1 or more"),
    ],
)
def test_numbers_with_which_nothing_would_go_on_are_refused(
    settings: Settings, problem: str
) -> None:
    with pytest.raises(InvalidInput, match=problem):
        State(Ledger(), clock=SystemClock(), settings=settings, active=True)
