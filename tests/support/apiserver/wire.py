"""Between HTTP and what is stored: requests as they arrived, what their paths name, answers."""

from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from tests.support.apiserver.faults import Fault
from tests.support.apiserver.refusals import Refused
from tests.support.apiserver.store import Key

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that arrived. `body` is what its JSON says; `peer` is its connection's port."""

    verb: str
    path: str
    query: dict[str, str]
    body: Any
    kind: str
    authorization: str
    peer: int
    accept: str

    @property
    def wants_metadata(self) -> bool:
        return "as=PartialObjectMetadata" in self.accept

    @property
    def watches(self) -> bool:
        return "watch" in self.query


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names; `key.name` is "" for a list."""

    key: Key
    sub: str
    whole: bool

    @property
    def namespace(self) -> str | None:
        return None if self.whole else self.key.namespace


async def read(request: web.Request) -> Seen:
    content = await request.read()
    return Seen(
        request.method,
        request.path,
        dict(request.query),
        orjson.loads(content) if content else None,
        request.content_type,
        request.headers.get("Authorization", ""),
        request.transport.get_extra_info("peername")[1] if request.transport else 0,
        request.headers.get("Accept", ""),
    )


def target_of(path: str) -> Target:
    """Read `/api/v1/...` or `/apis/GROUP/VERSION/...`."""
    _, root, *steps = path.split("/")
    count = {"api": 1, "apis": 2}.get(root)
    if count is None or len(steps) <= count:
        raise Refused(404, "", "404 page not found")
    base, rest = "/".join(["", root, *steps[:count]]), steps[count:]
    namespace = ""
    # `namespaces/x` is an object, and `namespaces/x/status` a subresource of it.
    namespaced = len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in {"status", "finalize"}
    if namespaced:
        namespace, rest = rest[1], rest[2:]
    name, sub = (*rest[1:], "", "")[:2]
    return Target(Key(f"{base}/{rest[0]}", namespace, name), sub, whole=not namespaced)


def answer(content: JSON, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")


def refusal(refused: Refused) -> web.Response:
    response = answer(refused.body, refused.status)
    if refused.retry_after:
        response.headers["Retry-After"] = str(refused.retry_after)
    return response


def spoil(request: web.Request, fault: Fault) -> web.Response:
    if fault.status is not None:
        words = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError"}
        reason = words.get(fault.status, "")
        return refusal(Refused(fault.status, reason, "made up", retry_after=fault.retry_after))
    abort(request)
    return web.Response()


def abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
