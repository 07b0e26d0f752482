"""Bind: once, whoever asks how often, and nothing half done whatever the other side answers."""

import asyncio
import json

import pytest

from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.extender.service import ExtenderService
from tests.support.extenders import (
    FakeApi,
    ManualClock,
    binding,
    node,
    offer,
    pod_json,
    service,
)

P = PodUID("p")


def _world(
    *, clock: ManualClock | None = None, bind_seconds: float = 4.0
) -> tuple[Ledger, FakeApi, ExtenderService]:
    ledger, api = Ledger([node("a", 1), node("b", 1)]), FakeApi()
    api.create("p")
    svc = service(ledger, api, clock=clock, bind_seconds=bind_seconds)
    svc.filter(offer(pod_json("p", "1"), "a"))
    return ledger, api, svc


def _state(ledger: Ledger) -> str:
    holding = ledger.holdings.get(P)
    return "free" if holding is None else "bound" if holding.bound else "reserved"


async def test_a_bind_writes_node_and_assignment_together() -> None:
    ledger, api, svc = _world()
    assert await svc.bind(binding("p", "a")) == ""
    assert _state(ledger) == "bound"
    ((uid, place, notes),) = api.calls
    assert (uid, place, notes["equipoise.dev/devices"]) == ("p", "a", "GPU-a-0")
    assert json.loads(notes["equipoise.dev/assignment"])["slots"] == [[0, "GPU-a-0", 1000, 16384]]


async def test_a_pod_without_a_gpu_is_bound_without_an_assignment() -> None:
    ledger, api, svc = _world()
    api.create("plain")
    svc.filter(offer(pod_json("plain", None), "a", "x"))
    assert await svc.bind(binding("plain", "x")) == ""
    assert await svc.bind(binding("plain", "x")) == ""
    assert "bound to x" in await svc.bind(binding("plain", "a"))
    assert api.calls[0][2] == {}
    assert PodUID("plain") not in ledger.holdings


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (binding("unknown", "a"), "has no place yet; filter it again"),
        (binding("p", "b"), "has its place on a, not b"),
        (binding("p", "nowhere"), "has its place on a"),
    ],
)
async def test_a_bind_that_was_not_filtered_is_refused(args: object, word: str) -> None:
    ledger, api, svc = _world()
    assert word in await svc.bind(args)  # type: ignore[arg-type]
    assert not api.calls
    assert _state(ledger) == "reserved"


async def test_a_pod_of_another_name_with_the_same_uid_is_refused() -> None:
    _, api, svc = _world()
    args = binding("p", "a")
    changed = type(args)(args.namespace, "other", args.uid, args.node)
    assert "has the UID of lab/p" in await svc.bind(changed)
    assert not api.calls


async def test_a_second_bind_of_a_bound_pod_is_good_and_writes_nothing() -> None:
    _, api, svc = _world()
    assert [await svc.bind(binding("p", "a")) for _ in range(2)] == ["", ""]
    assert "is bound to a, not b" in await svc.bind(binding("p", "b"))
    assert len(api.calls) == 1


async def test_binds_of_one_pod_at_once_are_one_write_with_one_answer() -> None:
    _, api, svc = _world()
    api.gate.clear()
    asked = [asyncio.create_task(svc.bind(binding("p", "a"))) for _ in range(3)]
    await asyncio.sleep(0)
    elsewhere = await svc.bind(binding("p", "b"))
    assert "is being bound to a" in elsewhere
    api.gate.set()
    assert await asyncio.gather(*asked) == ["", "", ""]
    assert len(api.calls) == 1


async def test_binds_of_many_pods_run_beside_each_other() -> None:
    ledger, api = Ledger([node("a", 8)]), FakeApi()
    svc = service(ledger, api)
    for index in range(8):
        api.create(f"p{index}")
        svc.filter(offer(pod_json(f"p{index}", "1"), "a"))
    api.gate.clear()
    asked = [asyncio.create_task(svc.bind(binding(f"p{index}", "a"))) for index in range(8)]
    await asyncio.sleep(0.01)
    assert len(api.calls) == 8
    api.gate.set()
    assert await asyncio.gather(*asked) == [""] * 8


async def test_a_caller_that_hangs_up_does_not_take_the_outcome_with_it() -> None:
    ledger, api, svc = _world()
    api.gate.clear()
    caller = asyncio.create_task(svc.bind(binding("p", "a")))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert _state(ledger) == "reserved"
    api.gate.set()
    assert await svc.bind(binding("p", "a")) == ""
    assert _state(ledger) == "bound"
    assert len(api.calls) == 1


async def test_a_pod_that_is_gone_frees_its_place() -> None:
    ledger, api, svc = _world()
    del api.pods[P]
    assert "was not bound: it is gone" in await svc.bind(binding("p", "a"))
    assert _state(ledger) == "free"


