"""Keeps somebody in step with all objects of one resource: a list, then a watch, for ever."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from scheduler.kube.backoff import Backoff
from scheduler.kube.client import JSON, Client
from scheduler.kube.errors import ApiError, Gone, Unreachable, event_error
from scheduler.kube.paging import list_all
from scheduler.kube.resources import Resource

EVENTS = ("ADDED", "MODIFIED", "DELETED")

SLICE_SECONDS = 0.005
"""Events are handed on for so long; then others on the event loop have their turn."""

_SHORT_SECONDS = 1.0
_REFUSALS = 3

log = logging.getLogger(__name__)


class Sink(Protocol):
    """Who is kept in step. Both calls return at once; what they are given is theirs to keep."""

    def replace(self, items: Sequence[JSON]) -> None:
        """Take these as all that there is."""
        ...

    def see(self, event: str, item: JSON) -> None:
        """Take note of one. `event` is ADDED, MODIFIED or DELETED."""
        ...


class Reflector:
    """Lists and watches `resource`, in one namespace or in all.

    `params` may hold a `fieldSelector` or `labelSelector`.
    `listed` is set from the first list on. `in_step` says whether a watch is open: False from a
    failure until a list or watch succeeds. `page` is the most objects that one request asks for.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        sink: Sink,
        *,
        namespace: str | None = None,
        params: Mapping[str, str] | None = None,
        page: int = 500,
        rng: random.Random | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self.listed = asyncio.Event()
        self.in_step = False
        self._client, self._resource, self._sink = client, resource, sink
        self._path = resource.list_path(namespace)
        self._params, self._page = dict(params or {}), page
        self._rng = rng or random.Random()
        self._backoff = backoff or Backoff(0.2, 10.0, self._rng)
        # The version that a watch resumes from; "" means that a list has to come first.
        self._version = ""
        self._refused = 0
        self._failing = False
        # Whether `relist` was called, and the watch that it has to end.
        self._asked = False
        self._scope: asyncio.Timeout | None = None

    async def run(self) -> None:
        """List and watch until cancelled; every failure is tried again. A sink's error ends it."""
        while True:
            try:
                await self._round()
            except (ApiError, Unreachable) as problem:
                self._failed(problem)
                await asyncio.sleep(self._backoff.next())

    def relist(self) -> None:
        """Ask for a new list, now: `replace` follows soon."""
        self._asked = True
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def _round(self) -> None:
        """List if need be, and watch until the server or `relist` ends the watch."""
        if self._asked or not self._version:
            self._asked, self._version = False, ""
            await self._list()
        try:
            async with asyncio.timeout(0 if self._asked else None) as self._scope:
                await self._watch()
        except TimeoutError:
            if not self._asked:
                raise
        finally:
            self._scope = None

    async def _list(self) -> None:
        items, version = await list_all(self._client, self._path, self._params, page=self._page)
        self._sink.replace(items)
        self._version = version
        self.in_step = True
        self.listed.set()

    async def _watch(self) -> None:
        params = {
            **self._params,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            # The server ends it then; all watches of a fleet must not end at one moment.
            "timeoutSeconds": str(self._rng.randint(240, 300)),
        }
        begun, version = _now(), self._version
        async with self._client.stream(self._path, params) as events:
            self.in_step = True
            await self._follow(events)
        if self._version == version and _now() - begun < _SHORT_SECONDS:
            raise Unreachable("the server ended the watch at once")
        self._goes_on()

    async def _follow(self, events: AsyncIterator[JSON]) -> None:
        slice_end = _now() + SLICE_SECONDS
        async for event in events:
            self._see(event)
            if _now() >= slice_end:
                await asyncio.sleep(0)
                slice_end = _now() + SLICE_SECONDS

    def _see(self, event: JSON) -> None:
        kind, item = str(event.get("type")), event.get("object") or {}
        if kind == "ERROR":
            raise event_error(item)
        if kind in EVENTS:
            self._sink.see(kind, item)
        self._version = _version_of(item)
        self._goes_on()

    def _goes_on(self) -> None:
        """The watch tells something, so what failed before has passed."""
        self._refused = 0
        self._backoff.reset()
        if self._failing:
            log.info("%s: in step again", self._resource.plural)
            self._failing = False

    def _failed(self, problem: ApiError | Unreachable) -> None:
        self.in_step = False
        if isinstance(problem, ApiError):
            self._refused += 1
        if isinstance(problem, Gone) or self._refused >= _REFUSALS:
            # Refused again and again: the version may be ahead of a server that lost its past.
            self._version, self._refused = "", 0
        # To be told once that its version is too old is nothing to write home about.
        usual = isinstance(problem, Gone) and self._backoff.fresh
        if not self._failing and not usual:
            log.warning("%s: %s; trying again until it works", self._resource.plural, problem)
            self._failing = True


def _version_of(item: JSON) -> str:
    try:
        return str(item["metadata"]["resourceVersion"])
    except (KeyError, TypeError):
        raise Unreachable("the watch sent an object without a version") from None


def _now() -> float:
    return asyncio.get_running_loop().time()
