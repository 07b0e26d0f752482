"""What people are told about their pods: once, in words that stay, and only if it lasts."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from scheduler.core.model.ids import PodUID
from scheduler.core.model.pods import PodRef
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.kube.client import Patch
from scheduler.kube.conditions import ADMITTED
from scheduler.kube.errors import Unreachable
from scheduler.kube.events import LONGEST_NOTE
from scheduler.kube.notices import Action, Notices
from tests.kube.scripted import Scripted, Sent, refusal
from tests.kube.stored import JSON, NOW, FastClock, gated_json

TURN = Verdict(Reason.WAITS_FOR_TURN, "it has 3 of 3 GPUs")
RELEASED = Verdict(Reason.RELEASED)


@dataclass
class Timed(Scripted):
    """Notes when each request is sent, too."""

    clock: FastClock = field(default_factory=FastClock)
    times: list[float] = field(default_factory=list)

    def _answer(self, sent: Sent) -> JSON:
        self.times.append(self.clock.now())
        return super()._answer(sent)


@dataclass
class World:
    api: Timed = field(default_factory=Timed)
    pods: dict[PodUID, JSON] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.notices = Notices(
            self.api, pod_of=self.pods.get, clock=self.api.clock, instance="serve-0"
        )

    def pod(self, name: str) -> PodRef:
        """Have a pod that waits."""
        self.pods[PodUID(name)] = gated_json(name)
        return PodRef("lab", name, PodUID(name))

    async def written(self) -> list[Sent]:
        """Have everything written, and return what was sent since the last time."""
        running = asyncio.create_task(self.notices.run())
        before = -1.0
        # Quiet for a while means that it waits for news.
        while before != self.api.clock.now():
            before = self.api.clock.now()
            for _ in range(10):
                await asyncio.sleep(0)
        running.cancel()
        sent, self.api.sent = self.api.sent, []
        return sent

    def store(self, sent: Sent) -> None:
        """Have the watch show the condition that was sent."""
        uid = PodUID(sent.body["metadata"]["uid"])
        self.pods[uid]["status"] |= {"conditions": sent.body["status"]["conditions"]}


def _condition(sent: Sent) -> Mapping[str, Any]:
    (found,) = sent.body["status"]["conditions"]
    return dict(found)


async def test_a_pod_that_waits_says_so_in_a_condition_and_an_event() -> None:
    world = World()
    world.notices.tell(world.pod("p"), TURN)
    told, event = await world.written()
    assert (told.path, told.kind) == ("/api/v1/namespaces/lab/pods/p/status", Patch.STRATEGIC)
    assert told.body["metadata"] == {"uid": "p"}
    assert _condition(told) == {
        "type": "equipoise.dev/Admitted",
        "status": "False",
        "reason": "WaitsForTurn",
        # Numbers move: they are in `explain`.
        "message": "waits for its turn: its tenant has its due",
        "lastTransitionTime": "2027-01-15T08:00:01Z",
    }
    assert event.path == "/apis/events.k8s.io/v1/namespaces/lab/events"
    assert event.body["regarding"] == {
        **{"apiVersion": "v1", "kind": "Pod"},
        **{"namespace": "lab", "name": "p", "uid": "p"},
    }
    assert event.body | {"regarding": None, "metadata": None} == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": None,
        "regarding": None,
        "eventTime": "2027-01-15T08:00:01.020000Z",
        "type": "Normal",
        "action": "Hold",
        "reason": "WaitsForTurn",
        "note": "waits for its turn: its tenant has its due",
        "reportingController": "equipoise.dev/scheduler",
        "reportingInstance": "serve-0",
    }


async def test_what_somebody_has_to_change_is_said_and_is_a_warning() -> None:
    world = World()
    problem = "gpu-fraction: 2.5 is neither; " + "x" * LONGEST_NOTE
    world.notices.tell(world.pod("p"), Verdict(Reason.INVALID_REQUEST, problem))
    told, event = await world.written()
    assert _condition(told)["message"] == f"the request can't be read: {problem}"
    assert event.body["type"] == "Warning"
    assert len(event.body["note"]) == LONGEST_NOTE + 1


async def test_a_pod_that_waited_a_moment_only_is_never_told() -> None:
    world = World()
    pod = world.pod("p")
    world.notices.tell(pod, TURN)
    world.notices.tell(pod, RELEASED, action=Action.RELEASE)
    assert not await world.written()


async def test_a_pod_that_was_told_to_wait_is_told_that_it_was_released() -> None:
    world = World()
    pod = world.pod("p")
    world.notices.tell(pod, TURN)
    await world.written()
    # The watch hasn't shown the condition yet; and then the pod is bound.
    world.notices.tell(pod, RELEASED, action=Action.RELEASE)
    del world.pods[pod.uid]
    told, event = await world.written()
    assert (_condition(told)["status"], _condition(told)["reason"]) == ("True", "Released")
    assert (event.body["action"], event.body["type"]) == ("Release", "Normal")


async def test_a_pod_that_another_replica_told_to_wait_is_told_that_it_was_released() -> None:
    world = World()
    pod = world.pod("p")
    waits = {"type": ADMITTED, "status": "False", "reason": "NoRoom"}
    world.pods[pod.uid]["status"]["conditions"] = [waits]
    world.notices.tell(pod, RELEASED, action=Action.RELEASE)
    told, _ = await world.written()
    assert _condition(told)["status"] == "True"


async def test_what_a_pod_says_already_is_not_written_again() -> None:
    world = World()
    pod = world.pod("p")
    world.notices.tell(pod, TURN)
    told, _ = await world.written()
    world.store(told)
    world.notices.tell(pod, TURN)
    assert not await world.written()


async def test_a_new_reason_is_told_and_since_when_it_waits_is_kept() -> None:
    world = World()
    pod = world.pod("p")
    world.notices.tell(pod, TURN)
    told, _ = await world.written()
    world.store(told)
    world.notices.tell(pod, Verdict(Reason.NO_ROOM))
    again, _ = await world.written()
    assert _condition(again)["reason"] == "NoRoom"
    assert _condition(again)["lastTransitionTime"] == _condition(told)["lastTransitionTime"]


async def test_of_a_pod_whose_reason_changes_the_newest_is_told_in_its_turn() -> None:
    world = World()
    first, second = world.pod("p"), world.pod("q")
    for pod, verdict in [
        (first, TURN),
        (second, TURN),
        (first, Verdict(Reason.OVER_LIMIT)),
        (first, Verdict(Reason.NO_ROOM)),
    ]:
        world.notices.tell(pod, verdict)
    sent = await world.written()
    assert [(each.verb, each.body.get("reason")) for each in sent] == [
        *(("PATCH", None), ("POST", "NoRoom")),
        *(("PATCH", None), ("POST", "WaitsForTurn")),
    ]


async def test_words_are_written_at_a_gentle_pace() -> None:
    world = World()
    for number in range(20):
        world.notices.tell(world.pod(f"p{number}"), TURN)
    await world.written()
    assert len(world.api.times) == 40
    assert min(after - before for before, after in pairwise(world.api.times)) >= 0.0199
    assert world.api.times[0] >= NOW + 1.0


async def test_pods_that_are_gone_are_told_nothing(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    for name in ("gone", "gone meanwhile"):
        world.notices.tell(world.pod(name), TURN)
    del world.pods[PodUID("gone")]
    world.api.then("PATCH", refusal(404))
    assert len(await world.written()) == 1
    assert not caplog.records


async def test_what_can_not_be_written_is_dropped_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    for number in range(3):
        world.notices.tell(world.pod(f"p{number}"), TURN)
    world.api.then("PATCH", Unreachable("no answer"), refusal(422))
    sent = await world.written()
    assert [each.verb for each in sent] == ["PATCH", "PATCH", "PATCH", "POST"]
    (record,) = caplog.records
    assert "no answer" in record.getMessage()
    assert not await world.written()


async def test_evictions_and_warnings_are_events_only() -> None:
    world = World()
    world.notices.tell(world.pod("p"), Verdict(Reason.STUCK), action=Action.EVICT)
    world.notices.tell(world.pod("q"), Verdict(Reason.DEVICE_LOST), action=Action.WARN)
    sent = await world.written()
    assert [(each.verb, each.body["type"], each.body["action"]) for each in sent] == [
        ("POST", "Warning", "Evict"),
        ("POST", "Warning", "Warn"),
    ]


async def test_a_replica_that_acts_no_longer_tells_nothing() -> None:
    world = World()
    world.notices.tell(world.pod("p"), TURN)
    world.notices.forget()
    assert not await world.written()
