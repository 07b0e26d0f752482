"""Whom a device that fails or vanishes hits."""

import pytest

from scheduler.controller.controller import Controller
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import NodeName
from scheduler.core.model.nodes import Node
from scheduler.core.model.verdicts import Reason
from tests.controller.hands import Eyes, Hands, controller
from tests.support.builders import device, node, place, pod, tenant
from tests.support.extenders import ManualClock

pytestmark = pytest.mark.usefixtures("quiet")

P, Q = pod("p").uid, pod("q").uid
SOUND = node("n1", 2)


@pytest.fixture
def made(hands: Hands, eyes: Eyes) -> Controller:
    ready = controller(Ledger(), [tenant("a")], clock=ManualClock(), hands=hands, eyes=eyes)
    ready.put_nodes([SOUND])
    ready.bound(pod("p"), place("n1", (0, 500, 8_000)))
    ready.bound(pod("q"), place("n1", (1, 500, 8_000)))
    return ready


def broken(*indices: int) -> Node:
    return node("n1", [device(f"n1/{at}", healthy=at not in indices) for at in range(2)])


async def test_a_failed_device_is_told_once_to_those_that_hold_it(
    made: Controller, hands: Hands, eyes: Eyes
) -> None:
    await made.round()
    assert (hands.warned, dict(made.casualties())) == ([], {})
    made.put_nodes([broken(0)])
    for _ in range(3):
        await made.round()
        made.put_nodes([broken(0)])
    assert hands.warned == [("p", Reason.DEVICE_LOST)]
    assert eyes.decisions == [("warn", Reason.DEVICE_LOST)]
    assert "n1/0 on node n1" in made.casualties()[P].sentence


async def test_a_device_that_vanished_hits_like_one_that_failed(
    made: Controller, hands: Hands
) -> None:
    made.put_nodes([node("n1", [device("n1/0"), device("new")])])
    await made.round()
    assert hands.warned == [("q", Reason.DEVICE_LOST)]


async def test_one_that_comes_back_is_no_casualty_any_more_and_news_if_it_fails_again(
    made: Controller, hands: Hands
) -> None:
    for report in (broken(0), SOUND, broken(0)):
        made.put_nodes([report])
        await made.round()
        assert (P in made.casualties()) == (report is not SOUND)
    assert hands.warned == [("p", Reason.DEVICE_LOST)] * 2


async def test_a_pod_hit_twice_is_told_twice(made: Controller, hands: Hands) -> None:
    made.bound(pod("r"), place("n1", (0, 200, 3_000), (1, 200, 3_000)))
    made.put_nodes([broken(0)])
    await made.round()
    made.put_nodes([broken(0, 1)])
    await made.round()
    assert sorted(name for name, _ in hands.warned) == ["p", "q", "r", "r"]


async def test_a_pod_bound_to_a_device_that_failed_meanwhile_is_told(
    made: Controller, hands: Hands
) -> None:
    made.put_nodes([broken(1)])
    made.bound(pod("late"), place("n1", (1, 100, 1_600)))
    await made.round()
    assert sorted(hands.warned) == [("late", Reason.DEVICE_LOST), ("q", Reason.DEVICE_LOST)]


async def test_the_dead_are_no_casualties(made: Controller, hands: Hands) -> None:
    made.put_nodes([broken(0)])
    made.gone(P)
    await made.round()
    assert (hands.warned, dict(made.casualties())) == ([], {})


async def test_only_those_that_run_there_are_hit_and_not_those_on_their_way(
    hands: Hands,
) -> None:
    made = controller(Ledger([SOUND]), [tenant("a")], clock=ManualClock(), hands=hands)
    made.add(pod("p"))
    await made.round()
    made.put_nodes([broken(0, 1)])
    await made.round()
    assert hands.warned == []


@pytest.mark.parametrize("known_before", [True, False])
async def test_pods_of_a_node_that_nobody_reports_are_not_judged(
    hands: Hands, known_before: bool
) -> None:
    made = controller(Ledger(), [tenant("a")], clock=ManualClock(), hands=hands)
    if known_before:
        made.put_nodes([broken(0)])
    made.bound(pod("p"), place("n1", (0, 500, 8_000)))
    if known_before:
        made.drop_node(NodeName("n1"))
    await made.round()
    assert (hands.warned, dict(made.casualties())) == ([], {})
    made.put_nodes([broken(0)])
    assert set(made.casualties()) == {P}


async def test_a_standby_warns_nobody_but_knows(hands: Hands) -> None:
    made = controller(
        Ledger([SOUND]), [tenant("a")], clock=ManualClock(), hands=hands, active=False
    )
    made.bound(pod("p"), place("n1", (0, 500, 8_000)))
    made.put_nodes([broken(0)])
    await made.round()
    assert (hands.warned, set(made.casualties())) == ([], {P})
    made.set_active(True)
    await made.round()
    assert hands.warned == [("p", Reason.DEVICE_LOST)]


async def test_nothing_is_reserved_on_a_node_that_is_gone(made: Controller, hands: Hands) -> None:
    made.drop_node(NodeName("n1"))
    made.add(pod("new"))
    await made.round()
    assert hands.released == []
    made.put_nodes([SOUND])
    await made.round()
    assert hands.released == ["new"]
