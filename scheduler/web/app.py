"""Status page, its JSON, metrics and health: a FastAPI app for a port of its own. It only reads."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import orjson
from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles

from scheduler.core.model.standing import Standing
from scheduler.telemetry.metrics import CONTENT_TYPE
from scheduler.web.headers import SecurityHeaders
from scheduler.web.history import History
from scheduler.web.views import state

STATIC = Path(__file__).parent / "static"

Standings = Callable[[], Standing | Awaitable[Standing]]
"""How everybody stands now. Called on the event loop, for it may read the ledger."""

Exposition = Callable[[Standing], bytes]
"""`telemetry.metrics.Metrics.exposition`. Called in a thread, for it takes a while."""


def create_app(
    *,
    standing: Standings,
    history: History,
    metrics: Exposition,
    ready: Callable[[], bool],
    title: str = "Equipoise",
    facts: Sequence[str] = (),
) -> FastAPI:
    """Build the app. `title` and `facts` (short phrases) stand at the top of the page.

    It shows all tenants to everyone who reaches it, so what listens must be for admins only.
    """
    # FastAPI's own documentation pages load scripts from elsewhere.
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(SecurityHeaders)
    _add_health(app, ready)
    _add_data(app, standing, history, title=title, facts=facts)

    @app.get("/metrics")
    async def exposition() -> Response:
        text = await asyncio.to_thread(metrics, await _now(standing))
        return Response(text, media_type=CONTENT_TYPE)

    @app.get("/", response_class=FileResponse)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _add_health(app: FastAPI, ready: Callable[[], bool]) -> None:
    @app.get("/healthz")
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @app.get("/readyz")
    async def readyz() -> Response:
        if ready():
            return PlainTextResponse("ok\n")
        return PlainTextResponse(
            "not ready: nodes and pods are still being read; ask again in a moment\n", 503
        )


def _add_data(
    app: FastAPI, standing: Standings, history: History, *, title: str, facts: Sequence[str]
) -> None:
    current = _Rendered(lambda picture: orjson.dumps(state(picture, title=title, facts=facts)))

    @app.get("/api/v1/state")
    async def state_now() -> Response:
        return Response(await current.of(await _now(standing)), media_type="application/json")

    @app.get("/api/v1/history")
    async def history_so_far(after: float = -math.inf) -> Response:
        past = history.past(after)
        return Response(await asyncio.to_thread(orjson.dumps, past), media_type="application/json")


async def _now(standing: Standings) -> Standing:
    found = standing()
    return found if isinstance(found, Standing) else await found


class _Rendered:
    """JSON of the newest picture, made once however many pages ask for it."""

    def __init__(self, render: Callable[[Standing], bytes]) -> None:
        self._render = render
        self._picture: Standing | None = None
        self._text: Awaitable[bytes] | None = None

    async def of(self, picture: Standing) -> bytes:
        if self._text is None or picture is not self._picture:
            self._picture = picture
            self._text = asyncio.ensure_future(asyncio.to_thread(self._render, picture))
        # Somebody who hangs up must not take the answer from the others.
        return await asyncio.shield(self._text)