async def test_an_answer_that_was_lost_keeps_the_place_and_the_retry_finds_out() -> None:
    ledger, api, svc = _world()
    api.failures = ["lost"]
    assert "is not known (ConnectionError)" in await svc.bind(binding("p", "a"))
    assert _state(ledger) == "reserved"
    assert await svc.bind(binding("p", "a")) == ""
    assert _state(ledger) == "bound"


async def test_a_bind_that_takes_too_long_keeps_the_place() -> None:
    ledger, api, svc = _world(bind_seconds=0.01)
    api.gate.clear()
    assert "is not known (took too long)" in await svc.bind(binding("p", "a"))
    assert _state(ledger) == "reserved"


async def test_a_place_does_not_end_while_its_binding_is_under_way() -> None:
    clock = ManualClock()
    ledger, api, svc = _world(clock=clock)
    api.gate.clear()
    asked = asyncio.create_task(svc.bind(binding("p", "a")))
    await asyncio.sleep(0)
    clock.time += 1_000
    ledger.expire(clock.now())
    assert not svc.filter(offer(pod_json("q", "1"), "a")).names
    api.gate.set()
    assert await asked == ""


async def test_a_place_neither_moves_nor_ends_until_the_watch_has_had_time_to_tell() -> None:
    clock = ManualClock()
    ledger, api, svc = _world(clock=clock)
    api.failures = ["lost"]
    await svc.bind(binding("p", "a"))
    clock.time += 29
    other = svc.filter(offer(pod_json("p", "1"), "b"))
    assert other.failed == {"b": "the pod is being bound to another node"}
    assert svc.filter(offer(pod_json("p", "1"), "a", "b")).names == ["a"]
    assert not svc.filter(offer(pod_json("q", "1"), "a")).names
    clock.time += 1
    assert svc.filter(offer(pod_json("q", "1"), "a")).names == ["a"]
    assert _state(ledger) == "free"


async def test_a_released_pods_place_outlives_an_unknown_outcome() -> None:
    clock = ManualClock()
    ledger, api, svc = _world(clock=clock)
    holding = ledger.holdings[P]
    ledger.reserve(holding.pod, holding.placement, expires=None)
    api.failures = ["down"]
    await svc.bind(binding("p", "a"))
    clock.time += 1_000
    assert svc.filter(offer(pod_json("p", "1"), "b", "a")).names == ["a"]
    assert await svc.bind(binding("p", "a")) == ""


async def test_when_the_watch_tells_first_a_lost_answer_does_not_matter() -> None:
    ledger, api, svc = _world()
    api.failures, holding = ["lost"], ledger.holdings[P]
    api.gate.clear()
    asked = asyncio.create_task(svc.bind(binding("p", "a")))
    await asyncio.sleep(0)
    ledger.bind(holding.pod, holding.placement)
    api.gate.set()
    assert await asked == ""


async def test_a_pod_that_goes_away_while_it_is_bound_is_not_booked_again() -> None:
    ledger, api, svc = _world()
    api.gate.clear()
    asked = asyncio.create_task(svc.bind(binding("p", "a")))
    await asyncio.sleep(0)
    ledger.release(P)
    api.gate.set()
    await asked
    assert _state(ledger) == "free"


async def test_a_pod_that_somebody_bound_before_is_booked_where_it_is() -> None:
    ledger, api, svc = _world()
    twin = service(Ledger([node("b", 1)]), api)
    twin.filter(offer(pod_json("p", "1"), "b"))
    assert await twin.bind(binding("p", "b")) == ""
    assert "is bound to b otherwise" in await svc.bind(binding("p", "a"))
    assert ledger.holdings[P].placement.node == "b"
    assert ledger.columns.free[:, 0].tolist() == [1000, 0]


@pytest.mark.parametrize(
    ("notes", "state"),
    [({}, "free"), ({"equipoise.dev/devices": "?", "equipoise.dev/assignment": "?"}, "reserved")],
)
async def test_a_pod_that_was_bound_past_us_holds_what_its_annotations_say(
    notes: dict[str, str], state: str
) -> None:
    ledger, api, svc = _world()
    api.store(P, NodeName("a"), notes)
    assert await svc.bind(binding("p", "a")) != ""
    assert _state(ledger) == state


async def test_a_place_that_was_shut_meanwhile_is_not_bound() -> None:
    ledger, api, svc = _world()
    ledger.put_nodes([node("a", 1, is_open=False)])
    assert "filter the pod again" in await svc.bind(binding("p", "a"))
    assert not api.calls
    assert svc.filter(offer(pod_json("p", "1"), "a", "b")).names == ["b"]
    assert await svc.bind(binding("p", "b")) == ""
