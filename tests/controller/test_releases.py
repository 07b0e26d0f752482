"""Releases: many at once, in fair order, and what becomes of those that fail."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from scheduler.controller.controller import Controller
from scheduler.controller.loop import IDLE_SECONDS
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.errors import NotLeading, ReleaseRefused
from scheduler.core.model.verdicts import Reason
from scheduler.settings import Kube, Settings
from scheduler.simulator import virtualtime
from tests.controller.hands import Eyes, Hands, controller
from tests.support.builders import node, place, pod, tenant, whole
from tests.support.extenders import ManualClock

pytestmark = pytest.mark.usefixtures("quiet")

PLAIN = [tenant("a"), tenant("b")]


async def test_so_many_releases_are_under_way_at_once_and_they_start_in_the_plans_order(
    clock: ManualClock, hands: Hands
) -> None:
    hands.shut = True
    made = controller(
        Ledger([node("n1", 8)]),
        PLAIN,
        clock=clock,
        hands=hands,
        settings=Settings(kube=Kube(in_flight=3)),
    )
    for number in range(8):
        made.add(pod(f"p{number}", created=float(number)))
    going = asyncio.create_task(made.round())
    for _ in range(10):
        await asyncio.sleep(0)
    assert (len(hands.released), hands.under_way) == (3, 3)
    hands.open()
    plan = await going
    assert hands.released == [admit.pod.name for admit in plan.admits]
    assert (len(hands.released), hands.most_under_way) == (8, 3)


def test_releases_that_hang_do_not_hold_up_the_next_round() -> None:
    async def main() -> list[str]:
        hands, ledger = Hands(shut=True), Ledger([node("n1", 8)])
        made = controller(ledger, PLAIN, clock=virtualtime.LoopClock(), hands=hands)
        running = asyncio.create_task(made.run())
        for name in "pqr":
            made.add(pod(name))
            await asyncio.sleep(1.0)
        assert hands.under_way == 3
        running.cancel()
        await asyncio.wait({running})
        return hands.released

    assert virtualtime.run(main()) == ["p", "q", "r"]


async def test_a_refused_pod_gives_its_place_to_others_and_is_told_why(
    made: Controller, ledger: Ledger, hands: Hands
) -> None:
    hands.answers["p"] = ReleaseRefused("a policy says no")
    made.add(pod("p", whole(2)))
    made.add(pod("q", whole(2), created=1.0))
    await made.round()
    assert (hands.released, dict(ledger.holdings)) == (["p"], {})
    assert hands.held[-1] == ("p", Reason.RELEASE_REFUSED)
    (waiting,) = (each for each in made.standing().waiting if each.uid == "p")
    assert waiting.verdict.detail == "a policy says no"
    await made.round()
    assert hands.released == ["p", "q"]
    assert list(ledger.holdings) == ["q"]


async def test_a_refused_pod_is_tried_again_after_1_2_4_seconds(
    made: Controller, clock: ManualClock, hands: Hands
) -> None:
    hands.answers["p"] = ReleaseRefused("it changed")
    made.add(pod("p"))
    tries = []
    for _ in range(100):
        await made.round()
        tries.append(len(hands.released))
        clock.time += 1.0
    assert [at for at, tried in enumerate(tries) if at == 0 or tried > tries[at - 1]] == [
        0, 1, 3, 7, 15, 31, 63,
    ]  # fmt: skip
    assert hands.held == [("p", Reason.RELEASE_REFUSED)]


async def test_a_pod_that_was_refused_for_a_while_goes_as_soon_as_it_may(
    made: Controller, clock: ManualClock, hands: Hands
) -> None:
    hands.answers["p"] = ReleaseRefused("it changed")
    made.add(pod("p"))
    await made.round()
    del hands.answers["p"]
    clock.time += 1.0
    await made.round()
    made.ungated(pod("p").uid)
    assert hands.released == ["p", "p"]
    assert not made.queue.pods


def test_the_loop_wakes_up_when_a_back_off_ends() -> None:
    async def main() -> list[float]:
        clock, times = virtualtime.LoopClock(), list[float]()
        hands = Hands(answers={"p": ReleaseRefused("no")})
        hands.meanwhile = lambda _pod: times.append(clock.now() - virtualtime.EPOCH)
        made = controller(Ledger([node("n1")]), PLAIN, clock=clock, hands=hands)
        running = asyncio.create_task(made.run())
        made.add(pod("p"))
        await asyncio.sleep(3 * IDLE_SECONDS)
        running.cancel()
        await asyncio.wait({running})
        return times

    gaps = [later - earlier for earlier, later in pairwise(virtualtime.run(main()))]
    assert gaps == pytest.approx([1.0, 2.0, 4.0], abs=0.05)


async def test_a_tenant_whose_only_pod_is_let_alone_keeps_its_credit(
    made: Controller, clock: ManualClock, hands: Hands
) -> None:
    for number in range(4):
        made.add(pod(f"b{number}", whole(), "b"))
    await made.round()
    made.add(pod("a", whole(2), created=1.0))
    await made.round()
    clock.time += 100.0
    credit = made.lags[pod("a").tenant]
    assert credit > 0
    hands.answers["a"] = ReleaseRefused("it changed")
    for number in range(4):
        made.gone(pod(f"b{number}").uid)
    await made.round()
    await made.round()
    assert made.lags[pod("a").tenant] == credit


async def test_what_changed_during_a_refused_release_is_what_goes_back_in_line(
    made: Controller, ledger: Ledger, hands: Hands
) -> None:
    changed = pod("p", foreign_gates=("example.com/quota",))
    hands.answers["p"] = ReleaseRefused("it changed")
    hands.meanwhile = lambda _pod: made.add(changed)
    made.add(pod("p"))
    await made.round()
    assert list(made.queue.pods.values()) == [changed]
    assert not ledger.holdings


async def test_a_release_whose_outcome_is_unknown_is_not_given_up_for_news_of_the_pod(
    made: Controller, clock: ManualClock, ledger: Ledger, hands: Hands
) -> None:
    hands.answers["p"] = ConnectionError("reset")
    made.add(pod("p"))
    await made.round()
    made.add(pod("p", priority=3))
    await made.round()
    assert set(ledger.holdings) == {"p"}
    assert not made.queue.pods
    clock.time += 60.0
    hands.answers["p"] = True
    await made.round()
    assert hands.released == ["p", "p"]


async def test_a_pod_that_came_to_be_bound_keeps_its_place_whatever_its_release_is_answered(
    made: Controller, ledger: Ledger, hands: Hands
) -> None:
    hands.answers["p"] = ReleaseRefused("it has no gate")
    # kube-scheduler was quicker than the answer, and the watch is late.
    hands.meanwhile = lambda each: ledger.bind(each, place("n1", (0, 500, 8_000)))
    made.add(pod("p"))
    await made.round()
    assert ledger.holdings[pod("p").uid].bound


async def test_an_answer_after_the_gate_was_seen_off_counts_the_admission_and_nothing_else(
    made: Controller, ledger: Ledger, hands: Hands, eyes: Eyes
) -> None:
    hands.meanwhile = lambda each: made.ungated(each.uid)
    made.add(pod("p"))
    made.add(pod("q"))
    hands.answers["q"] = ReleaseRefused("late news")
    await made.round()
    assert eyes.decisions == [("admit", "")]
    assert set(ledger.holdings) == {"p", "q"}
    assert not made.queue.pods


async def test_nothing_is_sent_by_who_may_not_act_and_it_is_tried_again(
    made: Controller, clock: ManualClock, ledger: Ledger, hands: Hands
) -> None:
    hands.answers["p"] = NotLeading("another replica may act by now")
    made.add(pod("p"))
    await made.round()
    assert set(ledger.holdings) == {"p"}
    hands.answers["p"] = True
    clock.time += 1.0
    await made.round()
    assert hands.released == ["p", "p"]


@pytest.mark.parametrize(("same", "rounds"), [(True, 0), (False, 1)])
def test_only_a_pod_that_changed_is_news(same: bool, rounds: int) -> None:
    async def main() -> int:
        eyes = Eyes()
        made = controller(Ledger(), PLAIN, clock=virtualtime.LoopClock(), eyes=eyes)
        running = asyncio.create_task(made.run())
        made.add(pod("p"))
        await asyncio.sleep(1.0)
        before = eyes.phases.count("admit")
        made.add(pod("p") if same else pod("p", priority=1))
        await asyncio.sleep(1.0)
        running.cancel()
        await asyncio.wait({running})
        return eyes.phases.count("admit") - before

    assert virtualtime.run(main()) == rounds


async def test_hundreds_go_in_slices_and_each_has_its_place_before_it_goes(
    clock: ManualClock, hands: Hands, eyes: Eyes
) -> None:
    ledger = Ledger([node("n1", 300)])
    made = controller(ledger, PLAIN, clock=clock, hands=hands, eyes=eyes)
    lacking: list[str] = []

    def look(each: object) -> None:
        lacking.extend(uid for uid in hands.released if uid not in ledger.holdings)

    hands.meanwhile = look
    for number in range(450):
        made.add(replace(pod(f"p{number}"), created=float(number)))
    await made.round()
    assert (len(hands.released), lacking) == (450, [])
    assert eyes.decisions == [("admit", "")] * 450
