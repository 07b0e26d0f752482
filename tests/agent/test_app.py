"""What an agent serves to Prometheus and to the kubelet."""

import httpx

from scheduler.agent.app import create_app


async def get(path: str, problem: str = "") -> httpx.Response:
    app = create_app(exposition=lambda: b"# all\n", silence=lambda: problem)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:
        return await client.get(path)


async def test_metrics_are_served_as_text() -> None:
    answer = await get("/metrics")
    assert (answer.status_code, answer.text) == (200, "# all\n")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_it_is_well_while_its_driver_answers() -> None:
    assert (await get("/healthz")).text == "ok\n"


async def test_it_is_not_once_the_driver_is_silent_for_long() -> None:
    answer = await get("/healthz", "the driver doesn't answer")
    assert (answer.status_code, answer.text) == (503, "the driver doesn't answer\n")
