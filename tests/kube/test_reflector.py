"""Keeping in step with a server that forgets, refuses, breaks off and comes back."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from scheduler.kube.backoff import Backoff
from scheduler.kube.client import JSON, Client
from scheduler.kube.reflector import Reflector, Sink
from scheduler.kube.resources import CONFIG_MAPS
from tests.support.apiserver.kubeconfigs import by_token
from tests.support.apiserver.server import FakeApi
from tests.support.kubecontract import Mirror, ReflectorContract, running


class TestContract(ReflectorContract):
    """The same as on a real API server."""


@pytest.fixture
def mirror() -> Mirror:
    return Mirror()


@pytest.fixture
async def hasty(server: FakeApi, tmp_path: Path) -> AsyncIterator[Client]:
    """A client whose reads give up soon."""
    path = by_token(tmp_path / "hasty", server.url, "sesame")
    async with await Client.connect(kubeconfig=str(path), timeout_seconds=0.3) as made:
        yield made


@pytest.fixture
def reflector(hasty: Client, mirror: Mirror) -> Reflector:
    return of(hasty, mirror)


def of(client: Client, sink: Sink, *, most: float = 0.05) -> Reflector:
    rng = random.Random(1)
    return Reflector(client, CONFIG_MAPS, sink, rng=rng, backoff=Backoff(0.01, most, rng))


def put(server: FakeApi, called: str, **data: str) -> None:
    server.put(CONFIG_MAPS, {"metadata": {"name": called, "namespace": "lab"}, "data": data})


def watches(server: FakeApi) -> list[str]:
    return [seen.query["resourceVersion"] for seen in server.requests if seen.watches]


def lists(server: FakeApi) -> int:
    return sum(not seen.watches for seen in server.requests)


async def opened(server: FakeApi, count: int) -> None:
    """Wait until so many watches were begun, and the last of them is open."""
    await server.until(lambda: len(watches(server)) >= count and server.watching == 1)


async def test_a_watch_that_the_server_ends_is_resumed_from_its_last_version(
    server: FakeApi, mirror: Mirror, reflector: Reflector
) -> None:
    async with running(reflector):
        await opened(server, 1)
        put(server, "a")
        server.end_watches()
        await opened(server, 2)
        put(server, "b")
        await mirror.until(lambda: len(mirror.events) == 2)

    assert mirror.events == [("ADDED", "a"), ("ADDED", "b")]
    assert lists(server) == 1
    assert watches(server)[1] == server.get(CONFIG_MAPS, "a", "lab")["metadata"]["resourceVersion"]


async def test_a_bookmark_moves_the_version_on(
    server: FakeApi, mirror: Mirror, reflector: Reflector
) -> None:
    async with running(reflector):
        await opened(server, 1)
        server.store.compact()
        server.bookmark()
        server.end_watches()
        await opened(server, 2)

    assert watches(server)[1] == str(server.store.version)
    assert mirror.events == []
    assert mirror.replaced == 1


@pytest.mark.parametrize("at_start", [False, True], ids=["by an event", "by a status"])
async def test_a_forgotten_version_is_listed_anew_and_everything_replaced(
    server: FakeApi, mirror: Mirror, reflector: Reflector, at_start: bool
) -> None:
    server.gone_at_start = at_start
    put(server, "a")
    async with running(reflector):
        await opened(server, 1)
        await server.stop()
        put(server, "b")
        server.remove(CONFIG_MAPS, "a", "lab")
        server.compact()
        await server.start()
        await mirror.until(lambda: mirror.replaced == 2)

    assert list(mirror.items) == ["b"]


@pytest.mark.parametrize("status", [403, 429, 500, 504])
async def test_a_watch_that_is_refused_once_is_resumed_without_a_list(
    server: FakeApi, mirror: Mirror, reflector: Reflector, status: int
) -> None:
    server.fail(status, verb="GET", skip=1)
    async with running(reflector):
        await opened(server, 2)
        put(server, "a")
        await mirror.until(lambda: mirror.events == [("ADDED", "a")])

    assert mirror.replaced == 1


async def test_a_version_that_the_server_has_not_reached_ends_in_a_new_list(
    server: FakeApi, mirror: Mirror, reflector: Reflector
) -> None:
    server.store.version = 5000
    async with running(reflector):
        await opened(server, 1)
        await server.stop()
        server.store.version = 200
        await server.start()
        await mirror.until(lambda: mirror.replaced == 2)
        await opened(server, 5)

    assert watches(server)[-1] == "200"


async def test_an_error_event_is_got_over(
    server: FakeApi, mirror: Mirror, reflector: Reflector
) -> None:
    async with running(reflector):
        await opened(server, 1)
        server.send({"type": "ERROR", "object": {"code": 500, "message": "etcd"}})
        await opened(server, 2)
        put(server, "a")
        await mirror.until(lambda: mirror.events == [("ADDED", "a")])

    assert mirror.replaced == 1


async def test_a_watch_cut_within_a_line_is_resumed(
    server: FakeApi, mirror: Mirror, reflector: Reflector
) -> None:
    async with running(reflector):
        await opened(server, 1)
        server.end_watches("cut")
        await opened(server, 2)
        put(server, "a")
        await mirror.until(lambda: mirror.events == [("ADDED", "a")])

    assert mirror.replaced == 1


async def test_it_is_out_of_step_while_nobody_answers(
    server: FakeApi, mirror: Mirror, reflector: Reflector
) -> None:
    async with running(reflector):
        assert not reflector.in_step
        await opened(server, 1)
        assert reflector.in_step
        await server.stop()
        gate = server.hold(verb="GET")
        await server.start()
        await gate.reached.wait()
        assert not reflector.in_step
        assert reflector.listed.is_set()
        gate.open()
        put(server, "a")
        await mirror.until(lambda: "a" in mirror.items)
        assert reflector.in_step


async def test_it_waits_for_a_server_that_is_not_there_yet(
    server: FakeApi, mirror: Mirror, reflector: Reflector
) -> None:
    await server.stop()
    async with running(reflector):
        await server.start()
        await reflector.listed.wait()

    assert mirror.replaced == 1


async def test_failing_and_recovering_are_told_once_each(
    server: FakeApi, mirror: Mirror, reflector: Reflector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "scheduler.kube.reflector")
    async with running(reflector):
        await opened(server, 1)
        server.fail(500, verb="GET", times=7)
        server.end_watches("cut")
        await opened(server, 2)
        put(server, "a")
        await mirror.until(lambda: "a" in mirror.items)

    levels = [record.levelname for record in caplog.records if record.name.endswith("reflector")]
    assert levels == ["WARNING", "INFO"]
    assert "configmaps: no answer from" in caplog.text
    assert "configmaps: in step again" in caplog.text


async def test_a_version_forgotten_once_is_not_told(
    server: FakeApi, mirror: Mirror, reflector: Reflector, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(reflector):
        await opened(server, 1)
        put(server, "a")
        await mirror.until(lambda: "a" in mirror.items)
        server.compact()
        server.end_watches()
        await mirror.until(lambda: mirror.replaced == 2)

    assert caplog.records == []


async def test_watches_that_end_at_once_are_not_begun_in_a_hot_loop(
    server: FakeApi, hasty: Client, mirror: Mirror
) -> None:
    reflector = of(hasty, mirror, most=60.0)
    async with running(reflector):
        for count in range(1, 4):
            await opened(server, count)
            server.end_watches()
        # Three waits of 0.005 to 0.04 s lie behind the fourth, and the next are longer.
        begun = asyncio.get_running_loop().time()
        for count in range(4, 7):
            await opened(server, count)
            server.end_watches()

    assert asyncio.get_running_loop().time() - begun > 0.1
    assert mirror.replaced == 1


async def test_a_new_list_that_fails_is_still_wanted(
    server: FakeApi, mirror: Mirror, reflector: Reflector
) -> None:
    async with running(reflector):
        await opened(server, 1)
        server.fail(403, verb="GET")
        reflector.relist()
        await mirror.until(lambda: mirror.replaced == 2)


async def test_a_list_asked_for_while_nothing_is_watched_comes(
    server: FakeApi, mirror: Mirror, reflector: Reflector
) -> None:
    async with running(reflector):
        await opened(server, 1)
    reflector.relist()
    async with running(reflector):
        await mirror.until(lambda: mirror.replaced == 2)


async def test_a_list_asked_for_while_one_is_read_comes_after_it(
    server: FakeApi, mirror: Mirror, reflector: Reflector
) -> None:
    gate = server.hold(verb="GET")
    async with running(reflector):
        await gate.reached.wait()
        reflector.relist()
        gate.open()
        await mirror.until(lambda: mirror.replaced == 2)


class Broken:
    """A sink with an error of its own."""

    def replace(self, items: Sequence[JSON]) -> None:
        pass

    def see(self, event: str, item: JSON) -> None:
        raise TimeoutError("ours")


async def test_an_error_of_the_sink_ends_it(server: FakeApi, hasty: Client) -> None:
    async with running(of(hasty, Broken())) as task:
        await opened(server, 1)
        put(server, "a")
        await asyncio.wait([task])

    with pytest.raises(TimeoutError, match="ours"):
        task.result()


class Heavy(Mirror):
    """A sink that takes 2 ms for each event."""

    def see(self, event: str, item: JSON) -> None:
        end = asyncio.get_running_loop().time() + 0.002
        while asyncio.get_running_loop().time() < end:
            pass
        super().see(event, item)


async def test_a_flood_of_events_leaves_others_their_turn(server: FakeApi, hasty: Client) -> None:
    mirror, most = Heavy(), 0
    async with running(of(hasty, mirror)):
        await opened(server, 1)
        for number in range(200):
            put(server, f"c{number}")
        while len(mirror.events) < 200:
            before = len(mirror.events)
            await asyncio.sleep(0)
            most = max(most, len(mirror.events) - before)

    # 5 ms are over within the third.
    assert 0 < most <= 3
