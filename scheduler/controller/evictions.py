"""Pods that are stopped for others: asked, asked again where that is delayed, until they go.

A PodDisruptionBudget delays it for a while; then the pod is deleted (design, decision 13).
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from scheduler.controller.outbox import Outbox
from scheduler.controller.ports import Applier, Watcher
from scheduler.controller.state import State
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.errors import NotLeading
from scheduler.core.model.ids import PodUID
from scheduler.core.model.plans import Evict
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason
from scheduler.settings import Reclaim

AGAIN_SECONDS = 5.0
"""So long after a refusal a pod is asked again."""

SPARED_SECONDS = 600.0
"""So long one that can't even be deleted is left alone: then others are stopped in its place."""

MOST_REFUSALS = 2
"""For one whose release was refused so often nobody is stopped any more."""

LOOP_SECONDS = 5.0
"""Between two rounds at most: who is let wait is asked again by one."""


def ending_seconds(settings: Reclaim) -> float:
    """Return how long it takes at most from the decision to stop a pod until it is gone."""
    return settings.budget_seconds + AGAIN_SECONDS + LOOP_SECONDS + settings.grace_seconds


log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Stop:
    """One pod that is to go, decided at `since`. `again`: when it is asked next; None: not now."""

    evict: Evict
    since: float
    again: float | None = None

    @property
    def pod(self) -> Pod:
        return self.evict.pod


class Evictions:
    """Sees to it that they go, `width` at once; a budget delays it by `budget_seconds` at most."""

    def __init__(
        self,
        state: State,
        applier: Applier,
        watcher: Watcher,
        *,
        width: int,
        budget_seconds: float,
    ) -> None:
        self._state, self._applier, self._watcher = state, applier, watcher
        self._budget = budget_seconds
        self._stops: dict[PodUID, _Stop] = {}
        self._outbox = Outbox(width, "stop")

    def begin(self, evicts: Iterable[Evict]) -> None:
        """Ask these to go, as far as all is as it was when that was decided."""
        for evict in evicts:
            uid = evict.pod.uid
            if uid not in self._stops and self._state.is_bound(uid) and self._is_wanted(evict):
                self._stops[uid] = stop = _Stop(evict, self._state.clock.now())
                self._state.lives.ask(uid)
                self._outbox.put(partial(self._ask, stop))

    def go_on(self) -> None:
        """Ask again who was let wait, or let it be where nobody needs its place any more."""
        now = self._state.clock.now()
        for uid, stop in list(self._stops.items()):
            if not self._state.is_bound(uid):
                del self._stops[uid]
            elif stop.again is not None and not self._is_wanted(stop.evict):
                self._let_be(stop, now)
            elif stop.again is not None and stop.again <= now:
                stop.again = None
                self._outbox.put(partial(self._ask, stop))

    def take_back(self) -> None:
        """Ask nobody any more: somebody else decides from now on."""
        for stop in list(self._stops.values()):
            self._let_be(stop, self._state.clock.now())

    async def idle(self) -> None:
        """Wait until nobody is being asked."""
        await self._outbox.idle()

    async def aclose(self) -> None:
        """Ask no more."""
        await self._outbox.aclose()

    def _work_of(self, uid: PodUID) -> float:
        """GPU-seconds that the pod has run for."""
        holding = self._state.ledger.holdings.get(uid)
        since = self._state.lives.since(uid)
        if holding is None or since is None:
            return 0.0
        return holding.placement.milli / MILLI * (self._state.clock.now() - since)

    def _is_wanted(self, evict: Evict) -> bool:
        taker, state = evict.taker, self._state
        if taker is None:
            return True
        # Who can't use a place that was made for it, time and again, is made none any more.
        return taker.uid in state.queue.pods and state.refusals[taker.uid] < MOST_REFUSALS

    def _let_be(self, stop: _Stop, until: float) -> None:
        uid = stop.pod.uid
        if self._stops.get(uid) is stop:
            del self._stops[uid]
            self._state.lives.spare(uid, until)

    async def _ask(self, stop: _Stop) -> None:
        uid, why = stop.pod.uid, stop.evict.verdict
        if self._stops.get(uid) is not stop:
            return
        if not self._is_wanted(stop.evict):
            # While it was in line its taker got a place elsewhere, or went.
            self._let_be(stop, self._state.clock.now())
            return
        delayed, work = self._state.clock.now() - stop.since, self._work_of(uid)
        going = False
        try:
            # Whoever is moved isn't above its due: its budget counts, however long it says no.
            past = delayed >= self._budget and why.reason is not Reason.MOVED
            going = await self._applier.stop(stop.pod, why, past_budgets=past)
        except NotLeading as problem:
            log.info("pod %s is not stopped: %s", stop.pod.key, problem)
        except Exception:
            log.exception("whether pod %s goes is not known", stop.pod.key)
        if going:
            self._watcher.count_decision("evict", why.reason)
            if stop.evict.taker is not None:
                self._watcher.observe_loss(stop.pod, work)
        elif delayed >= self._budget + AGAIN_SECONDS:
            log.warning("pod %s can't be stopped; others are in its place", stop.pod.key)
            self._let_be(stop, self._state.clock.now() + SPARED_SECONDS)
        else:
            until = stop.since + self._budget
            now = self._state.clock.now()
            # Once the budget's time is over it isn't let wait any longer than that.
            stop.again = min(now + AGAIN_SECONDS, until) if now < until else now + AGAIN_SECONDS
