"""Writing the GPUNode: made with its owner, kept, and never in vain."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise

import pytest

from scheduler.agent.picture import Health, Picture
from scheduler.agent.publisher import Publisher
from scheduler.core.model.ids import DeviceUUID
from scheduler.core.model.stored import Stored
from scheduler.device.driver import DeviceRecord
from scheduler.kube.errors import Forbidden, ServerFailed, Unreachable
from scheduler.settings import Agent
from scheduler.simulator import virtualtime
from tests.agent.fakes import GPUNODE, NODE, FakeApi

CARD = DeviceRecord(0, DeviceUUID("GPU-0"), "T4", 16_384)
WELL = Health(True, "AllHealthy", "every device answers", virtualtime.EPOCH)
BASE = Picture("mock", (), (CARD,), WELL, used_at=virtualtime.EPOCH)
BROKEN = replace(BASE, devices=(replace(CARD, healthy=False, fault="XID 48"),))


class Bench:
    """A publisher at work, and what it told."""

    def __init__(self, api: FakeApi) -> None:
        self.adopted: list[Stored] = []
        self.outcomes: list[str] = []
        self.publisher = Publisher(
            api,
            NODE,
            settings=Agent(),
            clock=virtualtime.LoopClock(),
            rng=random.Random(1),
            adopt=self.adopted.append,
            count=self.outcomes.append,
        )


def published(
    script: Callable[[Publisher], Awaitable[None]], api: FakeApi | None = None
) -> tuple[FakeApi, Bench]:
    api = api or FakeApi()

    async def main() -> Bench:
        bench = Bench(api)
        task = asyncio.create_task(bench.publisher.run())
        await script(bench.publisher)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return bench

    return api, virtualtime.run(main())


def verbs(api: FakeApi) -> list[tuple[str, str]]:
    listed = GPUNODE.rpartition("/")[0]
    return [(verb, path.removeprefix(listed)) for _, verb, path, _ in api.requests]


async def once(publisher: Publisher) -> None:
    publisher.offer(BASE)
    await asyncio.sleep(1)


def test_it_is_made_with_its_node_as_owner_and_then_told_all() -> None:
    api, bench = published(once)
    assert verbs(api) == [
        ("GET", "/n1"),
        ("GET", "/api/v1/nodes/n1"),
        ("POST", ""),
        ("PATCH", "/n1/status"),
    ]
    stored = api.objects[GPUNODE]
    assert stored["metadata"] == {
        "name": "n1",
        "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u-1"}],
    }
    assert stored["status"]["devices"][0]["uuid"] == "GPU-0"
    assert (bench.adopted, bench.outcomes) == ([{}], ["written"])
    for _, verb, _, body in api.requests:
        if verb != "GET":
            assert (body["apiVersion"], body["kind"]) == ("equipoise.dev/v1alpha1", "GPUNode")


def test_without_a_picture_nothing_is_asked() -> None:
    async def wait(_: Publisher) -> None:
        await asyncio.sleep(3600)

    api, _ = published(wait)
    assert api.requests == []


def test_what_is_published_is_given_before_anything_is_written() -> None:
    earlier = {"metadata": {"name": "n1"}, "status": {"driver": "old"}}
    api, bench = published(once, FakeApi({GPUNODE: deepcopy(earlier)}))
    assert bench.adopted == [earlier]
    assert api.objects[GPUNODE]["status"]["driver"] == "mock"
    assert verbs(api) == [("GET", "/n1"), ("PATCH", "/n1/status")]


def test_one_that_came_meanwhile_is_taken_as_it_is() -> None:
    def appear(verb: str, _path: str) -> None:
        if verb == "POST":
            api.objects[GPUNODE] = {"metadata": {"name": "n1"}}

    api = FakeApi(refuse=appear)
    _, bench = published(once, api)
    assert api.objects[GPUNODE]["metadata"] == {"name": "n1"}
    assert bench.outcomes == ["written"]


def test_of_pictures_that_come_in_a_burst_only_the_newest_is_written() -> None:
    async def burst(publisher: Publisher) -> None:
        for number in range(50):
            publisher.offer(replace(BASE, driver=f"mock {number}"))
        await asyncio.sleep(1)

    api, _ = published(burst)
    assert [status["driver"] for _, status in api.statuses] == ["mock 49"]


def test_a_deleted_one_is_made_again() -> None:
    async def delete(publisher: Publisher) -> None:
        await once(publisher)
        del api.objects[GPUNODE]
        api.objects["/api/v1/nodes/n1"]["metadata"]["uid"] = "u-2"
        publisher.offer(BROKEN)
        await asyncio.sleep(1)

    api = FakeApi()
    published(delete, api)
    assert api.objects[GPUNODE]["metadata"]["ownerReferences"][0]["uid"] == "u-2"
    assert api.objects[GPUNODE]["status"]["devices"][0]["fault"] == "XID 48"
    assert verbs(api)[4:] == [
        ("PATCH", "/n1/status"),
        ("GET", "/api/v1/nodes/n1"),
        ("POST", ""),
        ("PATCH", "/n1/status"),
    ]


@pytest.mark.parametrize(
    "problem",
    [
        Unreachable("no answer"),
        Forbidden(403, "Forbidden", "not yours"),
        ServerFailed(500, "InternalError", "etcd"),
    ],
    ids=["no answer", "refused", "failed"],
)
def test_failures_are_tried_again_ever_more_rarely_and_told_once(
    problem: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(verb: str, path: str) -> None:
        if path.endswith("/status") and asyncio.get_running_loop().time() < 600:
            raise problem

    async def wait(publisher: Publisher) -> None:
        publisher.offer(BASE)
        await asyncio.sleep(700)

    with caplog.at_level(logging.INFO):
        api, bench = published(wait, FakeApi(refuse=refuse))
    times = [at for at, _ in api.statuses]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert 10 < len(times) < 30
    assert 0.5 <= gaps[0] <= 1
    assert max(gaps) <= 60
    assert min(gaps[7:]) >= 30
    assert bench.outcomes == ["failed"] * (len(times) - 1) + ["written"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_while_it_fails_the_newest_picture_waits() -> None:
    def refuse(verb: str, path: str) -> None:
        if asyncio.get_running_loop().time() < 100:
            raise Unreachable("no answer")

    async def change(publisher: Publisher) -> None:
        for number in range(200):
            publisher.offer(replace(BASE, driver=f"mock {number}"))
            await asyncio.sleep(1)

    api, bench = published(change, FakeApi(refuse=refuse))
    at, first = api.statuses[0]
    assert first["driver"] == f"mock {int(at)}"
    assert bench.adopted == [{}]


def test_a_node_that_is_not_there_is_no_reason_to_end() -> None:
    api = FakeApi()
    node = api.objects.pop("/api/v1/nodes/n1")

    async def later(publisher: Publisher) -> None:
        publisher.offer(BASE)
        await asyncio.sleep(10)
        assert api.statuses == []
        api.objects["/api/v1/nodes/n1"] = node
        await asyncio.sleep(30)

    published(later, api)
    assert len(api.statuses) == 1
