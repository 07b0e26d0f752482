"""Kubelets in one: a bound pod runs for as long as it was told, then it has succeeded."""

import asyncio
from collections.abc import Callable

from scheduler.clock import Clock
from scheduler.core.model.ids import PodUID
from scheduler.core.model.podstate import finished
from scheduler.simulator.apierrors import NotFound
from scheduler.simulator.cluster import EmbeddedCluster, Pod

RunsFor = Callable[[Pod], float | None]
"""How many seconds a pod runs; None: until somebody deletes it."""


class Kubelets:
    """Starts what is bound, ends it in time. `aclose` lets go of what still runs."""

    def __init__(self, cluster: EmbeddedCluster, clock: Clock, *, runs_for: RunsFor) -> None:
        self._cluster, self._clock, self._runs_for = cluster, clock, runs_for
        self._running: dict[PodUID, asyncio.Task[None]] = {}
        cluster.watch(self._see)

    async def aclose(self) -> None:
        """Stop watching over pods."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _see(self, event: str, pod: Pod) -> None:
        uid = PodUID(pod["metadata"]["uid"])
        if event == "DELETED":
            task = self._running.pop(uid, None)
            if task is not None:
                task.cancel()
        elif finished(pod):
            self._running.pop(uid, None)
        elif pod["spec"].get("nodeName") and uid not in self._running:
            self._running[uid] = asyncio.create_task(self._run(uid, self._runs_for(pod)))

    async def _run(self, uid: PodUID, seconds: float | None) -> None:
        # A watch callback must not write: the write that it is told of isn't over.
        await asyncio.sleep(0)
        try:
            self._cluster.set_phase(uid, "Running")
            if seconds is None:
                return
            await self._clock.sleep(seconds)
            self._cluster.set_phase(uid, "Succeeded")
        except NotFound:
            pass
