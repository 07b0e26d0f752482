"""The HTTP side: kube-scheduler's four verbs, and health. Bytes in, bytes out, no models between.

kube-scheduler reads an answer only with status 200, and takes what is wrong from its `Error`.
"""

import logging
from collections.abc import Awaitable, Callable
from time import perf_counter

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from scheduler.core.model.errors import InvalidInput, NotLeading
from scheduler.extender import wire
from scheduler.extender.service import ExtenderService
from scheduler.http import DirectApp, Handler, TooLarge, body_of

MAX_BODY = 32 * 2**20
"""Bytes. 5,000 names take 0.15 MiB; 5,000 whole nodes about 25."""

Observe = Callable[[str, float], None]
"""Told each verb and how many seconds it took."""

Answer = Callable[[bytes], Awaitable[bytes]]
Reading = Callable[[Request], Awaitable[bytes]]

NOT_ACTING = "this replica of Equipoise does not act yet; the call is tried again by itself"

log = logging.getLogger(__name__)


def create_app(
    service: ExtenderService,
    *,
    observe: Observe | None = None,
    ready: Callable[[], bool] | None = None,
    acts: Callable[[], bool] = lambda: True,
    max_body: int = MAX_BODY,
) -> FastAPI:
    """Return the ASGI app; `/readyz` asks `ready`, by default it is always ready.

    While `acts` says no, every verb fails: what is known here may be out of date. `max_body` in
    bytes.
    """
    app = DirectApp(title="Equipoise extender", openapi_url=None, docs_url=None, redoc_url=None)
    for verb, (answer, failure) in _verbs(service).items():
        handler = _handler(verb, _reading(_if_acting(acts, answer), max_body), failure, observe)
        app.direct[f"/{verb}"] = handler
    app.add_route("/healthz", _healthz, methods=["GET"], include_in_schema=False)
    app.add_route("/readyz", _readyz(ready), methods=["GET"], include_in_schema=False)
    return app


def _verbs(
    service: ExtenderService,
) -> dict[str, tuple[Answer, Callable[[str, int], Response]]]:
    """Each verb: how it is answered, and how it says that it can't be."""

    async def filter_(body: bytes) -> bytes:
        args = wire.decode_filter(body)
        return wire.encode_filter(service.filter(args), args.items)

    async def prioritize(body: bytes) -> bytes:
        return wire.encode_scores(service.prioritize(wire.decode_filter(body)))

    async def preempt(body: bytes) -> bytes:
        service.preempt(wire.decode_preemption(body))
        return wire.encode_no_candidates()

    async def bind(body: bytes) -> bytes:
        return wire.encode_binding(await service.bind(wire.decode_binding(body)))

    return {
        "filter": (filter_, lambda problem, _: _json(wire.encode_filter_error(problem))),
        "prioritize": (prioritize, PlainTextResponse),
        "preempt": (preempt, lambda _problem, _: _json(wire.encode_no_candidates())),
        "bind": (bind, lambda problem, _: _json(wire.encode_binding(problem))),
    }


def _handler(
    verb: str,
    answer: Reading,
    failure: Callable[[str, int], Response],
    observe: Observe | None,
) -> Handler:
    async def handle(request: Request) -> Response:
        began = perf_counter()
        try:
            return _json(await answer(request))
        except InvalidInput as problem:
            return failure(str(problem), 400)
        except TooLarge as problem:
            return failure(f"{problem}; set nodeCacheCapable: true", 400)
        except NotLeading as problem:
            return failure(str(problem), 503)
        except ClientDisconnect:
            return failure("the caller hung up", 400)
        except Exception as problem:
            log.exception("%s failed", verb)
            # The text is the same each time: kube-scheduler shows it, and the log has the rest.
            return failure(f"internal error: {type(problem).__name__}; see the extender's log", 500)
        finally:
            if observe is not None:
                observe(verb, perf_counter() - began)

    return handle


def _if_acting(acts: Callable[[], bool], answer: Answer) -> Answer:
    async def answer_if_acting(body: bytes) -> bytes:
        if not acts():
            raise NotLeading(NOT_ACTING)
        return await answer(body)

    return answer_if_acting


def _reading(answer: Answer, max_body: int) -> Reading:
    async def read_and_answer(request: Request) -> bytes:
        return await answer(await body_of(request, max_body))

    return read_and_answer


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok")


def _readyz(ready: Callable[[], bool] | None) -> Handler:
    async def readyz(_request: Request) -> Response:
        if ready is None or ready():
            return PlainTextResponse("ok")
        return PlainTextResponse("not ready", 503)

    return readyz


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")
