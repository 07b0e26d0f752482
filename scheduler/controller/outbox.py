"""Work that waits for the cluster, carried out beside the rounds."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

Work = Callable[[], Coroutine[Any, Any, None]]

log = logging.getLogger(__name__)


class Outbox:
    """Begins work in the order in which it was put in, `width` pieces at once at most."""

    def __init__(self, width: int, name: str) -> None:
        self._width, self._name = width, name
        self._waiting: deque[Work] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, work: Work) -> None:
        """Have it done as soon as there is a place; needs a running event loop."""
        self._waiting.append(work)
        self._fill()

    async def idle(self) -> None:
        """Wait until all is done, what comes in meanwhile too."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def aclose(self) -> None:
        """Drop what waits, cancel what is under way, and wait until it has ended."""
        self._waiting.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _fill(self) -> None:
        while self._waiting and len(self._tasks) < self._width:
            task = asyncio.create_task(self._waiting.popleft()(), name=self._name)
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            # Whoever puts work in handles what can go wrong with it: this is a bug.
            log.error("%s failed", self._name, exc_info=problem)
        self._fill()
