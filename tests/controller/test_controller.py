"""Rounds: what is reserved when, and what happens to pods that change or go meanwhile."""

import asyncio
import logging

import pytest

from scheduler.controller.controller import Controller
from scheduler.controller.loop import COALESCE_SECONDS, IDLE_SECONDS
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.errors import InvalidTenants
from scheduler.core.model.pods import Pod
from scheduler.simulator import virtualtime
from tests.controller.hands import Eyes, Hands, controller
from tests.support.builders import node, place, pod, tenant, whole
from tests.support.extenders import ManualClock

PLAIN = [tenant("a"), tenant("b")]


async def test_every_place_is_reserved_before_anything_is_awaited(
    made: Controller, ledger: Ledger, hands: Hands
) -> None:
    seen: list[set[str]] = []
    hands.meanwhile = lambda _pod: seen.append(set(ledger.holdings))
    for name in "pqr":
        made.add(pod(name, 600))
    plan = await made.round()
    assert [admit.pod.name for admit in plan.admits] == hands.released
    assert len(hands.released) == 2
    assert seen == [set(hands.released)] * 2
    assert all(holding.expires is None for holding in ledger.holdings.values())
    (waiting,) = made.standing().waiting
    assert hands.held == [(waiting.pod.removeprefix("lab/"), waiting.verdict.reason)]


async def test_a_released_pod_is_not_decided_about_again(made: Controller, hands: Hands) -> None:
    made.add(pod("p"))
    await made.round()
    # The watch may tell of the time before the release after it.
    made.add(pod("p"))
    made.add(pod("p", priority=3))
    plan = await made.round()
    assert (plan.admits, plan.holds, hands.released) == ((), (), ["p"])
    assert plan.demand[pod("p").tenant] == pytest.approx(0.5)


async def test_a_pod_that_goes_while_others_are_released_is_not_released(
    made: Controller, ledger: Ledger, hands: Hands, eyes: Eyes
) -> None:
    hands.meanwhile = lambda each: made.gone(pod("q" if each.name == "p" else "p").uid)
    made.add(pod("p"))
    made.add(pod("q"))
    await made.round()
    assert len(hands.released) == 1
    assert set(ledger.holdings) == set(hands.released)
    assert eyes.decisions == [("admit", "")]


async def test_a_pod_that_is_gone_when_it_is_released_frees_its_place(
    made: Controller, ledger: Ledger, hands: Hands, eyes: Eyes
) -> None:
    hands.answers["p"] = False
    made.add(pod("p", whole(2)))
    made.add(pod("q", whole(2), created=1.0))
    await made.round()
    assert not ledger.holdings
    assert eyes.decisions[0] != ("admit", "")
    await made.round()
    assert hands.released == ["p", "q"]


async def test_a_pod_that_changes_before_its_release_is_decided_about_anew(
    made: Controller, ledger: Ledger, hands: Hands
) -> None:
    changed = pod("q", whole(), created=1.0)

    def change(each: Pod) -> None:
        if each.name == "p":
            made.add(changed)

    hands.meanwhile = change
    made.add(pod("p"))
    made.add(pod("q", created=1.0))
    await made.round()
    assert hands.released == ["p"]
    assert set(ledger.holdings) == {"p"}
    await made.round()
    assert hands.released == ["p", "q"]
    assert ledger.holdings[changed.uid].pod == changed


async def test_a_pod_without_our_gate_is_not_released_but_keeps_its_place(
    made: Controller, ledger: Ledger, hands: Hands
) -> None:
    hands.meanwhile = lambda each: made.ungated(pod("q" if each.name == "p" else "p").uid)
    made.add(pod("p"))
    made.add(pod("q"))
    await made.round()
    assert len(hands.released) == 1
    assert len(ledger.holdings) == 2


