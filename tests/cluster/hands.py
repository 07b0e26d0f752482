"""Waiting and working beside a test on the event loop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run beside the block, and end with it."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(so: Callable[[], bool], seconds: float = 15.0, *, what: str) -> None:
    """Wait until something is so."""
    try:
        async with asyncio.timeout(seconds):
            while not so():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"after {seconds:g} s it isn't so: {what}") from None
