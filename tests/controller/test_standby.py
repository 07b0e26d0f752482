"""One that doesn't act: it follows, decides nothing, and takes over from what it follows."""

import asyncio

import pytest

from scheduler.controller.controller import Controller
from scheduler.core.cycle.standing import oversold_milli
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import TenantName
from scheduler.settings import Extender, Settings
from scheduler.simulator import virtualtime
from tests.controller.hands import Eyes, Hands, controller
from tests.support.builders import node, place, pod, tenant, whole
from tests.support.extenders import ManualClock

pytestmark = pytest.mark.usefixtures("quiet")

PLAIN = [tenant("a"), tenant("b")]
A, B = TenantName("a"), TenantName("b")
BIND_SECONDS = Settings(extender=Extender()).extender.bind_seconds


@pytest.fixture
def standby(ledger: Ledger, clock: ManualClock, hands: Hands) -> Controller:
    return controller(ledger, PLAIN, clock=clock, hands=hands, active=False)


async def test_a_standby_follows_and_decides_nothing(
    standby: Controller, ledger: Ledger, hands: Hands
) -> None:
    standby.bound(pod("r", 500, "b"), place("n1", (0, 500, 8_000)))
    standby.add(pod("p"))
    plan = await standby.round()
    assert (plan.admits, plan.holds, hands.released, hands.held) == ((), (), [], [])
    assert set(ledger.holdings) == {"r"}
    assert not standby.active
    standby.set_active(True)
    await standby.round()
    assert hands.released == ["p"]


def test_its_loop_begins_to_decide_as_soon_as_it_is_told_to() -> None:
    async def main() -> tuple[int, list[str]]:
        hands, eyes = Hands(), Eyes()
        made = controller(
            Ledger([node("n1")]),
            PLAIN,
            clock=virtualtime.LoopClock(),
            hands=hands,
            eyes=eyes,
            active=False,
        )
        running = asyncio.create_task(made.run())
        made.add(pod("p"))
        await asyncio.sleep(60.0)
        before = len(eyes.phases)
        made.set_active(True)
        await asyncio.sleep(0.1)
        running.cancel()
        await asyncio.wait({running})
        return before, hands.released

    assert virtualtime.run(main()) == (0, ["p"])


async def test_bookings_that_nobody_confirmed_end_on_a_standby_too(
    standby: Controller, ledger: Ledger, clock: ManualClock
) -> None:
    ledger.reserve(pod("p"), place("n1", (0, 500, 8_000)), expires=1_005.0)
    clock.time = 1_005.0
    await standby.round()
    assert not ledger.holdings


async def test_who_stops_to_act_takes_back_what_was_not_sent(
    made: Controller, ledger: Ledger, hands: Hands
) -> None:
    hands.meanwhile = lambda _pod: made.set_active(False)
    for name in "pq":
        made.add(pod(name, created=float(ord(name))))
    await made.round()
    # p's release was under way; q's wasn't sent, so nobody needs its place.
    assert hands.released == ["p"]
    assert set(ledger.holdings) == {"p"}
    assert set(made.queue.pods) == {"p", "q"}


async def test_who_stops_to_act_in_the_middle_of_a_long_plan_does_not_go_on_with_it(
    clock: ManualClock, hands: Hands
) -> None:
    ledger = Ledger([node("n1", 500)])
    made = controller(ledger, PLAIN, clock=clock, hands=hands)
    hands.meanwhile = lambda _pod: made.set_active(False)
    for number in range(450):
        made.add(pod(f"p{number}", 3_000 if number > 440 else 100, created=float(number)))
    await made.round()
    assert hands.released == ["p0"]
    assert set(ledger.holdings) == {"p0"}
    assert len(made.queue.pods) == 450
    assert hands.held == []


async def test_places_of_pods_on_their_way_last_as_long_as_a_binding_may_take(
    made: Controller, ledger: Ledger, clock: ManualClock
) -> None:
    made.add(pod("p"))
    await made.round()
    made.set_active(False)
    clock.time += BIND_SECONDS - 0.1
    await made.round()
    assert set(ledger.holdings) == {"p"}
    clock.time += 0.1
    await made.round()
    assert not ledger.holdings


async def test_what_others_bind_meanwhile_is_never_oversold_here(
    made: Controller, ledger: Ledger, clock: ManualClock
) -> None:
    made.add(pod("p", whole()))
    await made.round()
    made.set_active(False)
    clock.time += BIND_SECONDS
    await made.round()
    made.bound(pod("q", whole()), place("n1", (0, 1_000, 16_000)))
    made.bound(pod("p", whole()), place("n1", (1, 1_000, 16_000)))
    assert oversold_milli(ledger.columns) == 0


async def test_a_plan_made_while_it_acted_is_not_carried_out_when_it_acts_no_longer(
    ledger: Ledger, clock: ManualClock, hands: Hands
) -> None:
    made = controller(ledger, PLAIN, clock=clock, hands=hands, worker_above=0)
    made.add(pod("p"))
    going = asyncio.create_task(made.round())
    await asyncio.sleep(0)
    made.set_active(False)
    await going
    assert (hands.released, dict(ledger.holdings)) == ([], {})
    assert set(made.queue.pods) == {"p"}


async def test_lags_stand_still_on_a_standby_and_go_on_from_what_is_restored(
    made: Controller, clock: ManualClock
) -> None:
    made.bound(pod("r", whole(), "b"), place("n1", (0, 1_000, 16_000)))
    made.add(pod("p", whole(2)))
    await made.round()
    clock.time += 10.0
    owed = dict(made.lags)
    assert owed[A] > 0
    made.set_active(False)
    clock.time += 1_000.0
    assert made.lags == owed
    made.restore({A: 7.0, B: -7.0})
    made.set_active(True)
    assert made.lags == {A: 7.0, B: -7.0}
    await made.round()
    clock.time += 10.0
    assert made.lags[A] == pytest.approx(7.0 + owed[A])


async def test_lags_of_tenants_that_are_gone_are_not_restored(
    standby: Controller, clock: ManualClock
) -> None:
    standby.restore({A: 5.0, TenantName("gone"): -5.0})
    clock.time += 1.0
    assert standby.lags == {A: 5.0, B: 0.0}


async def test_acting_again_is_no_news_for_one_that_acts(made: Controller, hands: Hands) -> None:
    made.add(pod("p"))
    await made.round()
    made.set_active(True)
    await made.round()
    assert hands.released == ["p"]
