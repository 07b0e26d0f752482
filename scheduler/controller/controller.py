"""The controller: keeps what is known, runs rounds when something changed, has them carried out."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter

from scheduler.clock import Clock
from scheduler.controller.lagbook import LagBook, Service
from scheduler.controller.mixer import Mixer
from scheduler.controller.ports import Applier, Watcher
from scheduler.controller.queue import Queue
from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.cycle.standing import stand
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.errors import LedgerError
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.nodes import Node
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Admit, Hold, Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.standing import Standing
from scheduler.core.model.tenants import Tenant
from scheduler.settings import Settings

COALESCE_SECONDS = 0.02
"""Events of one burst make one round: so long the loop waits after the first."""

LATE_SECONDS = 5.0
"""A released pod that isn't bound by then is shown as waiting."""

IDLE_SECONDS = 5.0
"""The longest without a round: bookings that nobody confirmed end by then."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Departure:
    """An admitted pod, until the watch shows it without our gate. `written`: it is released."""

    admit: Admit
    written: bool = False


class Controller:
    """Told of tenants, nodes and pods as they come and go; decides who goes next, and where.

    Everything but `round` and `run` is synchronous: one step of the event loop, so that the ledger
    has one writer.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        clock: Clock,
        settings: Settings,
        applier: Applier,
        watcher: Watcher,
    ) -> None:
        self._ledger, self._clock, self._settings = ledger, clock, settings
        self._applier, self._watcher = applier, watcher
        self.queue = Queue()
        self.mixer = Mixer()
        self.tree = TenantTree(())
        self._lags = LagBook(settings.fairness, now=clock.now())
        self._plan = Plan()
        self._next_since: dict[PodUID, float] = {}
        self._reserved: dict[PodUID, float] = {}
        self._departures: dict[PodUID, _Departure] = {}
        self._news = asyncio.Event()

    @property
    def plan(self) -> Plan:
        """The last round's plan."""
        return self._plan

    def set_tenants(self, tenants: Iterable[Tenant]) -> None:
        """Replace the tenants; raise InvalidTenants, and then nothing has changed."""
        tree = TenantTree(tenants)
        self._sync()
        self.tree = tree
        self._news.set()

    def put_nodes(self, nodes: Iterable[Node]) -> None:
        """Nodes are there, or changed: inventory, health, load, strangers' memory."""
        before = self._ledger.generation
        self._ledger.put_nodes(nodes)
        if self._ledger.generation != before:
            self._news.set()

    def add(self, pod: Pod) -> None:
        """A pod waits behind our gate, or changed while it does."""
        leaving = self._departures.get(pod.uid)
        if leaving is not None and (leaving.written or leaving.admit.pod == pod):
            # News from before its release: it has left the queue.
            return
        if leaving is not None:
            # Decided about a pod that is another by now.
            self.gone(pod.uid)
        elif pod.uid not in self.queue.pods:
            self.mixer.count(pod.request)
        self.queue.put(pod)
        self._news.set()

    def on_its_way(self, uid: PodUID) -> None:
        """A place was reserved for a pod that was released before we began."""
        self._reserved.setdefault(uid, self._clock.now())

    def ungated(self, uid: PodUID) -> None:
        """A pod's gate is off, whoever took it: it waits no longer."""
        self.queue.drop(uid)
        self._departures.pop(uid, None)

    def bound(self, pod: Pod, placement: Placement) -> None:
        """A pod is bound: the truth, wherever it was decided."""
        before = self._ledger.holdings.get(pod.uid)
        self._reserved.pop(pod.uid, None)
        self._note_wait(pod, on_its_way=before is not None and not before.bound)
        self.ungated(pod.uid)
        if before is not None and before.bound and before.placement == placement:
            return
        self._sync()
        self._ledger.bind(pod, placement)
        self._sync()
        self._news.set()

    def gone(self, uid: PodUID) -> None:
        """A pod is gone or finished: what it held is free."""
        self.ungated(uid)
        self._reserved.pop(uid, None)
        self._next_since.pop(uid, None)
        self._sync()
        self._ledger.release(uid)
        self._sync()
        self._news.set()

    async def run(self) -> None:
        """Run rounds whenever something changed, until cancelled."""
        while True:
            # Not asyncio.wait_for: in Python 3.11 it may swallow the cancellation that ends us.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._news.wait()
            if self._news.is_set():
                await self._clock.sleep(COALESCE_SECONDS)
            self._news.clear()
            try:
                await self.round()
            except Exception:
                # The next event brings the next round; a crash here would stop everybody's pods.
                log.exception("a round failed")
                await self._clock.sleep(1.0)

    async def round(self) -> Plan:
        """Run one round, and have its plan carried out."""
        now = self._clock.now()
        self._ledger.expire(now)
        self._sync()
        self.queue.note_first(now)
        plan = run_cycle(
            self._ledger.snapshot(tenants=self.tree.tenants.values(), lags=self._lags.values),
            self.queue.pods.values(),
            now,
            self._profile(),
            timing=self._timed,
        )
        self._plan = plan
        self._lags.adopt(plan)
        # Reserved all at once, before anything is awaited; then carried out in the same order.
        for admit in plan.admits:
            self._reserve(admit)
        self._sync()
        for leaving in list(self._departures.values()):
            await self._release(leaving)
        for hold in self.queue.judge(plan.holds):
            await self._hold(hold)
        return plan

    def service(self) -> Mapping[TenantName, Service]:
        """Return what each leaf was due and got until now, in GPU-seconds."""
        self._sync()
        return self._lags.service

    def standing(self) -> Standing:
        """Return how everybody stands now."""
        self._sync()
        return stand(
            self._ledger,
            self.tree,
            plan=self._plan,
            lags=self._lags.values,
            waiting=self.queue.waiting(self._late()),
            mix=self.mixer.mix,
            now=self._clock.now(),
        )

    def _late(self) -> list[Pod]:
        """Pods whose place is reserved for longer than it takes to bind them."""
        now = self._clock.now()
        ways = {uid for uid, since in self._reserved.items() if now - since >= LATE_SECONDS}
        holdings = self._ledger.holdings
        return [holdings[uid].pod for uid in ways if uid in holdings and not holdings[uid].bound]

    def _profile(self) -> Profile:
        return Profile(
            policy=self._settings.packing.policy,
            mix=self.mixer.mix,
            horizon=self._settings.fairness.horizon_seconds,
            lookahead=self._settings.fairness.lookahead,
        )

    def _reserve(self, admit: Admit) -> None:
        pod = admit.pod
        # The round may have decided on a world that is a moment old: the ledger has the last word.
        if self.queue.pods.get(pod.uid) != pod:
            return
        try:
            self._ledger.reserve(pod, admit.placement)
        except LedgerError as problem:
            log.info("pod %s has to wait for another round: %s", pod.key, problem)
            self._news.set()
            return
        self._reserved[pod.uid] = self._clock.now()
        self._next_since[pod.uid] = self.queue.next_since(pod, self._clock.now())
        self.queue.drop(pod.uid)
        self._departures[pod.uid] = _Departure(admit)

    async def _release(self, leaving: _Departure) -> None:
        pod = leaving.admit.pod
        # While others were released it may have gone, changed or lost its gate.
        if leaving.written or self._departures.get(pod.uid) is not leaving:
            return
        try:
            leaving.written = await self._applier.release(leaving.admit)
        except Exception:
            # It may be written all the same: the place stays, and the next round tries again.
            log.exception("pod %s could not be released", pod.key)
            return
        if leaving.written:
            self._watcher.count_decision("admit")
        else:
            log.info("pod %s is gone before it was released", pod.key)
            self.gone(pod.uid)

    async def _hold(self, hold: Hold) -> None:
        self._watcher.count_decision("hold", hold.verdict.reason)
        try:
            await self._applier.hold(hold)
        except Exception:
            log.exception("nobody was told why pod %s waits", hold.pod.key)

    def _note_wait(self, pod: Pod, *, on_its_way: bool) -> None:
        since = self._next_since.pop(pod.uid, None)
        # Bound before we were there: nobody saw how long it waited.
        if since is not None or on_its_way:
            now = self._clock.now()
            turn = 0.0 if since is None else now - since
            self._watcher.observe_wait(pod.tenant, now - pod.created, turn=turn)

    def _sync(self) -> None:
        """Bring lag up to now. Called on both sides of a change of what is held."""
        self._lags.advance(self._clock.now(), self.tree, self._ledger.held)

    def _timed(self, phase: str, work: Callable[[], None]) -> None:
        began = perf_counter()
        work()
        self._watcher.observe_cycle(phase, perf_counter() - began)
