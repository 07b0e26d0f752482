"""What filter and prioritize answer, as tables and short stories."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import DeviceUUID, NodeName, PodUID
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.extender import wire
from scheduler.extender.service import ExtenderService
from tests.support.extenders import FakeApi, ManualClock, node, offer, pod_json, service, tenant_of

INVENTORY = "no GPU inventory for this node yet: is the Equipoise agent running there?"
ROOM = "no GPU that it may use has enough free now"


@dataclass(frozen=True)
class Case:
    id: str
    fraction: str | None
    offered: tuple[str, ...]
    names: tuple[str, ...]
    failed: dict[str, str]


CASES = [
    Case("one fits", "0.5", ("a", "b"), ("a",), {}),
    Case("order of the offer", "0.5", ("b", "a"), ("b",), {}),
    Case("unknown nodes are passed over", "0.5", ("x", "b"), ("b",), {}),
    Case("all unknown", "0.5", ("x", "y"), (), {"x": INVENTORY, "y": INVENTORY}),
    Case("too large", "3", ("a", "b"), (), {"a": ROOM, "b": ROOM}),
    Case("too large and unknown", "3", ("x", "a"), (), {"x": INVENTORY, "a": ROOM}),
    Case("no GPU asked for", None, ("a", "x"), ("a", "x"), {}),
    Case("nothing offered", "0.5", (), (), {}),
    Case("closed node", "0.5", ("shut",), (), {"shut": ROOM}),
]


def _ledger() -> Ledger:
    return Ledger([node("a"), node("b"), node("shut", is_open=False)])


def _placed(ledger: Ledger, uid: str) -> str | None:
    holding = ledger.holdings.get(PodUID(uid))
    return None if holding is None else holding.placement.node


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_filter_answers_one_node_or_why_there_is_none(case: Case) -> None:
    ledger = _ledger()
    pod = pod_json("p", case.fraction)
    result = service(ledger, FakeApi()).filter(offer(pod, *case.offered))
    assert (tuple(result.names), result.failed) == (case.names, case.failed)
    asks = case.fraction is not None
    assert _placed(ledger, "p") == (case.names[0] if case.names and asks else None)


@pytest.mark.parametrize("fraction", ["0", "-1", "NaN", "1.5", "half", "0.0001"])
def test_an_unreadable_request_fails_on_every_node_with_the_same_text_each_time(
    fraction: str,
) -> None:
    ledger = _ledger()
    svc = service(ledger, FakeApi())
    first, second = (svc.filter(offer(pod_json("p", fraction), "a", "x")) for _ in range(2))
    assert first == second
    assert set(first.failed) == {"a", "x"}
    (text,) = set(first.failed.values())
    assert text.startswith("the request can't be read: ")
    assert fraction in text
    assert not ledger.holdings


def test_a_pod_without_a_uid_is_an_error() -> None:
    pod = pod_json("p")
    del pod["metadata"]["uid"]
    with pytest.raises(wire.WireError, match="uid"):
        service(_ledger(), FakeApi()).filter(offer(pod, "a"))


def test_texts_carry_no_numbers_that_move() -> None:
    ledger = _ledger()
    svc = service(ledger, FakeApi(), plan=_refusing("7 of 9 GPUs"))
    assert svc.filter(offer(pod_json("p"), "a")).failed == {"a": ROOM}


def _refusing(detail: str) -> "_Refuses":
    return _Refuses(Verdict(Reason.NO_ROOM, detail))


@dataclass
class _Refuses:
    verdict: Verdict

    def __call__(self, pod: Pod, names: Sequence[NodeName]) -> Verdict:
        return self.verdict


def test_the_next_pod_sees_the_place_of_the_one_before_although_nothing_is_bound_yet() -> None:
    ledger = Ledger([node("a", 1), node("b", 1)])
    svc = service(ledger, FakeApi())
    answers = [svc.filter(offer(pod_json(uid, "1"), "a", "b")).names for uid in ("p", "q", "r")]
    assert answers == [["a"], ["b"], ()]


def test_the_same_pod_filtered_again_keeps_its_place_and_holds_it_once() -> None:
    ledger = _ledger()
    svc = service(ledger, FakeApi())
    svc.filter(offer(pod_json("p"), "b", "a"))
    assert svc.filter(offer(pod_json("p"), "a", "b")).names == ["b"]
    assert len(ledger.holdings) == 1


def test_a_place_that_is_not_offered_any_more_is_moved() -> None:
    ledger = _ledger()
    svc = service(ledger, FakeApi())
    svc.filter(offer(pod_json("p"), "a", "b"))
    assert svc.filter(offer(pod_json("p"), "b")).names == ["b"]
    assert _placed(ledger, "p") == "b"
    assert ledger.columns.free[0].tolist() == [1000, 1000]


def test_a_nominated_pod_keeps_its_place_when_the_first_of_two_calls_finds_nothing() -> None:
    ledger = Ledger([node("a", 1), node("b", 1)])
    svc = service(ledger, FakeApi())
    svc.filter(offer(pod_json("other", "1"), "b"))
    svc.filter(offer(pod_json("p", "1"), "a"))
    assert svc.filter(offer(pod_json("p", "1"), "b")).failed == {"b": ROOM}
    assert svc.filter(offer(pod_json("p", "1"), "a", "b")).names == ["a"]


def _release(ledger: Ledger, uid: str, place: str) -> None:
    """Reserve as the controller does when it lets a pod go: without a time limit."""
    pod = wire.decode_pod(pod_json(uid), tenant_of)
    slot = Slot(1, DeviceUUID(f"GPU-{place}-1"), 500, 8192)
    ledger.reserve(pod, Placement(NodeName(place), (slot,)))


def test_a_released_pod_goes_to_its_planned_node() -> None:
    ledger = _ledger()
    _release(ledger, "p", "b")
    assert service(ledger, FakeApi()).filter(offer(pod_json("p"), "a", "b")).names == ["b"]


def test_a_released_pods_place_has_no_time_limit_even_after_it_moved() -> None:
    ledger, clock = _ledger(), ManualClock()
    _release(ledger, "p", "b")
    svc = service(ledger, FakeApi(), clock=clock)
    svc.filter(offer(pod_json("p"), "a"))
    clock.time += 10_000
    svc.filter(offer(pod_json("q"), "b"))
    assert _placed(ledger, "p") == "a"


def test_what_filter_booked_ends_after_its_time() -> None:
    ledger, clock = Ledger([node("a", 1)]), ManualClock()
    svc = service(ledger, FakeApi(), clock=clock)
    svc.filter(offer(pod_json("p", "1"), "a"))
    clock.time += 29.9
    assert not svc.filter(offer(pod_json("q", "1"), "a")).names
    clock.time += 0.1
    assert svc.filter(offer(pod_json("q", "1"), "a")).names == ["a"]
    assert _placed(ledger, "p") is None


def test_a_pod_that_is_filtered_again_late_gets_its_time_anew() -> None:
    ledger, clock = Ledger([node("a", 1)]), ManualClock()
    svc = service(ledger, FakeApi(), clock=clock)
    for _ in range(4):
        assert svc.filter(offer(pod_json("p", "1"), "a")).names == ["a"]
        clock.time += 20
    assert _placed(ledger, "p") == "a"


def test_bookings_that_a_service_finds_end_after_their_time_too() -> None:
    ledger, clock = Ledger([node("a", 1)]), ManualClock()
    service(ledger, FakeApi(), clock=clock).filter(offer(pod_json("p", "1"), "a"))
    clock.time += 30
    second = service(ledger, FakeApi(), clock=clock)
    assert second.filter(offer(pod_json("q", "1"), "a")).names == ["a"]


@pytest.mark.parametrize("changed", [node("a", is_open=False), node("a", 0)])
def test_a_place_that_can_no_longer_be_used_is_planned_anew(changed: object) -> None:
    ledger = _ledger()
    svc = service(ledger, FakeApi())
    svc.filter(offer(pod_json("p"), "a", "b"))
    ledger.put_nodes([changed])  # type: ignore[list-item]
    assert svc.filter(offer(pod_json("p"), "a", "b")).names == ["b"]


def test_a_place_on_a_node_that_is_gone_is_planned_anew() -> None:
    ledger = _ledger()
    svc = service(ledger, FakeApi())
    svc.filter(offer(pod_json("p"), "a", "b"))
    ledger.drop_node(NodeName("a"))
    assert svc.filter(offer(pod_json("p"), "a", "b")).names == ["b"]


def test_a_pod_whose_request_changed_is_planned_anew() -> None:
    ledger = Ledger([node("a", 1)])
    svc = service(ledger, FakeApi())
    svc.filter(offer(pod_json("p", "0.25"), "a"))
    assert svc.filter(offer(pod_json("p", "0.5"), "a")).names == ["a"]
    assert ledger.columns.free[0, 0] == 500


@pytest.mark.parametrize(
    ("offered", "names", "failed"),
    [
        (("b", "a"), ["a"], {}),
        (("b",), [], {"b": "the pod is bound to another node already"}),
    ],
)
async def test_a_bound_pod_is_answered_with_its_node(
    offered: tuple[str, ...], names: list[str], failed: dict[str, str]
) -> None:
    ledger = _ledger()
    svc = service(ledger, FakeApi())
    svc.filter(offer(pod_json("p"), "a"))
    holding = ledger.holdings[PodUID("p")]
    ledger.bind(holding.pod, holding.placement)
    result = svc.filter(offer(pod_json("p"), *offered))
    assert (list(result.names), result.failed) == (names, failed)


def _scores(svc: ExtenderService, uid: str) -> list[tuple[NodeName, int]]:
    return svc.prioritize(offer(pod_json(uid), "a", "b"))


def test_prioritize_prefers_the_reserved_node_and_nothing_else() -> None:
    svc = service(_ledger(), FakeApi())
    svc.filter(offer(pod_json("p"), "b"))
    assert _scores(svc, "p") == [("a", 0), ("b", 10)]
    assert _scores(svc, "unknown") == [("a", 0), ("b", 0)]
