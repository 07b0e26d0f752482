"""Waiting and working beside a test on the event loop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from tests.support.controlplane.waiting import SLACK


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
    """Wait until something is so; a busy machine gets longer, see SLACK."""
    limit = seconds * SLACK
    try:
        async with asyncio.timeout(limit):
            while not so():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"after {limit:g} s it isn't so: {what}") from None
