"""The client against a server that refuses, drops, hangs and comes back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import orjson
import pytest

from scheduler.kube.client import JSON, Client, Patch
from scheduler.kube.errors import (
    ApiError,
    Conflict,
    ServerFailed,
    TooManyRequests,
    Unreachable,
    api_error,
)
from scheduler.kube.lines import lines
from scheduler.kube.paging import list_all
from scheduler.kube.resources import CONFIG_MAPS, NODES, PODS, TENANTS
from tests.support.apiserver.kubeconfigs import by_token
from tests.support.apiserver.server import FakeApi
from tests.support.kubecontract import ClientContract, config, name

LIST = CONFIG_MAPS.list_path("lab")
ONE = CONFIG_MAPS.path("c", "lab")

Write = Callable[[Client], Awaitable[JSON]]

WRITES: dict[str, Write] = {
    "POST": lambda client: client.post(LIST, config("new")),
    "PUT": lambda client: client.put(ONE, config("c", a="2")),
    "PATCH": lambda client: client.patch(ONE, {"data": {"a": "2"}}, Patch.MERGE),
    "DELETE": lambda client: client.delete(ONE),
}


class TestContract(ClientContract):
    """The same as on a real API server."""


@pytest.fixture
async def hasty(server: FakeApi, tmp_path: Path) -> AsyncIterator[Client]:
    """A client that waits for an answer for half a second only."""
    path = by_token(tmp_path / "hasty", server.url, "sesame")
    async with await Client.connect(kubeconfig=str(path), timeout_seconds=0.5) as made:
        yield made


@pytest.fixture(autouse=True)
def stored(server: FakeApi, request: pytest.FixtureRequest) -> None:
    """What the tests of this file, but not the contract's, find there."""
    if request.cls is None:
        server.put(
            CONFIG_MAPS, {**config("c", a="1"), "metadata": {"name": "c", "namespace": "lab"}}
        )


def sent(server: FakeApi, verb: str) -> int:
    return sum(seen.verb == verb for seen in server.requests)


async def test_a_read_that_gets_no_answer_or_a_failure_is_repeated(
    server: FakeApi, client: Client
) -> None:
    server.drop(verb="GET")
    server.fail(500, verb="GET")
    server.fail(503, verb="GET")

    assert (await client.get(ONE))["data"] == {"a": "1"}
    assert sent(server, "GET") == 4


@pytest.mark.parametrize("verb", WRITES)
@pytest.mark.parametrize("processed", [False, True], ids=["before", "after"])
async def test_a_write_without_an_answer_is_never_repeated(
    server: FakeApi, client: Client, verb: str, processed: bool
) -> None:
    await client.get(ONE)  # the write goes over a connection that was in use
    server.drop(verb=verb, processed=processed)

    with pytest.raises(Unreachable, match=r"no answer from http://127\.0\.0\.1"):
        await WRITES[verb](client)

    assert sent(server, verb) == 1


@pytest.mark.parametrize("verb", WRITES)
@pytest.mark.parametrize("status", [500, 503, 504])
async def test_a_write_that_failed_is_never_repeated(
    server: FakeApi, client: Client, verb: str, status: int
) -> None:
    server.fail(status, verb=verb)

    with pytest.raises(ServerFailed) as failed:
        await WRITES[verb](client)

    assert failed.value.status == status
    assert sent(server, verb) == 1


@pytest.mark.parametrize("verb", WRITES)
@pytest.mark.parametrize("status", [429, 503])
async def test_a_write_that_was_not_processed_is_sent_again_when_the_server_says(
    server: FakeApi, client: Client, verb: str, status: int
) -> None:
    server.fail(status, verb=verb, retry_after=0.2)
    begun = asyncio.get_running_loop().time()

    await WRITES[verb](client)

    assert sent(server, verb) == 2
    assert asyncio.get_running_loop().time() - begun >= 0.2


async def test_a_server_that_is_busy_for_too_long_is_an_error_at_once(
    server: FakeApi, hasty: Client
) -> None:
    server.fail(429, verb="POST", retry_after=30)

    with pytest.raises(TooManyRequests) as busy:
        await WRITES["POST"](hasty)

    assert busy.value.retry_after == 30.0
    assert sent(server, "POST") == 1


async def test_a_budget_that_forbids_an_eviction_is_an_error_at_once(
    server: FakeApi, client: Client
) -> None:
    server.fail(429, verb="POST")

    with pytest.raises(TooManyRequests) as forbidden:
        await WRITES["POST"](client)

    assert forbidden.value.retry_after is None


@pytest.mark.parametrize("verb", ["GET", *WRITES])
async def test_no_request_takes_longer_than_its_time(
    server: FakeApi, hasty: Client, verb: str
) -> None:
    gate = server.hold(verb=verb)
    begun = asyncio.get_running_loop().time()

    with pytest.raises(Unreachable, match=r"no answer from http://127.0.0.1:\d+ in 0.5 s"):
        await (hasty.get(ONE) if verb == "GET" else WRITES[verb](hasty))

    assert asyncio.get_running_loop().time() - begun < 3.0
    gate.open()


async def test_a_server_that_is_not_there_is_unreachable(server: FakeApi, hasty: Client) -> None:
    await server.stop()

    with pytest.raises(Unreachable, match="no answer from"):
        await hasty.get(ONE)


async def test_a_server_that_comes_back_is_used_again(server: FakeApi, client: Client) -> None:
    await client.get(ONE)
    await server.stop()
    await server.start()

    assert (await client.post(LIST, config("new")))["metadata"]["name"] == "new"


