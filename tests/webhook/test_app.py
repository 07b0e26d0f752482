"""The same over HTTP: bytes of a review in, bytes of a review out."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from scheduler.webhook.app import create_app
from scheduler.webhook.mutation import Rules
from tests.webhook.pods import F, box, patch_in, pod_of, request_of, review_of

seen: list[tuple[str, float]] = []


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    seen.clear()
    app = create_app(
        Rules(), observe=lambda verb, seconds: seen.append((verb, seconds)), max_body=2**20
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="https://webhook"
    ) as found:
        yield found


async def answered(client: httpx.AsyncClient, path: str, pod: Any, **more: Any) -> Any:
    answer = await client.post(path, content=review_of(request_of(pod, **more)))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    found = answer.json()
    assert (found["apiVersion"], found["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert found["response"]["uid"] == "7e1c"
    return found


async def test_a_pod_that_asks_is_allowed_with_a_patch(client: httpx.AsyncClient) -> None:
    found = await answered(client, "/mutate/tenants", pod_of(None, box(gpus="1")))
    assert found["response"]["allowed"] is True
    assert found["response"]["patchType"] == "JSONPatch"
    assert found["response"]["warnings"] == [
        'nvidia.com/gpu became equipoise.dev/gpu-fraction: "1"'
    ]
    assert {op["op"] for op in patch_in(found)} == {"add", "remove"}


async def test_a_pod_that_is_none_of_ours_is_allowed_without_one(client: httpx.AsyncClient) -> None:
    for path in ("/mutate", "/validate"):
        found = await answered(client, path, pod_of(None, box(gpus="1")))
        assert found["response"] == {"uid": "7e1c", "allowed": True}


async def test_a_bad_one_is_refused_with_a_status(client: httpx.AsyncClient) -> None:
    for path in ("/mutate", "/mutate/tenants", "/validate", "/validate/tenants"):
        status = (await answered(client, path, pod_of({F: "-1"})))["response"]["status"]
        assert (status["code"], status["reason"]) == (422, "Invalid")
        assert status["message"].startswith("equipoise.dev/gpu-fraction:")


async def test_who_cant_judge_doesnt_let_pass(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    # Nothing that an API server would send: containers are objects.
    broken = pod_of({F: "0.5"}, initContainers=[{"name": "c", "env": 7}])
    said = [(await answered(client, "/mutate", broken))["response"] for _ in range(2)]
    assert said[0] == said[1]
    assert said[0]["allowed"] is False
    assert said[0]["status"] == {
        "code": 500,
        "reason": "InternalError",
        "message": "internal error: TypeError; see the log of equipoise serve",
    }
    assert "mutate failed for lab/None" in caplog.text


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", "no AdmissionReview"),
        (b'{"request": {}}', "no AdmissionReview"),
        (b'{"request": {"uid": 7}}', "no AdmissionReview"),
        (b" " * (2**20 + 1), "larger than 1 MiB"),
    ],
    ids=["half", "list", "no uid", "a number", "huge"],
)
async def test_what_is_no_review_gets_a_400(
    client: httpx.AsyncClient, body: bytes, says: str
) -> None:
    answer = await client.post("/mutate", content=body)
    assert answer.status_code == 400
    assert says in answer.text


async def test_each_review_is_observed(client: httpx.AsyncClient) -> None:
    await answered(client, "/mutate", pod_of())
    await answered(client, "/validate/tenants", pod_of())
    await client.post("/mutate", content=b"{")
    assert [verb for verb, seconds in seen if seconds >= 0] == ["mutate", "validate", "mutate"]


async def test_health_and_nothing_else(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).text == "ok"
    assert (await client.get("/docs")).status_code == 404
    assert (await client.get("/mutate")).status_code == 405