async def test_a_release_whose_outcome_is_unknown_keeps_its_place_and_is_tried_again(
    made: Controller,
    ledger: Ledger,
    hands: Hands,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hands.answers["p"] = ConnectionError("no API server")
    made.add(pod("p", whole()))
    made.add(pod("q", whole(), created=1.0))
    with caplog.at_level(logging.CRITICAL):
        await made.round()
    assert hands.released == ["p", "q"]
    kept = ledger.holdings[pod("p").uid].placement
    del hands.answers["p"]
    await made.round()
    assert hands.released == ["p", "q"]
    clock.time += 1.0
    await made.round()
    assert hands.released == ["p", "q", "p"]
    assert hands.places["p"] == kept
    await made.round()
    assert hands.released == ["p", "q", "p"]


async def test_a_release_that_was_written_though_its_answer_was_lost_is_not_repeated(
    made: Controller, ledger: Ledger, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    hands.answers["p"] = ConnectionError("reset")
    made.add(pod("p"))
    with caplog.at_level(logging.CRITICAL):
        await made.round()
    made.ungated(pod("p").uid)
    await made.round()
    assert hands.released == ["p"]
    assert pod("p").uid in ledger.holdings


async def test_people_are_told_a_reason_once_and_a_deaf_api_stops_nobody(
    made: Controller, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    hands.speechless = True
    for name in ("p", "q"):
        made.add(pod(name, whole(3)))
    with caplog.at_level(logging.CRITICAL):
        await made.round()
        await made.round()
    assert hands.held == [("p", "NeverFits"), ("q", "NeverFits")]


async def test_waits_are_those_of_pods_that_were_seen_waiting(
    made: Controller, ledger: Ledger, clock: ManualClock, eyes: Eyes, hands: Hands
) -> None:
    made.bound(pod("old"), place("n1", (0, 500, 8_000)))
    assert eyes.waits == []
    clock.time = 1_010.0
    made.add(pod("p", created=1_004.0))
    await made.round()
    clock.time = 1_013.0
    made.bound(pod("p", created=1_004.0), hands.places["p"])
    made.bound(pod("p", created=1_004.0), hands.places["p"])
    assert eyes.waits == [("a", 9.0, 3.0)]


async def test_a_wait_is_noted_even_if_the_ledger_knew_of_the_bind_first(
    made: Controller, ledger: Ledger, clock: ManualClock, eyes: Eyes, hands: Hands
) -> None:
    made.add(pod("p", created=990.0))
    await made.round()
    ledger.bind(pod("p", created=990.0), hands.places["p"])
    clock.time = 1_002.0
    made.bound(pod("p", created=990.0), hands.places["p"])
    assert eyes.waits == [("a", 12.0, 2.0)]


async def test_a_bound_pod_waits_no_longer_wherever_it_was_decided(made: Controller) -> None:
    made.add(pod("p"))
    made.bound(pod("p"), place("n1", (1, 500, 8_000)))
    plan = await made.round()
    assert (plan.admits, plan.holds) == ((), ())
    assert made.standing().tenants[0].running_pods == 1


async def test_what_was_held_counts_from_the_moment_it_was_to_the_moment_it_ended(
    made: Controller, clock: ManualClock
) -> None:
    made.add(pod("p", whole()))
    await made.round()
    clock.time += 10.0
    made.bound(pod("p", whole()), place("n1", (0, 500, 8_000)))
    clock.time += 10.0
    made.gone(pod("p", whole()).uid)
    clock.time += 10.0
    assert made.service()[pod("p").tenant].got == 15.0


async def test_tenants_that_are_no_tree_change_nothing(made: Controller) -> None:
    with pytest.raises(InvalidTenants):
        made.set_tenants([tenant("a", "nobody")])
    assert [each.name for each in made.standing().tenants] == ["a", "b"]


async def test_a_tenant_that_goes_leaves_its_pods_running_and_its_queue_told_why(
    made: Controller, ledger: Ledger
) -> None:
    made.bound(pod("p", 500, "b"), place("n1", (0, 500, 8_000)))
    made.add(pod("q", 500, "b"))
    made.set_tenants([tenant("a")])
    await made.round()
    (waiting,) = made.standing().waiting
    assert waiting.verdict.reason == "UnknownTenant"
    assert set(ledger.holdings) == {"p"}


async def test_a_booking_that_nobody_confirmed_ends_with_the_next_round(
    made: Controller, ledger: Ledger, clock: ManualClock
) -> None:
    ledger.reserve(pod("p"), place("n1", (0, 500, 8_000)), expires=1_005.0)
    await made.round()
    assert ledger.holdings
    clock.time = 1_005.0
    await made.round()
    assert not ledger.holdings


async def test_each_request_is_counted_once_however_often_its_pod_is_seen(
    made: Controller,
) -> None:
    for _ in range(3):
        made.add(pod("p"))
        await made.round()
    assert made.mixer.mix.total == 1


def test_events_of_one_burst_make_one_round() -> None:
    async def main() -> int:
        eyes = Eyes()
        made = controller(Ledger([node("n1", 8)]), PLAIN, clock=virtualtime.LoopClock(), eyes=eyes)
        running = asyncio.create_task(made.run())
        for number in range(5):
            made.add(pod(f"p{number}"))
            await asyncio.sleep(COALESCE_SECONDS / 10)
        await asyncio.sleep(1.0)
        running.cancel()
        await asyncio.wait({running})
        return eyes.phases.count("admit")

    assert virtualtime.run(main()) == 1


def test_without_news_a_round_comes_all_the_same() -> None:
    async def main() -> int:
        eyes = Eyes()
        made = controller(Ledger(), PLAIN, clock=virtualtime.LoopClock(), eyes=eyes)
        running = asyncio.create_task(made.run())
        await asyncio.sleep(10 * IDLE_SECONDS + 1)
        running.cancel()
        await asyncio.wait({running})
        return eyes.phases.count("admit")

    assert virtualtime.run(main()) == 11


def test_a_round_that_fails_does_not_end_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> Hands:
        hands = Hands()
        made = controller(
            Ledger([node("n1")]),
            PLAIN,
            clock=virtualtime.LoopClock(),
            hands=hands,
            eyes=Eyes(blind=2),
        )
        made.add(pod("p"))
        running = asyncio.create_task(made.run())
        await asyncio.sleep(60.0)
        assert not running.done()
        running.cancel()
        await asyncio.wait({running})
        return hands

    with caplog.at_level(logging.CRITICAL):
        assert virtualtime.run(main()).released == ["p"]


@pytest.mark.parametrize("news_first", [True, False])
@pytest.mark.parametrize(
    ("moment", "blind"),
    [(1.0, 0), (COALESCE_SECONDS / 2, 0), (IDLE_SECONDS + COALESCE_SECONDS, 0), (0.5, 99), (0, 0)],
    ids=["waits", "coalesces", "idle is over", "after a failure", "has not begun"],
)
def test_cancelled_it_ends_at_once_even_when_there_is_news_at_the_same_moment(
    moment: float, blind: int, news_first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> tuple[bool, float]:
        loop = asyncio.get_running_loop()
        made = controller(Ledger(), PLAIN, clock=virtualtime.LoopClock(), eyes=Eyes(blind=blind))
        running = asyncio.create_task(made.run())
        await asyncio.sleep(moment)
        if news_first:
            made.put_nodes(())
            running.cancel()
        else:
            running.cancel()
            made.put_nodes(())
        cancelled_at = loop.time()
        await asyncio.wait({running}, timeout=100.0)
        return running.cancelled(), loop.time() - cancelled_at

    with caplog.at_level(logging.CRITICAL):
        assert virtualtime.run(main()) == (True, 0.0)
