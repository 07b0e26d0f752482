"""A client of the API server: verbs on paths, plain JSON in and out, watches as streams."""

import asyncio
import os
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import aiohttp
import orjson

from scheduler.kube import credentials
from scheduler.kube.backoff import Backoff
from scheduler.kube.connections import Access, Connections
from scheduler.kube.errors import (
    ApiError,
    ServerFailed,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from scheduler.kube.lines import lines
from scheduler.kube.pool import METADATA, WHOLE, Request, answering

JSON = dict[str, Any]
Params = Mapping[str, str]
T = TypeVar("T")

QUIET_SECONDS = 90.0
"""The API server sends a bookmark each minute; a watch that is silent for longer is asked again."""


class Patch(StrEnum):
    """How the body of a patch is to be understood."""

    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    JSON = "application/json-patch+json"
    APPLY = "application/apply-patch+yaml"


class Client:
    """The API server, for everything that speaks to it in this process.

    Every request raises ApiError if it was refused, and Unreachable if no answer came within
    `timeout_seconds`; whether a write was stored is then unknown. What was not processed (429, or
    503, with Retry-After; 401) is sent again within that time, and so are reads that failed. A
    write whose outcome is unknown is never sent again: that is for the caller to decide.
    """

    def __init__(self, connections: Connections, namespace: str, timeout_seconds: float) -> None:
        """See `connect`."""
        self.namespace = namespace
        self._connections, self._seconds = connections, timeout_seconds
        self._rng = random.Random()

    @classmethod
    async def connect(
        cls,
        *,
        kubeconfig: str | None = None,
        context: str | None = None,
        timeout_seconds: float = 10.0,
    ) -> "Client":
        """Find the cluster as kubectl does; nothing is sent yet.

        The kubeconfig given, else KUBECONFIG's, else the pod's own account, else ~/.kube/config.
        Raises InvalidInput, in one sentence, if there is none or it can't be used.
        """
        source = credentials.find(kubeconfig, context, environ=os.environ, home=Path.home())
        return await cls.open(source, timeout_seconds=timeout_seconds)

    @classmethod
    async def open(
        cls,
        source: credentials.Source,
        *,
        timeout_seconds: float = 10.0,
        renew_seconds: float = 60.0,
    ) -> "Client":
        """Make a client with credentials from `source`, read anew every `renew_seconds`."""
        connections = await Connections.open(source, renew_seconds=renew_seconds)
        return cls(connections, source.namespace, timeout_seconds)

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self._connections.server

    async def get(self, path: str, params: Params | None = None) -> JSON:
        """Read an object, or a list that is known to be short; `list_all` reads any."""
        return _object(await self.read(path, params), self.server)

    async def read(self, path: str, params: Params | None = None) -> bytes:
        """Read the same as it comes over the wire."""
        return await self._call(Request("GET", path, params or {}))

    async def post(self, path: str, body: Any, params: Params | None = None) -> JSON:
        """Create an object in a list, or post to a subresource such as `binding`."""
        return await self._write(Request("POST", path, params or {}, orjson.dumps(body)))

    async def put(self, path: str, body: Any, params: Params | None = None) -> JSON:
        """Replace an object."""
        return await self._write(Request("PUT", path, params or {}, orjson.dumps(body)))

    async def patch(
        self,
        path: str,
        body: Any,
        kind: Patch,
        params: Params | None = None,
        *,
        brief: bool = False,
    ) -> JSON:
        """Change an object. APPLY needs `fieldManager` among `params`.

        With `brief` its metadata alone comes back, which is less work for both sides.
        """
        content, accept = orjson.dumps(body), METADATA if brief else WHOLE
        return await self._write(Request("PATCH", path, params or {}, content, kind, accept=accept))

    async def delete(
        self, path: str, body: Any | None = None, params: Params | None = None
    ) -> JSON:
        """Delete an object; `body` may be DeleteOptions. What comes back is it, or a Status."""
        content = None if body is None else orjson.dumps(body)
        return await self._write(Request("DELETE", path, params or {}, content))

    @asynccontextmanager
    async def stream(
        self, path: str, params: Params | None = None, *, quiet_seconds: float = QUIET_SECONDS
    ) -> AsyncIterator[AsyncIterator[JSON]]:
        """Open a watch: one JSON object a line, for as long as the server sends any.

        Only its beginning is limited to `timeout_seconds`, and it isn't begun again: whoever
        watches has to know at once. It raises as other requests do, while it runs too: Unreachable
        if it breaks off. It ends if the server ends it, or if nothing comes for `quiet_seconds`.
        """
        request = Request("GET", path, params or {}, quiet_seconds=quiet_seconds)
        async with AsyncExitStack() as stack:

            async def begin(access: Access) -> aiohttp.ClientResponse:
                return await stack.enter_async_context(
                    access.pool.send(request, access.authorization)
                )

            response = await self._repeat(begin, safe=False)
            yield await stack.enter_async_context(aclosing(_objects(response, self.server)))

    async def close(self) -> None:
        """Close all connections; what is under way is broken off."""
        await self._connections.close()

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _write(self, request: Request) -> JSON:
        return _object(await self._call(request), self.server)

    async def _call(self, request: Request) -> bytes:
        async def once(access: Access) -> bytes:
            async with access.pool.send(request, access.authorization) as response:
                with answering(self.server):
                    return await response.read()

        return await self._repeat(once, safe=request.verb == "GET")

    async def _repeat(self, once: Callable[[Access], Awaitable[T]], *, safe: bool) -> T:
        """Do it within the time-out, again where that can't store anything twice."""
        deadline = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(deadline):
                return await self._patiently(once, deadline, safe=safe)
        except TimeoutError:
            raise Unreachable(f"no answer from {self.server} in {self._seconds:g} s") from None

    async def _patiently(
        self, once: Callable[[Access], Awaitable[T]], deadline: float, *, safe: bool
    ) -> T:
        backoff, known = Backoff(0.1, 2.0, self._rng), True
        while True:
            access = self._connections.current()
            try:
                return await once(access)
            except Unauthorized:
                if not known:
                    raise
                known = False
                await self._connections.refused(access)
            except (ApiError, Unreachable) as problem:
                seconds = _pause(problem, backoff, safe=safe)
                if seconds is None or asyncio.get_running_loop().time() + seconds > deadline:
                    raise
                await asyncio.sleep(seconds)


def _pause(problem: ApiError | Unreachable, backoff: Backoff, *, safe: bool) -> float | None:
    """Seconds until the same may be sent again; None if it may not."""
    if isinstance(problem, ApiError) and problem.retry_after is not None:
        # A 429 without Retry-After is no overload: an eviction would break a disruption budget.
        unprocessed = isinstance(problem, TooManyRequests) or problem.status == 503
        if unprocessed or (safe and isinstance(problem, ServerFailed)):
            return problem.retry_after + backoff.next()
    return backoff.next() if safe and isinstance(problem, ServerFailed | Unreachable) else None


async def _objects(response: aiohttp.ClientResponse, server: str) -> AsyncGenerator[JSON]:
    with answering(server):
        try:
            async with aclosing(lines(response.content.iter_any())) as found:
                async for line in found:
                    yield _object(line, server)
        except aiohttp.ServerTimeoutError:
            # Silent, which proves nothing: whether the server is there, the next watch will tell.
            return


def _object(content: bytes, server: str) -> JSON:
    try:
        found = orjson.loads(content or b"{}")
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Unreachable(f"{server} answers with what is no JSON object; name an API server")
    return found
