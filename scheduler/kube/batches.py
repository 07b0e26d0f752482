"""Gathers what changed within one turn of the event loop, and tells it at once."""

import asyncio
import logging
from collections.abc import Callable
from itertools import islice

log = logging.getLogger(__name__)

MOST = 200
"""Keys told in one go: taking in a list of thousands must not hold the event loop."""


class Batch:
    """Keys noted since the last turn, each once, in the order in which they came.

    `tell` is called by the event loop, with `most` keys at most; what is left follows in the next
    turns, so that others come in between.
    """

    def __init__(self, tell: Callable[[list[str]], None], *, most: int = MOST) -> None:
        self._tell, self._most = tell, most
        self._noted: dict[str, None] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    def note(self, key: str) -> None:
        """Have the key told soon."""
        if not self._noted:
            self._empty.clear()
            asyncio.get_running_loop().call_soon(self._flush)
        self._noted[key] = None

    async def told(self) -> None:
        """Wait until all that was noted is told."""
        await self._empty.wait()

    def _flush(self) -> None:
        keys = list(islice(self._noted, self._most))
        for key in keys:
            del self._noted[key]
        try:
            self._tell(keys)
        except Exception:
            # One bad object must not keep the others from being told.
            log.exception("a batch of %d changed objects could not be taken in", len(keys))
        if self._noted:
            asyncio.get_running_loop().call_soon(self._flush)
        else:
            self._empty.set()
