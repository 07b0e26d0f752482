"""The loop: a round whenever something changed, and at least every few seconds."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter

from scheduler.controller.evictions import LOOP_SECONDS
from scheduler.controller.execution import Execution
from scheduler.controller.ports import Journal, Watcher
from scheduler.controller.rounds import Rounds
from scheduler.controller.state import State
from scheduler.core.journal.inputs import Inputs
from scheduler.core.ledger.snapshot import Snapshot
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod

COALESCE_SECONDS = 0.02
"""Events of one burst make one round: so long the loop waits after the first."""

IDLE_SECONDS = LOOP_SECONDS
"""The longest without a round: bookings that nobody confirmed end by then."""

REST, MOST_REST_SECONDS = 2.0, 1.0
"""After a round that took long, so many times as long is left to others, up to a second."""

log = logging.getLogger(__name__)


async def _nothing() -> None:
    """Nothing has to be done before a round."""


class Loop:
    """Runs rounds on what is known; `before_round` is awaited before each, `journal` told of it."""

    def __init__(
        self, state: State, rounds: Rounds, execution: Execution, *, watcher: Watcher
    ) -> None:
        self._state, self._rounds = state, rounds
        self._execution, self._watcher = execution, watcher
        self._counted = self._decided = state.clock.now()
        self.before_round: Callable[[], Awaitable[None]] = _nothing
        self.journal: Journal | None = None

    async def run(self) -> None:
        """Run rounds until cancelled; what they began is cancelled then, too."""
        state, rest = self._state, COALESCE_SECONDS
        try:
            while True:
                # Not asyncio.wait_for: in Python 3.11 it may swallow the cancellation that ends us.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._patience()):
                        await state.news.wait()
                if state.news.is_set():
                    await state.clock.sleep(rest)
                rest = await self._try_round()
        finally:
            await self._execution.aclose()

    async def round(self) -> None:
        """Run one round; its plan is being carried out when this returns."""
        self._state.news.clear()
        self._state.deciding = True
        try:
            await self._round()
        finally:
            self._state.deciding = False

    async def _round(self) -> None:
        state, now = self._state, self._state.clock.now()
        self._decided = now
        state.expire()
        if not state.active:
            state.meet_users()
            self._counted = now
            return
        await self.before_round()
        state.settled = state.active
        # Not before: a pod whose user isn't in the tree would have no tenant.
        state.meet_users()
        pending, delayed = state.pending(now)
        snapshot, tenants = state.snapshot(), state.tenants
        note = self._noting(snapshot, pending, now)
        outcome = await self._rounds.decide(snapshot, pending, now, mix=state.mixer.mix)
        if not state.decides_for(tenants):
            # Decided in somebody else's place, or for tenants that are others by now.
            return
        note(outcome.plan)
        for phase, seconds in outcome.took.items():
            self._watcher.observe_cycle(phase, seconds)
        self._count_holds(now)
        state.adopt(outcome.plan, delayed=delayed)
        state.queue.note_first(outcome.first, now)
        await self._execution.carry_out(outcome.plan)

    async def _try_round(self) -> float:
        """Run a round; return how long (seconds) to rest before the next one."""
        began = perf_counter()
        try:
            await self.round()
        except Exception:
            # The next event brings the next round; a crash here would stop everybody's pods.
            log.exception("a round failed")
            await self._state.clock.sleep(1.0)
        if not self._rounds.in_real_time:
            return COALESCE_SECONDS
        rest = REST * (perf_counter() - began)
        return min(max(rest, COALESCE_SECONDS), MOST_REST_SECONDS)

    def _noting(
        self, snapshot: Snapshot, pending: Sequence[Pod], now: float
    ) -> Callable[[Plan], None]:
        """Keep what the round sees, which may be another by the time that its plan is there."""
        journal, state = self.journal, self._state
        if journal is None:
            return lambda _plan: None
        profile = self._rounds.profile(state.mixer.mix)
        inputs = Inputs.of(state.ledger, snapshot, pending, now, profile)
        return lambda plan: journal.note(inputs, plan)

    def _count_holds(self, now: float) -> None:
        """Count how long pods were held by the plan before, and why."""
        before, self._counted = self._counted, now
        held = Counter(hold.verdict.reason for hold in self._state.plan.holds)
        for reason, pods in held.items():
            self._watcher.observe_hold(reason, pods * (now - before))

    def _patience(self) -> float:
        """Seconds until the next round, unless something changes before.

        What came to its end while the last round was under way is due at once: that round decided
        as of its beginning.
        """
        state, now, seen = self._state, self._state.clock.now(), self._decided
        ends = (state.backoffs.next_end(seen), state.next_patience(seen))
        return min([IDLE_SECONDS, *(max(end - now, 0.0) for end in ends if end is not None)])
