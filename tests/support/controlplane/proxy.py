"""A proxy before the API server that can fail on purpose, at a request that is chosen.

It speaks HTTPS with a certificate of the plane's own authority and hands on what comes, token and
all; watches are streamed.
"""

import http.client
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.support.controlplane.plane import ControlPlane

_GONE = re.compile(rb'"type":"ERROR".*"code":410')
_HOP = ("connection", "keep-alive", "transfer-encoding", "host", "content-length")


@dataclass(frozen=True, slots=True)
class Request:
    """What is about to be sent."""

    verb: str
    path: str
    body: bytes

    @property
    def writes(self) -> bool:
        return self.verb not in ("GET", "HEAD", "OPTIONS")

    @property
    def releases(self) -> bool:
        """Whether it takes a gate off a pod."""
        return self.verb == "PATCH" and b"schedulingGates" in self.body

    @property
    def nominates(self) -> bool:
        """Whether it says on which node a pod is to be tried first."""
        return self.verb == "PATCH" and b"nominatedNodeName" in self.body

    @property
    def watches(self) -> bool:
        return self.verb == "GET" and "watch=1" in urlsplit(self.path).query

    @property
    def binds(self) -> bool:
        return self.verb == "POST" and urlsplit(self.path).path.endswith("/binding")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to a request. `before` and `after` are called around handing it on.

    `lost`: the caller's connection is closed instead of an answer. `status`: it is answered so,
    and not handed on.
    """

    before: Callable[[], None] | None = None
    after: Callable[[], None] | None = None
    lost: bool = False
    status: int = 0
    retry_after: int | None = None


Choose = Callable[[Request], Fault | None]


def lose_before(act: Callable[[], None] | None = None) -> Fault:
    """The request never arrives."""
    return Fault(before=act, lost=True, status=-1)


def lose_after(act: Callable[[], None] | None = None) -> Fault:
    """It arrives, and nobody hears of it."""
    return Fault(after=act, lost=True)


@dataclass
class Proxy:
    """Listens on a port of its own; `choose` is asked for every request, one at a time.

    `expired` are the watches that were told that what they ask for is forgotten (410).
    """

    plane: ControlPlane
    choose: Choose = lambda request: None
    seen: list[Request] = field(default_factory=list)
    expired: list[Request] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: set[socket.socket] = field(default_factory=set)

    def __post_init__(self) -> None:
        pair = self.plane.authority.server("proxy", ["127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fault(self, request: Request) -> Fault | None:
        with self._lock:
            self.seen.append(request)
            return self.choose(request)

    def cut(self) -> None:
        """Break all watches off."""
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def watching(self, caller: socket.socket) -> Iterator[None]:
        with self._lock:
            self._open.add(caller)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(caller)

    def upstream(self) -> http.client.HTTPSConnection:
        there = urlsplit(self.plane.layout.url)
        context = ssl._create_unverified_context()
        return http.client.HTTPSConnection(
            str(there.hostname), there.port, timeout=310, context=context
        )


def nth(number: int, fault: Fault, among: Callable[[Request], bool]) -> Choose:
    """The fault for the n-th (from 1) request of a kind, nothing for all others."""
    count = 0

    def choose(request: Request) -> Fault | None:
        nonlocal count
        count += among(request)
        return fault if among(request) and count == number else None

    return choose


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that break are what this is for."""


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.up: http.client.HTTPSConnection | None = None

    def finish(self) -> None:
        if self.up is not None:
            self.up.close()
        super().finish()

    def log_message(self, *_: object) -> None:
        pass

    def hand(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, body)
        fault = self.proxy.fault(request) or Fault()
        if fault.before:
            fault.before()
        if fault.status > 0:
            self._answer(fault)
        elif not fault.status:
            self._hand_on(body, fault)
        if fault.lost:
            self.close_connection = True
            with suppress(OSError):
                self.connection.close()

    def _answer(self, fault: Fault) -> None:
        status = {"kind": "Status", "code": fault.status, "reason": "", "message": "on purpose"}
        content = json.dumps({**status, "apiVersion": "v1", "status": "Failure"}).encode()
        self.send_response(fault.status)
        if fault.retry_after is not None:
            self.send_header("Retry-After", str(fault.retry_after))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _hand_on(self, body: bytes, fault: Fault) -> None:
        if self.up is None:
            self.up = self.proxy.upstream()
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
        try:
            self.up.request(self.command, self.path, body or None, headers)
            answer = self.up.getresponse()
        except (OSError, http.client.HTTPException):
            self.close_connection = True
            self.up.close()
            self.up = None
            return
        # An answer that isn't read to its end keeps the connection open.
        with answer:
            if fault.after:
                fault.after()
            if fault.lost:
                return
            request = Request(self.command, self.path, body)
            if not request.watches:
                self._pass_back(answer)
                return
            with self.proxy.watching(self.connection):
                self._pass_back(answer, request)

    def _pass_back(self, answer: http.client.HTTPResponse, watch: Request | None = None) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while chunk := answer.read1(65536):
            if watch is not None and _GONE.search(chunk):
                self.proxy.expired.append(watch)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


for _verb in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
    setattr(_Handler, f"do_{_verb}", _Handler.hand)
