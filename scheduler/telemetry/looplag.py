"""How late the event loop is: for so long everything that shares it had to wait."""

import asyncio
from collections.abc import Callable

LOOK_SECONDS = 0.1


async def watch_loop(observe: Callable[[float], None]) -> None:
    """Tell `observe` ten times a second, for ever, by how many seconds the loop was late."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LOOK_SECONDS
        await asyncio.sleep(LOOK_SECONDS)
        observe(loop.time() - due)
