"""The same over HTTP: status, bodies, errors, and a server that starts and ends cleanly."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import orjson
import pytest

from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import NodeName
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Verdict
from scheduler.extender.app import create_app
from scheduler.http import run, serving
from tests.support.extenders import FakeApi, node, pod_json, service

seen: list[tuple[str, float]] = []


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    seen.clear()
    api = FakeApi()
    api.create("p")
    app = create_app(
        service(Ledger([node("a"), node("b")]), api),
        observe=lambda verb, seconds: seen.append((verb, seconds)),
        ready=lambda: bool(api.pods),
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://extender"
    ) as found:
        yield found


def _args(uid: str = "p", *names: str, fraction: str = "0.5") -> dict[str, Any]:
    return {"Pod": pod_json(uid, fraction), "Nodes": None, "NodeNames": list(names)}


async def test_a_pod_goes_all_the_way(client: httpx.AsyncClient) -> None:
    found = (await client.post("/filter", json=_args("p", "b", "a"))).json()
    assert found == {
        "Nodes": None,
        "NodeNames": ["b"],
        "FailedNodes": {},
        "FailedAndUnresolvableNodes": {},
        "Error": "",
    }
    scores = (await client.post("/prioritize", json=_args("p", "a", "b"))).json()
    assert scores == [{"Host": "a", "Score": 0}, {"Host": "b", "Score": 10}]
    body = {"PodName": "p", "PodNamespace": "lab", "PodUID": "p", "Node": "b"}
    answer = await client.post("/bind", json=body)
    assert (answer.status_code, answer.json()) == (200, {"Error": ""})
    assert answer.headers["content-type"] == "application/json"
    assert [verb for verb, seconds in seen if seconds >= 0] == ["filter", "prioritize", "bind"]


async def test_preempt_names_no_candidates(client: httpx.AsyncClient) -> None:
    victims = {"a": {"Pods": [{"UID": "v"}], "NumPDBViolations": 0}}
    body = {"Pod": pod_json("p"), "NodeNameToVictims": None, "NodeNameToMetaVictims": victims}
    assert (await client.post("/preempt", json=body)).json() == {"NodeNameToMetaVictims": {}}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"Pod": 1}', b"\xff\xfe"])
@pytest.mark.parametrize(
    ("verb", "status"), [("filter", 200), ("bind", 200), ("preempt", 200), ("prioritize", 400)]
)
async def test_a_bad_body_is_one_clear_answer(
    client: httpx.AsyncClient, verb: str, status: int, body: bytes
) -> None:
    answer = await client.post(f"/{verb}", content=body)
    assert answer.status_code == status
    if verb == "preempt":
        assert answer.json() == {"NodeNameToMetaVictims": {}}
    else:
        text = answer.text if verb == "prioritize" else answer.json()["Error"]
        assert text.startswith("the body ")


async def test_a_body_beyond_the_limit_is_refused() -> None:
    app = create_app(service(Ledger(), FakeApi()), max_body=2**20)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://extender"
    ) as found:
        answer = await found.post("/filter", content=b" " * (2**20 + 1))
    assert answer.json()["Error"] == "the body is larger than 1 MiB; set nodeCacheCapable: true"


async def test_health_and_nothing_else(client: httpx.AsyncClient) -> None:
    statuses = {
        path: (await client.get(path)).status_code
        for path in ("/healthz", "/readyz", "/filter", "/docs", "/openapi.json", "/")
    }
    expected = (200, 200, 405, 404, 404, 404)
    assert statuses == dict(zip(statuses, expected, strict=True))


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
async def test_ready_is_what_it_is_told(ready: bool, status: int) -> None:
    app = create_app(service(Ledger(), FakeApi()), ready=lambda: ready)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://extender"
    ) as found:
        assert (await found.get("/readyz")).status_code == status


def _broken(pod: Pod, names: Sequence[NodeName]) -> Verdict:
    raise ZeroDivisionError


async def test_a_bug_is_one_clear_answer_and_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger = Ledger([node("a")])
    app = create_app(service(ledger, FakeApi(), plan=_broken))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://extender"
    ) as found:
        answer = await found.post("/filter", json=_args("p", "a"))
    problem = "internal error: ZeroDivisionError; see the extender's log"
    assert (answer.status_code, answer.json()["Error"]) == (200, problem)
    assert "filter failed" in caplog.text
    assert not ledger.holdings


async def test_a_real_server_takes_a_free_port_and_gives_it_back() -> None:
    api = FakeApi()
    api.create("p")
    app = create_app(service(Ledger([node("a")]), api))
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with serving(app, "127.0.0.1", 0) as address:
        assert handlers == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
        async with httpx.AsyncClient(base_url=address.url) as found:
            answer = await found.post("/filter", json=_args("p", "a", *map(str, range(5_000))))
            assert orjson.loads(answer.content)["NodeNames"] == ["a"]
            with pytest.raises(InvalidInput, match="choose another address or port"):
                async with serving(app, "127.0.0.1", address.port):
                    pass
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", address.port)


async def test_a_body_of_many_mebibytes_passes_the_server() -> None:
    app = create_app(service(Ledger([node("a")]), FakeApi()))
    body = orjson.dumps(_args("p", "a")) + b" " * 12 * 2**20
    async with serving(app, "127.0.0.1", 0) as address, httpx.AsyncClient() as found:
        answer = await found.post(f"{address.url}/filter", content=body)
        assert answer.json()["NodeNames"] == ["a"]


def test_a_server_runs_in_uvloop_and_ends_with_its_block() -> None:
    async def main() -> str:
        app = create_app(service(Ledger(), FakeApi()))
        async with serving(app, "127.0.0.1", 0) as address, httpx.AsyncClient() as found:
            return (await found.get(f"{address.url}/healthz")).text

    assert run(main()) == "ok"


async def test_an_app_that_cannot_start_says_so() -> None:
    async def broken(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})

    with pytest.raises(RuntimeError, match="could not start"):
        async with serving(broken, "127.0.0.1", 0):
            pass


async def test_a_replica_that_does_not_act_answers_nothing_and_books_nothing() -> None:
    api, ledger = FakeApi(), Ledger([node("a")])
    api.create("p")
    app = create_app(service(ledger, api), acts=lambda: False)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://extender"
    ) as there:
        filtered = (await there.post("/filter", json=_args("p", "a"))).json()
        body = {"PodName": "p", "PodNamespace": "lab", "PodUID": "p", "Node": "a"}
        bound = (await there.post("/bind", json=body)).json()
    assert "does not act" in filtered["Error"]
    assert "does not act" in bound["Error"]
    assert not ledger.holdings
