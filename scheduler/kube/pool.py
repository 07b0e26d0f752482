"""Connections by one set of credentials: kubernetes.aio's pool, set up for a long-lived client."""

import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

import aiohttp
from aiohttp import ClientHandlerType
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from yarl import URL

from scheduler.core.model.errors import InvalidInput
from scheduler.kube.errors import Unreachable, api_error
from scheduler.kube.proxies import proxy_for

IN_FLIGHT = 64
"""Requests at once, watches included; more of them wait."""

WHOLE = "application/json"
METADATA = f"{WHOLE};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{WHOLE}"
"""How an answer may look: the whole object, or nothing but its metadata, from servers that can."""

_BUFFER = 2**18


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    `body` is JSON and `kind` its content type; `accept` is how the answer is to look. An answer
    that is silent for `quiet_seconds` ends.
    """

    verb: str
    path: str
    params: Mapping[str, str]
    body: bytes | None = None
    kind: str = "application/json"
    quiet_seconds: float | None = None
    accept: str = WHOLE


class Pool:
    """Open connections. Retired, it finishes what is under way and then closes."""

    def __init__(self, configuration: Configuration) -> None:
        """Read certificates and keys. Raises InvalidInput if they can't be used."""
        configuration.connection_pool_maxsize = IN_FLIGHT
        configuration.client_session_kwargs = {
            # Environment and .netrc are not asked for each request; and no cookies.
            "trust_env": False,
            "cookie_jar": aiohttp.DummyCookieJar(),
            "middlewares": (_once_only,),
            "read_bufsize": _BUFFER,
        }
        self.server = configuration.host.rstrip("/")
        self._proxy = configuration.proxy or proxy_for(self.server, os.environ)
        self._name = configuration.tls_server_name
        _check(self.server, self._proxy)
        try:
            self._rest = _Rest(configuration)
        except (OSError, ValueError) as problem:
            raise InvalidInput(
                f"the certificates for {self.server} can't be used ({problem}); replace them"
            ) from None
        self._session = self._rest.open()
        self._users, self._retired = 0, False

    @asynccontextmanager
    async def send(
        self, request: Request, authorization: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send it, and give the answer once its head is there. Raises ApiError or Unreachable."""
        self._users += 1
        try:
            with answering(self.server):
                response = await self._begin(request, authorization)
            try:
                yield response
            finally:
                # One that was read to its end gives its connection back, another closes it.
                response.release()
        finally:
            self._users -= 1
            await self._close_if_over()

    async def retire(self) -> None:
        """Take no new request; close as soon as the last one under way has ended."""
        self._retired = True
        await self._close_if_over()

    async def close(self) -> None:
        """Close now, whatever is under way."""
        await self._rest.close()

    @property
    def closed(self) -> bool:
        """Whether its connections are closed."""
        return self._session.closed

    async def _begin(self, request: Request, authorization: str) -> aiohttp.ClientResponse:
        response = await self._session.request(
            request.verb,
            self._url(request),
            data=request.body,
            headers=_headers(request, authorization),
            timeout=aiohttp.ClientTimeout(total=None, sock_read=request.quiet_seconds),
            proxy=self._proxy,
            server_hostname=self._name,
            allow_redirects=False,
        )
        if response.status < 300:
            return response
        async with response:
            raise api_error(response.status, await response.read(), response.headers)

    async def _close_if_over(self) -> None:
        if self._retired and not self._users:
            await self.close()

    def _url(self, request: Request) -> URL:
        query = f"?{urlencode(request.params)}" if request.params else ""
        return URL(f"{self.server}{request.path}{query}", encoded=True)


@contextmanager
def answering(server: str) -> Iterator[None]:
    """Raise Unreachable for whatever comes between a request and its whole answer."""
    try:
        yield
    except (aiohttp.ClientError, OSError) as problem:
        raise Unreachable(f"no answer from {server}: {_text(problem)}") from problem


class _Rest(RESTClientObject):
    """kubernetes.aio's connections, which notice by themselves that the other side is gone."""

    def open(self) -> aiohttp.ClientSession:
        self.pool_manager = self._create_pool_manager()
        return self.pool_manager

    def _create_connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(
            limit=self.maxsize, ssl=self.ssl_context, socket_factory=_lively_socket
        )


def _lively_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket that asks after 20 s of silence and gives up after some 40 s."""
    found = socket.socket(address[0], address[1], address[2])
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", 20),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 4),
        ("TCP_USER_TIMEOUT", 40_000),
    ):
        # Not every system has them all; SO_KEEPALIVE alone works everywhere, slowly.
        if hasattr(socket, option):
            found.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return found


async def _once_only(
    request: aiohttp.ClientRequest, handler: ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a PUT or DELETE again when its connection broke.

    It takes them for repeatable; but the first may have been stored, and whoever asked must know.
    """
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as problem:
        raise aiohttp.ClientConnectionError(_text(problem)) from problem


def _headers(request: Request, authorization: str) -> dict[str, str]:
    # Unpacking costs the one event loop more than the bytes cost the network.
    headers = {
        "Accept": request.accept,
        "Accept-Encoding": "identity",
        "User-Agent": "equipoise",
    }
    if request.body is not None:
        headers["Content-Type"] = request.kind
    if authorization:
        headers["Authorization"] = authorization
    return headers


def _check(server: str, proxy: str | None) -> None:
    if not server.startswith(("https://", "http://")):
        raise InvalidInput(f"{server!r} is no API server; write it as https://HOST:PORT")
    if proxy and not proxy.startswith(("https://", "http://")):
        raise InvalidInput(f"proxy {proxy} can't be used; name one that begins with http://")


def _text(problem: BaseException) -> str:
    return " ".join(str(problem).split()) or type(problem).__name__
