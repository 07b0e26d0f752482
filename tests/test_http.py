"""Answers leave in one piece, in order, and nobody is shouted at who hung up."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from scheduler import http

BLOCK = b"x" * 2**16
BLOCKS = 64


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    path = scope["path"]
    if path == "/large":
        await StreamingResponse(large())(scope, receive, send)
    else:
        await PlainTextResponse(path)(scope, receive, send)


async def large() -> AsyncIterator[bytes]:
    for _ in range(BLOCKS):
        yield BLOCK


def asked(*paths: str) -> bytes:
    return b"".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in paths)


def talking(talk: Callable[[int], Awaitable[Any]]) -> Any:
    """Serve in the event loop that `serve` uses, and talk to it."""

    async def both() -> Any:
        async with http.serving(app, "127.0.0.1", 0) as address:
            return await talk(address.port)

    return http.run(both())


def test_an_answer_comes_in_one_piece() -> None:
    def pieces(port: int) -> list[bytes]:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as caller:
            found = []
            for number in range(20):
                caller.sendall(asked(f"/{number}"))
                found.append(caller.recv(65536))
            return found

    found = talking(lambda port: asyncio.to_thread(pieces, port))
    assert [piece.partition(b"\r\n\r\n")[2] for piece in found] == [
        f"/{number}".encode() for number in range(20)
    ]


def test_answers_come_in_the_order_of_their_questions() -> None:
    async def talk(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(asked(*(f"/{number}/" for number in range(10))))
        found = b""
        while b"/9/" not in found:
            found += await reader.read(65536)
        writer.close()
        await writer.wait_closed()
        return found

    found = talking(talk)
    assert [found.index(f"/{number}/".encode()) for number in range(10)] == sorted(
        found.index(f"/{number}/".encode()) for number in range(10)
    )


def test_a_large_answer_is_whole() -> None:
    async def talk(port: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        found = await reader.read()
        writer.close()
        await writer.wait_closed()
        return found.count(b"x")

    assert talking(talk) == BLOCKS * len(BLOCK)


@pytest.mark.parametrize("path", ["/", "/large"])
def test_a_caller_that_hangs_up_is_no_error(path: str, caplog: pytest.LogCaptureFixture) -> None:
    async def talk(port: int) -> None:
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(asked(path, path))
            await writer.drain()
            writer.transport.abort()
        await asyncio.sleep(0.2)

    with caplog.at_level(logging.ERROR):
        talking(talk)
    assert not caplog.records


class Lost(asyncio.Transport):
    """As uvloop's once the caller is gone."""

    def is_closing(self) -> bool:
        return True

    def write(self, data: Any) -> None:
        raise RuntimeError("the handler is closed")

    def close(self) -> None:
        """It is."""


async def test_what_is_written_to_a_lost_connection_is_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    transport = http._OneWrite(Lost())
    transport.write(b"too late")
    await asyncio.sleep(0)
    transport.write(b"later still")
    transport.close()
    assert not caplog.records
