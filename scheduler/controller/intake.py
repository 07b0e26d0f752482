"""Takes long lists of pods in slice by slice, so that nothing holds the event loop."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from time import perf_counter
from typing import Any, Protocol

from scheduler.core.model.podreader import PodJSON

SLICE_SECONDS = 0.005
"""So long pods are taken in before others on the event loop have their turn."""

JSON = dict[str, Any]


class Listener(Protocol):
    """Who is told in the end; `feed.Feed` is one."""

    def replacing(self, pods: Iterable[PodJSON]) -> Iterator[None]:
        """Take these as all the pods that there are, a little at each step."""
        ...

    def see(self, event: str, pod: PodJSON) -> None:
        """Take note of a pod."""
        ...


class Intake:
    """Stands between the watch and the feed. What comes during a list is taken in after it.

    An error of the feed is raised to whoever tells the next thing: a ledger that has missed
    something must not go on.
    """

    def __init__(self, feed: Listener) -> None:
        self._feed = feed
        self._work: deque[Iterator[None]] = deque()
        self._told = asyncio.Event()
        self._told.set()
        self._failure: Exception | None = None

    @property
    def in_step(self) -> bool:
        """Whether the feed knows all that was told."""
        return not self._work and self._failure is None

    def replace(self, items: Sequence[JSON]) -> None:
        """Take these as all the pods that there are."""
        self._put(self._feed.replacing(_one_by_one(deque(items))))

    def see(self, event: str, item: JSON) -> None:
        """Take note of a pod. `event` is ADDED, MODIFIED or DELETED."""
        if self._work or self._failure is not None:
            self._put(self._seeing(event, item))
        else:
            self._feed.see(event, item)

    async def told(self) -> None:
        """Wait until the feed knows all that was told."""
        await self._told.wait()
        self._check()

    def _put(self, work: Iterator[None]) -> None:
        self._check()
        self._work.append(work)
        if len(self._work) == 1:
            self._told.clear()
            asyncio.get_running_loop().call_soon(self._take_in)

    def _take_in(self) -> None:
        end = perf_counter() + SLICE_SECONDS
        try:
            while self._work and perf_counter() < end:
                if next(self._work[0], self) is self:
                    self._work.popleft()
        except Exception as problem:
            self._failure = problem
            self._work.clear()
        if self._work:
            asyncio.get_running_loop().call_soon(self._take_in)
        else:
            self._told.set()

    def _seeing(self, event: str, item: JSON) -> Iterator[None]:
        self._feed.see(event, item)
        yield

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure


def _one_by_one(items: deque[JSON]) -> Iterator[JSON]:
    """Yield them, and keep none that was yielded."""
    while items:
        yield items.popleft()
