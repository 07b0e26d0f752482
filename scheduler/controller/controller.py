"""The controller: keeps what is known, runs rounds when something changed, has them carried out."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
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
from scheduler.core.model.plans import Admit, Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.standing import Standing
from scheduler.core.model.tenants import Tenant
from scheduler.settings import Settings

COALESCE_SECONDS = 0.02
"""Events of one burst make one round: so long the loop waits after the first."""

IDLE_SECONDS = 5.0
"""The longest without a round: bookings that nobody confirmed end by then."""

log = logging.getLogger(__name__)


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
        self._ledger.put_nodes(nodes)
        self._news.set()

    def add(self, pod: Pod) -> None:
        """A pod waits behind our gate, or changed while it does."""
        if pod.uid not in self.queue.pods:
            self.mixer.count(pod.request)
        self.queue.put(pod)
        self._news.set()

    def bound(self, pod: Pod, placement: Placement) -> None:
        """A pod is bound: the truth, wherever it was decided."""
        before = self._ledger.holdings.get(pod.uid)
        if before is None or not before.bound:
            now = self._clock.now()
            turn = now - self._next_since.pop(pod.uid, now)
            self._watcher.observe_wait(pod.tenant, now - pod.created, turn=turn)
        self.queue.drop(pod.uid)
        self._sync()
        self._ledger.bind(pod, placement)
        self._sync()
        self._news.set()

    def gone(self, uid: PodUID) -> None:
        """A pod is gone or finished: what it held is free."""
        self.queue.drop(uid)
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
        reserved = [admit for admit in plan.admits if self._reserve(admit)]
        self._sync()
        for admit in reserved:
            await self._release(admit)
        for hold in self.queue.judge(plan.holds):
            self._watcher.count_decision("hold", hold.verdict.reason)
            await self._applier.hold(hold)
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
            waiting=self.queue.waiting(),
            mix=self.mixer.mix,
            now=self._clock.now(),
        )

    def _profile(self) -> Profile:
        return Profile(
            policy=self._settings.packing.policy,
            mix=self.mixer.mix,
            horizon=self._settings.fairness.horizon_seconds,
            lookahead=self._settings.fairness.lookahead,
        )

    def _reserve(self, admit: Admit) -> bool:
        pod = admit.pod
        # The round may have decided on a world that is a moment old: the ledger has the last word.
        if self.queue.pods.get(pod.uid) != pod:
            return False
        try:
            self._ledger.reserve(pod, admit.placement)
        except LedgerError as problem:
            log.info("pod %s has to wait for another round: %s", pod.key, problem)
            self._news.set()
            return False
        self._next_since[pod.uid] = self.queue.next_since(pod, self._clock.now())
        self.queue.drop(pod.uid)
        return True

    async def _release(self, admit: Admit) -> None:
        pod = admit.pod
        self._watcher.count_decision("admit")
        if not await self._applier.release(pod, admit.placement):
            log.info("pod %s is gone before it was released", pod.key)
            self.gone(pod.uid)

    def _sync(self) -> None:
        """Bring lag up to now. Called on both sides of a change of what is held."""
        self._lags.advance(self._clock.now(), self.tree, self._ledger.held)

    def _timed(self, phase: str, work: Callable[[], None]) -> None:
        began = perf_counter()
        work()
        self._watcher.observe_cycle(phase, perf_counter() - began)
