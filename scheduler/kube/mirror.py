"""The mirror: follows what Equipoise needs to know of the cluster, and says when it is in step."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from scheduler.kube.client import JSON, Client
from scheduler.kube.reflector import Reflector, Sink
from scheduler.kube.resources import PODS, Resource


class Mirror:
    """One reflector a resource. Pods come last: what a pod means depends on all the others.

    `settled` is awaited between the others' first lists and the pods'.
    """

    def __init__(
        self,
        client: Client,
        sinks: Mapping[Resource, Sink],
        *,
        page: int,
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        self._settled = settled
        self._counted = _Counted(sinks[PODS])
        self._pods = Reflector(client, PODS, self._counted, page=page)
        self._others = [
            Reflector(client, resource, sink, page=page)
            for resource, sink in sinks.items()
            if resource != PODS
        ]

    @property
    def ready(self) -> bool:
        """Whether all was listed, and no watch is broken."""
        return self._counted.lists > 0 and all(each.in_step for each in (self._pods, *self._others))

    async def run(self) -> None:
        """Follow for ever."""
        async with asyncio.TaskGroup() as group:
            for each in self._others:
                group.create_task(each.run())
            for each in self._others:
                await each.listed.wait()
            await self._settled()
            group.create_task(self._pods.run())

    async def listed(self) -> None:
        """Wait until everything was listed once."""
        await self._counted.listed(1)

    async def list_pods_anew(self) -> None:
        """List the pods again, and return once the sink has a list that was begun after this."""
        # A list that is under way may be from before.
        for _ in range(2):
            self._pods.relist()
            await self._counted.listed(self._counted.lists + 1)


class _Counted:
    """A sink that counts lists."""

    def __init__(self, sink: Sink) -> None:
        self._sink, self.lists = sink, 0
        self._event = asyncio.Event()

    def replace(self, items: Sequence[JSON]) -> None:
        self._sink.replace(items)
        self.lists += 1
        self._event.set()

    def see(self, event: str, item: JSON) -> None:
        self._sink.see(event, item)

    async def listed(self, lists: int) -> None:
        while self.lists < lists:
            self._event.clear()
            await self._event.wait()
