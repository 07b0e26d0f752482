"""Carries a plan out: reserves, releases, tells; evicts who is stuck, warns who was hit."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import TypeVar

from scheduler.controller.departures import Departure, Departures, Stage
from scheduler.controller.evictions import Evictions
from scheduler.controller.messenger import Messenger
from scheduler.controller.ports import Applier, Watcher
from scheduler.controller.rollouts import Rollouts
from scheduler.controller.state import State
from scheduler.core.model.errors import LedgerError, ReleaseRefused
from scheduler.core.model.ids import NodeName
from scheduler.core.model.plans import Admit, Hold, Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.settings import Settings

ADMITS_AT_ONCE, HOLDS_AT_ONCE = 100, 200
"""So many are dealt with before others on the event loop have their turn: about 5 ms."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class Execution:
    """Does what was decided, as far as we are still the ones to do it and the ledger has room."""

    def __init__(
        self, state: State, *, settings: Settings, applier: Applier, watcher: Watcher
    ) -> None:
        self._state, self._watcher = state, watcher
        self._stuck_seconds, width = settings.kube.stuck_seconds, settings.kube.in_flight
        self._rollouts = Rollouts(
            state.ledger, lambda: state.caps, seconds=settings.kube.rollout_seconds
        )
        self._messenger = Messenger(applier, watcher, width=width)
        self._evictions = Evictions(
            state, applier, watcher, width=width, budget_seconds=settings.reclaim.budget_seconds
        )
        self._departures = Departures(
            state.departures,
            applier.release,
            state.backoffs,
            width=width,
            now=state.clock.now,
            landed=self._landed,
        )

    async def carry_out(self, plan: Plan) -> None:
        """Reserve and begin to release, in the plan's order; then tell who waits, and why.

        Each place is reserved before anything is awaited for its pod.
        """
        self._departures.begin_again()
        for number, gangs in enumerate(_batches(_together(plan.admits), ADMITS_AT_ONCE)):
            if number:
                await asyncio.sleep(0)
            with self._state.change():
                for admits in gangs:
                    self._admit(admits)
        async for holds in _slices(plan.holds, HOLDS_AT_ONCE):
            for hold in holds:
                self._hold(hold)
        if self._state.active:
            self._evictions.begin(plan.evicts)
            self._evictions.go_on()
            self._evict_stuck()
            for waiting, running in self._rollouts.due(plan.holds, self._state.clock.now()):
                self._messenger.make_way(running, waiting, self._rollouts.made_way)
            for pod, why in self._state.casualties.news():
                self._messenger.warn(pod, why)

    def remind(self, pod: Pod, node: NodeName) -> None:
        """Have kube-scheduler look again at a pod for which that node has room."""
        self._messenger.remind(pod, node)

    def take_back(self) -> None:
        """Put pods whose release isn't known to be stored back in line: the watch knows better.

        And ask nobody to stop any more.
        """
        self._evictions.take_back()
        for leaving in list(self._state.departures.values()):
            if leaving.stage is Stage.READY:
                self._state.free(leaving.pod.uid)
            if leaving.stage is not Stage.WRITTEN:
                self._state.line_up_again(leaving)

    async def idle(self) -> None:
        """Wait until all that was begun has ended."""
        await self._departures.idle()
        await self._messenger.idle()
        await self._evictions.idle()

    async def aclose(self) -> None:
        """Cancel what is under way."""
        await self._departures.aclose()
        await self._messenger.aclose()
        await self._evictions.aclose()

    def _admit(self, admits: Sequence[Admit]) -> None:
        """Reserve for all that start together, and begin to release them; or for none."""
        state = self._state
        # The round may have decided on a world that is a moment old: the ledger has the last word.
        if not state.active or any(state.queue.pods.get(a.pod.uid) != a.pod for a in admits):
            return
        for number, admit in enumerate(admits):
            try:
                state.ledger.reserve(admit.pod, admit.placement)
            except LedgerError as problem:
                log.info("pod %s has to wait for another round: %s", admit.pod.key, problem)
                for before in admits[:number]:
                    state.ledger.release(before.pod.uid)
                state.news.set()
                return
        for admit in admits:
            uid = admit.pod.uid
            state.next_since[uid] = state.queue.next_since(admit.pod, state.clock.now())
            waited_for = state.queue.verdicts.get(uid)
            state.queue.drop(uid)
            self._departures.begin(admit, waited_for=waited_for)

    def _landed(self, leaving: Departure, outcome: bool | ReleaseRefused) -> None:
        if isinstance(outcome, ReleaseRefused):
            self._refused(leaving, outcome)
        elif outcome:
            self._watcher.count_decision("admit")
        else:
            log.info("pod %s is gone before it was released", leaving.pod.key)
            self._state.forget(leaving.pod.uid)
            self._give_up(leaving)

    def _refused(self, leaving: Departure, why: ReleaseRefused) -> None:
        """It keeps its gate: others may have its place, and it is tried again after a while."""
        state, uid = self._state, leaving.pod.uid
        log.warning("pod %s is not released: %s", leaving.pod.key, why)
        state.line_up_again(leaving)
        self._give_up(leaving)
        state.refusals[uid] += 1
        state.backoffs.fail(uid, state.clock.now())
        self._hold(Hold(state.queue.pods[uid], Verdict(Reason.RELEASE_REFUSED, str(why))))

    def _give_up(self, leaving: Departure) -> None:
        """Free the place, unless the pod came to be bound all the same."""
        uid = leaving.pod.uid
        self._state.next_since.pop(uid, None)
        if not self._state.is_bound(uid):
            self._state.free(uid)
            self._state.news.set()

    def _hold(self, hold: Hold) -> None:
        if self._state.active and self._state.queue.judge(hold):
            self._messenger.hold(hold)

    def _evict_stuck(self) -> None:
        """Have pinned pods that none of their nodes takes made again by their owners."""
        state, now = self._state, self._state.clock.now()
        for journey in state.journeys.stuck(now - self._stuck_seconds):
            pod = journey.pod
            # Whatever comes of it, it is asked for once in a while only.
            state.journeys.wait_anew(now, [pod.uid])
            if state.strikes.spares(pod.uid):
                continue
            # Noted before: the pod that takes its place may be there before the answer is.
            state.strike(journey.owner)
            self._messenger.evict(pod, Verdict(Reason.STUCK, ", ".join(journey.nodes)))


def _together(admits: Sequence[Admit]) -> list[Sequence[Admit]]:
    """Admissions of one gang as one, of others one by one; the order stays."""
    found: dict[str, list[Admit]] = {}
    for admit in admits:
        gang = admit.pod.gang
        found.setdefault(admit.pod.uid if gang is None else f"gang {gang.name}", []).append(admit)
    return list(found.values())


def _batches(gangs: Iterable[Sequence[Admit]], admits: int) -> Iterator[Sequence[Sequence[Admit]]]:
    """Yield so many gangs at a time that there are that many admissions, or a few more."""
    batch: list[Sequence[Admit]] = []
    for gang in gangs:
        batch.append(gang)
        if sum(map(len, batch)) >= admits:
            yield batch
            batch = []
    if batch:
        yield batch


async def _slices(items: Sequence[T], size: int) -> AsyncIterator[Sequence[T]]:
    """Yield slices; others on the event loop have their turn between two of them."""
    for at in range(0, len(items), size):
        if at:
            await asyncio.sleep(0)
        yield items[at : at + size]
