"""The people of the demo: each tenant's create their pods, some at once, whatever others do."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from scheduler.kube.client import JSON, Client
from scheduler.kube.errors import ApiError, Unreachable
from scheduler.kube.resources import PODS

AT_ONCE = 4

log = logging.getLogger(__name__)


class Crowd:
    """Creates pods by the API server; `owners` has an owner for each namespace's pods."""

    def __init__(self, client: Client, owners: Mapping[str, JSON]) -> None:
        self._client, self._owners = client, owners
        self._asked: dict[str, asyncio.Queue[JSON]] = {name: asyncio.Queue() for name in owners}
        self.created = self.refused = 0

    def create(self, pod: Mapping[str, Any]) -> None:
        """Have somebody of its namespace create a pod."""
        namespace = pod["metadata"]["namespace"]
        metadata = {**pod["metadata"], "ownerReferences": [self._owners[namespace]]}
        self._asked[namespace].put_nowait({**pod, "metadata": metadata})

    async def run(self) -> None:
        """Create what is asked for, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for namespace in self._asked:
                for _ in range(AT_ONCE):
                    group.create_task(self._work(namespace))

    async def _work(self, namespace: str) -> None:
        while True:
            pod = await self._asked[namespace].get()
            try:
                await self._client.post(PODS.list_path(namespace), pod)
            except (ApiError, Unreachable) as problem:
                self.refused += 1
                log.warning("%s/%s: %s", namespace, pod["metadata"]["name"], problem)
            else:
                self.created += 1
