"""Keeps this node's GPUNode as the agent last saw it, by server-side apply.

The GPUNode belongs to its Node: it is made with the Node as owner, so that it goes with it, and
made again if somebody deletes it.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress

from scheduler.agent.pace import NEVER, Written, due
from scheduler.agent.picture import Picture
from scheduler.clock import Clock
from scheduler.core.model.ids import NodeName
from scheduler.core.model.stored import Stored, mapping
from scheduler.kube.api import Api
from scheduler.kube.backoff import Backoff
from scheduler.kube.client import JSON, Patch
from scheduler.kube.errors import ApiError, Conflict, NotFound, Unreachable
from scheduler.kube.resources import GPUNODES, NODES
from scheduler.settings import Agent

MANAGER = "equipoise-agent"
log = logging.getLogger(__name__)


Adopt = Callable[[Stored], None]
"""Given the GPUNode once, before anything is written; an empty one if there is none."""

Count = Callable[[str], None]
"""Told the outcome of each write: "written" or "failed"."""


class Publisher:
    """One write at a time, of the newest picture; a failed one is tried again with back-off."""

    def __init__(
        self,
        api: Api,
        node: NodeName,
        *,
        settings: Agent,
        clock: Clock,
        rng: random.Random,
        adopt: Adopt,
        count: Count,
    ) -> None:
        self._api, self._node = api, node
        self._settings, self._clock, self._rng = settings, clock, rng
        self._adopt, self._count = adopt, count
        self._wanted: Picture | None = None
        self._written: Written | None = None
        self._news = asyncio.Event()
        self._backoff = Backoff(1.0, 60.0, rng)
        self._adopted = self._there = self._failing = False

    def offer(self, picture: Picture) -> None:
        """Take this picture instead of any before."""
        self._wanted = picture
        self._news.set()

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await self._due()
            try:
                picture = await self._write()
            except (ApiError, Unreachable) as problem:
                self._failed(problem)
                await self._clock.sleep(self._backoff.next())
            else:
                self._succeeded(picture)

    async def _due(self) -> None:
        """Wait until the newest picture is due."""
        while True:
            self._news.clear()
            at = NEVER
            if self._wanted is not None:
                at = due(self._wanted, self._written, settings=self._settings)
            if at <= self._clock.now():
                return
            await self._news_or(at)

    async def _news_or(self, at: float) -> None:
        waits: set[asyncio.Task[object]] = {asyncio.create_task(self._news.wait())}
        if at != NEVER:
            waits.add(asyncio.create_task(self._clock.sleep(at - self._clock.now())))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    async def _write(self) -> Picture:
        if not self._adopted:
            await self._read()
        if not self._there:
            await self._create()
        # Newer than the one that was due, if reading took long or told what had been published.
        picture = self._wanted
        assert picture is not None, "nothing is due before a picture is offered"
        try:
            await self._apply(picture)
        except NotFound:
            # Somebody deleted it, or its Node was made anew.
            await self._create()
            await self._apply(picture)
        return picture

    async def _read(self) -> None:
        try:
            stored = await self._api.get(GPUNODES.path(self._node))
        except NotFound:
            stored = {}
        self._adopt(stored)
        self._adopted, self._there = True, bool(stored)

    async def _create(self) -> None:
        self._there = False
        node = await self._api.get(NODES.path(self._node))
        owner = {
            "apiVersion": NODES.api_version,
            "kind": NODES.kind,
            "name": self._node,
            "uid": mapping(node, "metadata").get("uid"),
        }
        body = self._object({"ownerReferences": [owner]})
        # It may have come meanwhile.
        with suppress(Conflict):
            await self._api.post(GPUNODES.list_path(), body, {"fieldManager": MANAGER})
        self._there = True

    async def _apply(self, picture: Picture) -> None:
        body = self._object({}) | {"status": picture.status()}
        path = GPUNODES.path(self._node, subresource="status")
        await self._api.patch(path, body, Patch.APPLY, {"fieldManager": MANAGER, "force": "true"})

    def _object(self, metadata: JSON) -> JSON:
        return {
            "apiVersion": GPUNODES.api_version,
            "kind": GPUNODES.kind,
            "metadata": {"name": self._node, **metadata},
        }

    def _failed(self, problem: Exception) -> None:
        self._count("failed")
        if not self._failing:
            log.warning("GPUNode %s can't be written, trying on: %s", self._node, problem)
        self._failing = True

    def _succeeded(self, picture: Picture) -> None:
        self._count("written")
        if self._failing:
            log.info("GPUNode %s is written again", self._node)
        self._failing = False
        self._backoff.reset()
        self._written = Written(picture, self._clock.now(), self._rng.random())
