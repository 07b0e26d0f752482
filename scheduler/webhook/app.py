"""The HTTP side: /mutate and /validate. Bytes in, bytes out, no models between.

`…/tenants` is the path for pods in tenants' namespaces (see review.py). The API server reads an
answer with status 200 only, and what is wrong from the `status` in it; anything else counts as
"the webhook failed", which refuses the pod as well, but without our sentence.
"""

import base64
import logging
from collections.abc import Callable, Mapping
from functools import partial
from time import perf_counter
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from scheduler.http import DirectApp, Handler, TooLarge, body_of
from scheduler.webhook import review
from scheduler.webhook.granting import Granting
from scheduler.webhook.mutation import NO_GRANTS, Rules
from scheduler.webhook.review import Answer

MAX_BODY = 16 * 2**20
"""Bytes. A review carries an object twice at most, and the API server takes 3 MiB a request."""

API_VERSION = "admission.k8s.io/v1"

Observe = Callable[[str, float], None]
"""Told each verb ("mutate" or "validate") and how many seconds it took."""

Judge = Callable[[Mapping[str, Any]], Answer]

log = logging.getLogger(__name__)


class NoReview(Exception):
    """The body is no AdmissionReview; there is no UID that an answer could carry."""


def create_app(
    rules: Rules,
    *,
    places: Granting = NO_GRANTS,
    observe: Observe | None = None,
    max_body: int = MAX_BODY,
) -> FastAPI:
    """Return the ASGI app. `places`: who may give a pod its place at once; `max_body` in bytes."""
    app = DirectApp(title="Equipoise webhook", openapi_url=None, docs_url=None, redoc_url=None)
    mutating = partial(review.mutating, places=places)
    for verb, judge in (("mutate", mutating), ("validate", review.validating)):
        for path, tenants in ((f"/{verb}", False), (f"/{verb}/tenants", True)):
            judging = partial(judge, rules=rules, tenants=tenants)
            app.direct[path] = _handler(verb, judging, max_body, observe)
    app.add_route("/healthz", _healthz, methods=["GET"], include_in_schema=False)
    return app


def _handler(verb: str, judge: Judge, max_body: int, observe: Observe | None) -> Handler:
    async def handle(request: Request) -> Response:
        began = perf_counter()
        try:
            return _reviewed(verb, await body_of(request, max_body), judge)
        except (NoReview, TooLarge, ClientDisconnect) as problem:
            return PlainTextResponse(str(problem) or "the caller hung up", 400)
        finally:
            if observe is not None:
                observe(verb, perf_counter() - began)

    return handle


def _reviewed(verb: str, body: bytes, judge: Judge) -> Response:
    request = _request(body)
    try:
        answer = judge(request)
    except Exception as problem:
        log.exception("%s failed for %s/%s", verb, request.get("namespace"), request.get("name"))
        # The text is the same each time; the log has the rest. Who can't judge doesn't let pass.
        said = f"internal error: {type(problem).__name__}; see the log of equipoise serve"
        answer = Answer(allowed=False, code=500, message=said)
    return Response(_encoded(request["uid"], answer), media_type="application/json")


def _request(body: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NoReview("the body is not JSON; send an AdmissionReview") from None
    request = found.get("request") if isinstance(found, dict) else None
    if not isinstance(request, dict) or not isinstance(request.get("uid"), str):
        raise NoReview(f"the body is no AdmissionReview of {API_VERSION} with a request and a uid")
    return request


def _encoded(uid: str, answer: Answer) -> bytes:
    response: dict[str, Any] = {"uid": uid, "allowed": answer.allowed}
    if not answer.allowed:
        reason = "Invalid" if answer.code == 422 else "InternalError"
        response["status"] = {"code": answer.code, "reason": reason, "message": answer.message}
    if answer.patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(orjson.dumps(answer.patch)).decode()
    if answer.warnings:
        response["warnings"] = answer.warnings
    return orjson.dumps(
        {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}
    )


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok")
