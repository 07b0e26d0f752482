"""An event loop whose time jumps: hours pass in seconds, and sleeping costs nothing.

Whenever every task waits for time, the clock moves on to the next timer. For what happens within
one process: it doesn't wait for bytes on their way through a socket, nor for threads.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

EPOCH = 1_800_000_000.0
"""Seconds since the epoch at which virtual time begins; any would do."""


class _Jumping(selectors.DefaultSelector):
    """Never blocks: where it would have waited, it adds to `now`."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
        elif not ready and timeout is None:
            # Nothing to wait for but another thread.
            ready = super().select(None)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in virtual time."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._jumping.now


class LoopClock:
    """A Clock that follows the running loop's time, virtual or not."""

    def now(self) -> float:
        """Return seconds since the epoch, as virtual time has it."""
        return EPOCH + asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        await asyncio.sleep(seconds)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
