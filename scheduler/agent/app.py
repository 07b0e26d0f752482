"""What an agent serves: its metrics, and whether its driver answers."""

from collections.abc import Callable

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse

from scheduler.telemetry.agentmetrics import CONTENT_TYPE


def create_app(*, exposition: Callable[[], bytes], silence: Callable[[], str]) -> FastAPI:
    """Build the app. `silence` says why the driver is silent, "" while it answers."""
    app = FastAPI(title="Equipoise agent", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(exposition(), media_type=CONTENT_TYPE)

    @app.get("/healthz")
    async def healthz() -> Response:
        problem = silence()
        return PlainTextResponse(f"{problem or 'ok'}\n", 503 if problem else 200)

    return app
