"""Routes, headers and what the page may load; nothing that a tenant writes becomes markup."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from scheduler.core.model.standing import Standing
from scheduler.telemetry.metrics import Metrics
from scheduler.web.app import STATIC, create_app
from scheduler.web.history import History
from tests.support.standings import START, Story, tenant

EVIL = "<img src=x onerror=alert(1)>"


def _client(
    standing: Callable[[], Standing] | None = None, *, ready: bool = True
) -> httpx.AsyncClient:
    picture = Story().at(60.0)
    history = History()
    history.record(picture)
    app = create_app(
        standing=standing or (lambda: picture),
        history=history,
        metrics=Metrics().exposition,
        ready=lambda: ready,
        title="Test cluster",
        facts=("20 GPUs",),
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://status")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/static/main.js", "text/javascript; charset=utf-8"),
        ("/static/page.css", "text/css; charset=utf-8"),
        ("/static/icon.svg", "image/svg+xml"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/healthz", "text/plain; charset=utf-8"),
        ("/readyz", "text/plain; charset=utf-8"),
        ("/api/v1/state", "application/json"),
        ("/api/v1/history", "application/json"),
    ],
)
async def test_every_route_answers_with_its_type_and_the_strict_policy(
    path: str, kind: str
) -> None:
    async with _client() as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/static/../app.py", "/static/none.js"])
async def test_there_is_nothing_else(path: str) -> None:
    async with _client() as client:
        answer = await client.get(path)
    assert answer.status_code == 404
    assert "content-security-policy" in answer.headers


async def test_readiness_is_refused_with_a_reason_and_health_is_not() -> None:
    async with _client(ready=False) as client:
        refused, healthy = await client.get("/readyz"), await client.get("/healthz")
    assert refused.status_code == 503
    assert "still being read" in refused.text
    assert healthy.status_code == 200


async def test_the_state_carries_title_facts_and_numbers() -> None:
    async with _client() as client:
        state = (await client.get("/api/v1/state")).json()
    assert (state["title"], state["facts"], state["at"]) == (
        "Test cluster",
        ["20 GPUs"],
        START + 60,
    )
    assert state["cluster"]["gpus"] == 20


async def test_the_state_follows_the_picture() -> None:
    pictures = iter([Standing(at=1.0), Standing(at=2.0)])
    async with _client(lambda: next(pictures)) as client:
        times = [(await client.get("/api/v1/state")).json()["at"] for _ in range(2)]
    assert times == [1.0, 2.0]


async def test_history_can_be_asked_for_from_a_moment_on() -> None:
    async with _client() as client:
        assert (await client.get("/api/v1/history")).json()["at"] == [START + 60]
        assert (await client.get(f"/api/v1/history?after={START + 60}")).json()["at"] == []
        assert (await client.get("/api/v1/history?after=x")).status_code == 422


async def test_metrics_can_be_parsed() -> None:
    async with _client() as client:
        text = (await client.get("/metrics")).text
    assert "equipoise_free_gpus" in {f.name for f in text_string_to_metric_families(text)}


async def test_a_name_that_is_markup_stays_text_in_json_and_never_reaches_the_page() -> None:
    picture = Standing(at=0.0, tenants=(tenant(EVIL),))
    async with _client(lambda: picture) as client:
        state = await client.get("/api/v1/state")
        page = await client.get("/")
    assert state.json()["tenants"][0]["name"] == EVIL
    assert state.headers["content-type"] == "application/json"
    assert EVIL not in page.text


def _scripts() -> list[Path]:
    return sorted(STATIC.glob("*.js"))


@pytest.mark.parametrize("path", _scripts(), ids=lambda path: path.name)
def test_scripts_write_text_and_never_markup(path: Path) -> None:
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
        r"|createContextualFragment|DOMParser|srcdoc"
    )
    assert not re.search(forbidden, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", _scripts(), ids=lambda path: path.name)
def test_scripts_import_only_what_is_there(path: Path) -> None:
    for name in re.findall(r'from "\./([^"]+)"', path.read_text(encoding="utf-8")):
        assert (STATIC / name).is_file()


def test_the_page_loads_only_our_own_files_and_holds_no_code() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert address.startswith(("/static/", "/api/v1/", "/metrics"))
        assert not address.startswith("/static/") or (STATIC / address[8:]).is_file()
    assert not re.search(r"\son\w+=|style=|<style|javascript:", page)
    assert all(not body.strip() for body in re.findall(r"<script[^>]*>(.*?)</script>", page, re.S))


@pytest.mark.parametrize("path", sorted(STATIC.iterdir()), ids=lambda path: path.name)
def test_no_file_of_the_page_names_another_host(path: Path) -> None:
    hosts = re.findall(r"https?://([^/\"' ]+)", path.read_text(encoding="utf-8"))
    assert set(hosts) <= {"www.w3.org"}


def test_every_element_that_scripts_look_for_is_on_the_page() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    present = set(re.findall(r'id="([^"]+)"', page))
    wanted = {
        name
        for path in _scripts()
        for name in re.findall(r'byId\("([^"]+)"\)', path.read_text(encoding="utf-8"))
    }
    assert wanted
    assert wanted <= present
