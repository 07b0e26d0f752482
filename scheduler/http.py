"""HTTP servers in the event loop that is already running: started, and ended, by whoever needs one.

Signals are left alone: they belong to the command, which may run several servers at once.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from scheduler.core.model.errors import InvalidInput

T = TypeVar("T")

Handler = Callable[[Request], Awaitable[Response]]
"""Answers a request, without what comes between in a FastAPI app."""

MOST_HELD = 2**16
"""Bytes of an answer that wait for the rest of it."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server really listens; `port` is the one that was given for port 0."""

    host: str
    port: int
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Its root, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class TooLarge(Exception):
    """A body of more bytes than are taken."""


async def body_of(request: Request, most: int) -> bytes:
    """Read a body of at most so many bytes; raise TooLarge, or ClientDisconnect."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise TooLarge(f"the body is larger than {most // 2**20} MiB")
        chunks.append(chunk)
    return b"".join(chunks)


class _OneWrite(asyncio.Transport):
    """Hands on in one piece what is written in one step of the event loop.

    An answer is written as head and body. In two pieces each wakes the caller, which on one machine
    costs both sides more than many an answer.
    """

    def __init__(self, inner: asyncio.Transport) -> None:
        super().__init__()
        self._inner, self._held = inner, bytearray()
        self._later = asyncio.get_running_loop().call_soon

    def write(self, data: Any) -> None:
        if not self._held:
            self._later(self._hand_on)
        self._held += data
        if len(self._held) > MOST_HELD:
            # Only what was handed on can tell its writer to wait.
            self._hand_on()

    def close(self) -> None:
        self._hand_on()
        self._inner.close()

    def is_closing(self) -> bool:
        return self._inner.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._inner.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._inner.set_protocol(protocol)

    def pause_reading(self) -> None:
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        self._inner.resume_reading()

    def _hand_on(self) -> None:
        whole, self._held = bytes(self._held), bytearray()
        # Who hung up meanwhile gets nothing; uvloop would raise.
        if whole and not self._inner.is_closing():
            self._inner.write(whole)


class _Protocol(HttpToolsProtocol):
    """uvicorn's, with answers in one piece."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_OneWrite(transport))


class DirectApp(FastAPI):
    """An app that hands POSTs to the paths in `direct` to their handlers, all else as usual.

    The usual way is eight layers, none of which the API server's and kube-scheduler's calls need:
    together they take as long as a whole filter. Middleware does not see these calls.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.direct: dict[str, Handler] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "http" and scope["path"] in self.direct:
            handler = self.direct[scope["path"]]
            if scope["method"] == "POST":
                response = await handler(Request(scope, receive))
            else:
                response = PlainTextResponse("only POST is answered here", 405)
            await response(scope, receive, send)
            return
        await super().__call__(scope, receive, send)


class _Server(uvicorn.Server):
    """A server that tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets=sockets)
        except SystemExit:
            # It would end the whole process from inside a task.
            raise RuntimeError("the app could not start; its log says why") from None
        self.listens.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(
    app: Any,
    host: str,
    port: int,
    *,
    keep_alive_seconds: int = 120,
    grace_seconds: int = 5,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Address]:
    """Serve an ASGI app while the block lasts; port 0 takes a free one.

    At its end the server takes no new connection and gives requests `grace_seconds`. `tls` makes it
    HTTPS; a certificate loaded into that later is served to new connections. Raises InvalidInput if
    it can't listen there.
    """
    listener = listen(host, port)
    server = _Server(
        uvicorn.Config(
            app,
            loop="none",
            http=_Protocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=keep_alive_seconds,
            timeout_graceful_shutdown=grace_seconds,
            ssl_context_factory=None if tls is None else lambda *_: tls,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]), name=f"http {host}:{port}")
    try:
        await _first(server.listens, task)
        scheme = "http" if tls is None else "https"
        yield Address(host, listener.getsockname()[1], scheme)
    finally:
        server.should_exit = True
        try:
            await task
        finally:
            listener.close()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to its end in a new event loop, uvloop's where there is one."""
    try:
        import uvloop  # noqa: PLC0415 - not there on Windows
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; raise InvalidInput if none can."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server((str(address[0]), port), family=family, backlog=2048)
    except (OSError, OverflowError) as problem:
        raise InvalidInput(
            f"can't listen on {host}:{port} ({problem}); choose another address or port"
        ) from None


async def _first(listens: asyncio.Event, task: asyncio.Task[None]) -> None:
    """Wait until the server listens, or raise what ended it before."""
    waiter = asyncio.create_task(listens.wait())
    try:
        await asyncio.wait({waiter, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
    if task.done():
        task.result()
