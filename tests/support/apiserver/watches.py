"""Open watches: what each of them is sent, and how it ends."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from tests.support.apiserver.refusals import Refused
from tests.support.apiserver.selectors import matcher
from tests.support.apiserver.store import Change, Store

JSON = dict[str, Any]

End = Literal["ended", "cut"]


@dataclass(eq=False)
class Watch:
    """One watch. Iterating gives its lines; a line without an end means: cut the connection."""

    store: Store
    collection: str
    namespace: str | None
    query: dict[str, str]
    _queue: asyncio.Queue[JSON | End] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        labels, fields = self.query.get("labelSelector", ""), self.query.get("fieldSelector", "")
        self._matches = matcher(labels, fields)
        self.wants_bookmarks = self.query.get("allowWatchBookmarks") in {"1", "true"}

    async def lines(self) -> AsyncGenerator[bytes]:
        seconds = float(self.query.get("timeoutSeconds") or 1800)
        self.store.listeners.append(self._see)
        try:
            self._catch_up()
            async with asyncio.timeout(seconds):
                while (found := await self._queue.get()) != "ended":
                    if found == "cut":
                        yield b'{"type":"ADDED","object":{"metadata":{"na'
                        return
                    yield orjson.dumps(found) + b"\n"
        except TimeoutError:
            return
        finally:
            self.store.listeners.remove(self._see)

    def bookmark(self) -> None:
        if self.wants_bookmarks:
            about = {"resourceVersion": str(self.store.version), "creationTimestamp": None}
            self._queue.put_nowait({"type": "BOOKMARK", "object": {"metadata": about}})

    def send(self, event: JSON) -> None:
        self._queue.put_nowait(event)

    def end(self, how: End) -> None:
        self._queue.put_nowait(how)

    def _catch_up(self) -> None:
        version = self.query.get("resourceVersion") or "0"
        if version == "0":
            for item in self.store.items(self.collection, self.namespace):
                if self._matches(item):
                    self._queue.put_nowait({"type": "ADDED", "object": item})
            return
        try:
            for change in self.store.since(int(version)):
                self._see(change)
        except Refused as refused:
            self._queue.put_nowait({"type": "ERROR", "object": refused.body})
            self.end("ended")

    def _see(self, change: Change) -> None:
        if change.key.collection != self.collection:
            return
        if self.namespace not in {None, change.key.namespace}:
            return
        now = change.type != "DELETED" and self._matches(change.item)
        before = change.before is not None and self._matches(change.before)
        if now or before:
            kind = ("MODIFIED" if before else "ADDED") if now else "DELETED"
            self._queue.put_nowait({"type": kind, "object": change.item})
