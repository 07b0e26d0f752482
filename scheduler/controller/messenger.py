"""Has people told, and pods evicted, beside the rounds: what fails here holds nobody up."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from scheduler.controller.outbox import Outbox
from scheduler.controller.ports import Applier, Watcher
from scheduler.core.model.errors import NotLeading
from scheduler.core.model.ids import NodeName
from scheduler.core.model.plans import Hold
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason, Verdict

log = logging.getLogger(__name__)


class Messenger:
    """Calls the applier, `width` calls at once, and counts."""

    def __init__(self, applier: Applier, watcher: Watcher, *, width: int) -> None:
        self._applier, self._watcher = applier, watcher
        self._outbox = Outbox(width, "tell")

    def hold(self, hold: Hold) -> None:
        """A pod waits for another reason than before."""
        self._watcher.count_decision("hold", hold.verdict.reason)
        self._outbox.put(partial(self._tell, hold.pod, partial(self._applier.hold, hold)))

    def warn(self, pod: Pod, why: Verdict) -> None:
        """A pod that runs was hit."""
        log.warning("pod %s: %s", pod.key, why.sentence)
        self._watcher.count_decision("warn", why.reason)
        self._outbox.put(partial(self._tell, pod, partial(self._applier.warn, pod, why)))

    def evict(self, pod: Pod, why: Verdict) -> None:
        """A pod has to be made again."""
        self._outbox.put(partial(self._evict, pod, why))

    def remind(self, pod: Pod, node: NodeName) -> None:
        """kube-scheduler has to look at a pod again."""
        self._outbox.put(partial(self._tell, pod, partial(self._applier.remind, pod, node)))

    def make_way(self, running: Pod, waiting: Pod, made: Callable[[Pod], None]) -> None:
        """A pod has to end for one of its Deployment's next revision; `made` is told if it does."""
        self._outbox.put(partial(self._make_way, running, waiting, made))

    async def idle(self) -> None:
        """Wait until everything is said."""
        await self._outbox.idle()

    async def aclose(self) -> None:
        """Say no more."""
        await self._outbox.aclose()

    async def _tell(self, pod: Pod, message: Callable[[], Awaitable[None]]) -> None:
        try:
            await message()
        except NotLeading as problem:
            log.info("nobody was told about pod %s: %s", pod.key, problem)
        except Exception:
            log.exception("nobody was told about pod %s", pod.key)

    async def _evict(self, pod: Pod, why: Verdict) -> None:
        await self._end(pod, why.reason, self._applier.evict(pod, why))

    async def _make_way(self, running: Pod, waiting: Pod, made: Callable[[Pod], None]) -> None:
        if await self._end(running, Reason.MAKES_WAY, self._applier.make_way(running, waiting)):
            made(waiting)

    async def _end(self, pod: Pod, reason: Reason, eviction: Awaitable[bool]) -> bool:
        going = False
        try:
            going = await eviction
        except NotLeading as problem:
            log.info("pod %s is not evicted: %s", pod.key, problem)
        except Exception:
            log.exception("whether pod %s was evicted is not known", pod.key)
        else:
            if going:
                self._watcher.count_decision("evict", reason)
        return going
