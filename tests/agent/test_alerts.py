"""Events and evictions: one after another, and none that harms another pod."""

import asyncio
from collections.abc import Callable

import pytest

from scheduler.agent.alerts import Alerts
from scheduler.agent.overuse import Held, Notice, Step
from scheduler.core.model.ids import DeviceUUID, NodeName, PodUID
from scheduler.core.model.pods import PodRef
from scheduler.kube.errors import ApiError, Conflict, NotFound, Unreachable
from scheduler.simulator import virtualtime
from tests.agent.fakes import FakeApi

HELD = Held(PodRef("lab", "p", PodUID("u-9")), DeviceUUID("GPU-0"), 4096, 9000)
TELL, EVICT = Notice(Step.TELL, HELD), Notice(Step.EVICT, HELD)
LONG = NodeName("n" * 250)


def carried_out(
    *notices: Notice,
    refuse: Callable[[str, str], None] = lambda _verb, _path: None,
    node: NodeName = LONG,
) -> tuple[FakeApi, list[str]]:
    api, counted = FakeApi(refuse=refuse), list[str]()

    async def main() -> None:
        alerts = Alerts(api, node, clock=virtualtime.LoopClock(), count=counted.append)
        for notice in notices:
            alerts.put(notice)
        task = asyncio.create_task(alerts.run())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait({task})

    virtualtime.run(main())
    return api, counted


def test_the_event_names_pod_and_node_and_carries_no_number() -> None:
    api, counted = carried_out(TELL)
    ((_, verb, path, event),) = api.requests
    assert (verb, path) == ("POST", "/apis/events.k8s.io/v1/namespaces/lab/events")
    assert (event["regarding"]["name"], event["regarding"]["uid"]) == ("p", "u-9")
    assert event["reportingController"] == "equipoise.dev/agent"
    assert event["reportingInstance"] == "n" * 128
    assert "gpu-memory" in event["note"]
    assert counted == ["tell"]


def test_an_eviction_is_of_that_very_pod_and_is_told() -> None:
    api, counted = carried_out(EVICT)
    (eviction,) = api.posted("/namespaces/lab/pods/p/eviction")
    assert eviction["kind"] == "Eviction"
    assert eviction["deleteOptions"] == {"preconditions": {"uid": "u-9"}}
    assert [event["action"] for event in api.posted("/events")] == ["Evict"]
    assert counted == ["evict"]


@pytest.mark.parametrize(
    "problem",
    [
        NotFound(404, "NotFound", "gone"),
        Conflict(409, "Conflict", "another UID"),
        ApiError(429, "TooManyRequests", "disruption budget"),
        Unreachable("no answer"),
    ],
    ids=["gone", "another pod", "disruption budget", "no answer"],
)
def test_an_eviction_that_did_not_happen_is_not_told_and_the_next_notice_is(
    problem: Exception,
) -> None:
    def refuse(_verb: str, path: str) -> None:
        if path.endswith("/eviction"):
            raise problem

    api, counted = carried_out(EVICT, TELL, refuse=refuse)
    assert [event["action"] for event in api.posted("/events")] == ["Measure"]
    assert counted == ["tell"]


def test_more_than_anybody_could_carry_out_is_dropped() -> None:
    api, _ = carried_out(*[TELL] * 5000)
    assert len(api.requests) == 1000