async def test_a_cancelled_request_is_cancelled(server: FakeApi, client: Client) -> None:
    gate = server.hold(verb="GET")
    task = asyncio.create_task(client.get(ONE))
    await gate.reached.wait()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open()


async def test_no_more_than_64_requests_are_under_way(server: FakeApi, client: Client) -> None:
    gate = server.hold(verb="GET", times=100)
    tasks = [asyncio.create_task(client.get(ONE)) for _ in range(100)]

    await server.until(lambda: len(server.requests) == 64)
    gate.open()
    await asyncio.gather(*tasks)

    assert len(server.requests) == 100


async def test_the_watch_of_a_server_that_stops_breaks_off(server: FakeApi, client: Client) -> None:
    async def follow() -> None:
        async with client.stream(LIST, {"watch": "1"}) as stream:
            async for _ in stream:
                pass

    task = asyncio.create_task(follow())
    await server.until(lambda: server.watching == 1)
    server.end_watches("cut")

    with pytest.raises(Unreachable):
        await task


async def test_the_beginning_of_a_watch_is_not_repeated(server: FakeApi, client: Client) -> None:
    server.fail(500, verb="GET")

    with pytest.raises(ServerFailed):
        async with client.stream(LIST, {"watch": "1"}):
            pass

    assert sent(server, "GET") == 1


async def test_a_silent_watch_ends(server: FakeApi, client: Client) -> None:
    version = str(server.store.version)
    params = {"watch": "1", "resourceVersion": version}

    async with client.stream(LIST, params, quiet_seconds=0.2) as stream:
        assert [event async for event in stream] == []


async def test_an_event_of_megabytes_comes_whole(server: FakeApi, client: Client) -> None:
    large = {**config("large", a="x" * 5_000_000), "metadata": {"name": "l", "namespace": "lab"}}
    server.put(CONFIG_MAPS, large)

    async with client.stream(LIST, {"watch": "1"}) as stream:
        found = {name(event["object"]): event["object"] async for event in _first(stream, 2)}

    assert len(found["l"]["data"]["a"]) == 5_000_000


async def test_an_error_in_the_block_of_a_watch_stays_what_it_is(client: Client) -> None:
    with pytest.raises(OSError, match="ours"):
        async with client.stream(LIST, {"watch": "1"}):
            raise OSError("ours")


async def test_a_list_whose_pages_are_forgotten_meanwhile_begins_anew(
    server: FakeApi, client: Client
) -> None:
    gate = server.hold(verb="GET", skip=1)
    for number in range(3):
        server.put(CONFIG_MAPS, {"metadata": {"name": f"x{number}", "namespace": "lab"}})
    task = asyncio.create_task(list_all(client, LIST, page=2))
    await gate.reached.wait()
    server.put(CONFIG_MAPS, {"metadata": {"name": "late", "namespace": "lab"}})
    server.compact()
    gate.open()

    items, version = await task

    assert [name(item) for item in items] == ["c", "late", "x0", "x1", "x2"]
    assert int(version) == server.store.version


async def test_pages_of_large_objects_are_small(server: FakeApi, client: Client) -> None:
    for number in range(130):
        about = {"name": f"n{number:03d}"}
        server.put(NODES, {"metadata": about, "status": {"text": "x" * 100_000}})

    items, _ = await list_all(client, NODES.list_path(), page=500)

    limits = [int(seen.query["limit"]) for seen in server.requests]
    assert len(items) == 130
    assert limits[0] == 100
    assert all(limit == 10 for limit in limits[1:])


async def test_tokens_and_agents_name_are_sent(server: FakeApi, client: Client) -> None:
    await client.get(ONE)

    assert server.requests[-1].authorization == "Bearer sesame"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"kind":"Status","message":"no","reason":"Conflict"}', "no"),
        (b"<html>a proxy</html>", "<html>a proxy</html>"),
        (b"[]", "[]"),
        (b"", ""),
    ],
    ids=["status", "html", "list", "empty"],
)
def test_whatever_refuses_has_a_text(body: bytes, message: str) -> None:
    error = api_error(409, body, {})

    assert isinstance(error, Conflict)
    assert error.message == message
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("header", "seconds"), [("3", 3.0), ("soon", None), ("-1", None), ("nan", None), ("inf", None)]
)
def test_retry_after_is_read_where_it_is_seconds(header: str, seconds: float | None) -> None:
    error = api_error(429, b"", {"Retry-After": header})

    assert error.retry_after == seconds


def test_an_unknown_status_is_a_plain_error() -> None:
    assert type(api_error(418, b"", {})) is ApiError


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_lines_are_found_however_they_were_cut(size: int) -> None:
    text = b'{"a":1}\n\n{"b":"' + b"x" * 50 + b'"}\n{"c":3}\n{"cut'

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(text), size):
            yield text[at : at + size]

    found = [orjson.loads(line) async for line in lines(chunks())]

    assert found == [{"a": 1}, {"b": "x" * 50}, {"c": 3}]


def test_paths_name_what_they_should() -> None:
    assert PODS.path("p", "lab", "binding") == "/api/v1/namespaces/lab/pods/p/binding"
    assert PODS.list_path() == "/api/v1/pods"
    assert TENANTS.path("a/b") == "/apis/equipoise.dev/v1alpha1/tenants/a%2Fb"
    assert TENANTS.api_version == "equipoise.dev/v1alpha1"
    with pytest.raises(ValueError, match="name one"):
        PODS.path("p")
    with pytest.raises(ValueError, match="in no namespace"):
        TENANTS.list_path("lab")


async def _first(stream: AsyncIterator[JSON], count: int) -> AsyncIterator[JSON]:
    for _ in range(count):
        yield await anext(stream)
