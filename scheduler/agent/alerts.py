"""Tells of pods that hold too much memory, and evicts them where that was asked for."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from scheduler.agent.overuse import Notice, Step
from scheduler.clock import Clock
from scheduler.core.model import names
from scheduler.core.model.ids import NodeName
from scheduler.core.model.pods import PodRef
from scheduler.kube.api import Api
from scheduler.kube.errors import ApiError, Conflict, NotFound, Unreachable
from scheduler.kube.events import event, events_path, regarding_pod
from scheduler.kube.eviction import eviction

CONTROLLER = names.PREFIX + "agent"

_WAITING = 1000
"""Notices kept while the API server is away; each pod gets one or two, so that is many."""

_WORDS: Mapping[Step, tuple[str, str, str]] = {
    Step.TELL: (
        "Measure",
        "MemoryOveruse",
        "the pod holds more GPU memory than it asked for, at the expense of others on that GPU: "
        f"raise {names.GPU_MEMORY} or {names.GPU_FRACTION}, or limit what the program allocates",
    ),
    Step.EVICT: (
        "Evict",
        "MemoryOveruse",
        "the pod kept holding more GPU memory than it asked for and is evicted: "
        f"raise {names.GPU_MEMORY} or {names.GPU_FRACTION}, or limit what the program allocates",
    ),
}
"""Action, reason and note of each Event. Numbers are in the agent's metrics."""

Count = Callable[[str], None]
"""Told each step that was taken."""

log = logging.getLogger(__name__)


class Alerts:
    """Notices are carried out in the background, one after another.

    What can't be told is dropped, for it is in metrics and log too. An eviction that is refused is
    asked for again by who keeps the book.
    """

    def __init__(self, api: Api, node: NodeName, *, clock: Clock, count: Count) -> None:
        self._api, self._node, self._clock, self._count = api, node, clock, count
        self._queue: asyncio.Queue[Notice] = asyncio.Queue(_WAITING)

    def put(self, notice: Notice) -> None:
        """Carry it out soon."""
        held = notice.held
        log.warning(
            "pod %s holds %d MiB of %s, %d were promised (%s)",
            *(held.pod.key, held.used_mib, held.uuid, held.promised_mib, notice.step),
        )
        if not self._queue.full():
            self._queue.put_nowait(notice)

    async def run(self) -> None:
        """Carry out notices for ever."""
        while True:
            notice = await self._queue.get()
            try:
                await self._carry_out(notice)
            except (ApiError, Unreachable) as problem:
                log.warning("pod %s: %s", notice.held.pod.key, problem)

    async def _carry_out(self, notice: Notice) -> None:
        pod = notice.held.pod
        if notice.step is Step.EVICT and not await self._evict(pod):
            return
        self._count(notice.step)
        action, reason, note = _WORDS[notice.step]
        told = event(
            regarding_pod(pod),
            action=action,
            reason=reason,
            note=note,
            at=self._clock.now(),
            warning=True,
            controller=CONTROLLER,
            instance=self._node[:128],
        )
        await self._api.post(events_path(told), told)

    async def _evict(self, pod: PodRef) -> bool:
        """Return whether it is going; a pod that is another one by now is left alone."""
        try:
            await self._api.post(*eviction(pod, {"uid": pod.uid}))
        except (NotFound, Conflict):
            return False
        return True
