"""The controller: keeps what is known, runs rounds when something changed, has them carried out."""

import asyncio
import contextlib
import logging
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace

from scheduler.clock import Clock
from scheduler.controller.backoffs import Backoffs
from scheduler.controller.casualties import Casualties
from scheduler.controller.departures import Departure, Departures, Stage
from scheduler.controller.journeys import Journey, Journeys
from scheduler.controller.lagbook import LagBook, Service
from scheduler.controller.messenger import Messenger
from scheduler.controller.mixer import Mixer
from scheduler.controller.outbox import Outbox
from scheduler.controller.ports import Applier, Watcher
from scheduler.controller.queue import Queue
from scheduler.controller.rounds import Outcome, Rounds
from scheduler.controller.standings import Moment, in_worker
from scheduler.controller.strikes import Strikes
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.holdings import Holding
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.errors import LedgerError, ReleaseRefused
from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.nodes import Node
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Admit, Hold, Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.standing import Standing
from scheduler.core.model.tenants import Tenant
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.settings import Settings

COALESCE_SECONDS = 0.02
"""Events of one burst make one round: so long the loop waits after the first."""

LATE_SECONDS = 5.0
"""A released pod that isn't bound by then is shown as waiting."""

IDLE_SECONDS = 5.0
"""The longest without a round: bookings that nobody confirmed end by then."""

LARGE_NODES = 200
"""From here on a standing takes longer than the event loop may be held."""

SLICE = 500
"""Holds noted before others on the event loop have their turn."""

log = logging.getLogger(__name__)


class Controller:
    """Told of tenants, nodes and pods as they come and go; decides who goes next, and where.

    Everything but `round` and `run` is synchronous: one step of the event loop, so that the ledger
    has one writer. One that isn't `active` follows, and decides nothing. With more than
    `worker_above` pods in line a round is worked out in a thread.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        clock: Clock,
        settings: Settings,
        applier: Applier,
        watcher: Watcher,
        worker_above: int | None = None,
        active: bool = True,
    ) -> None:
        self._ledger, self._clock, self._settings = ledger, clock, settings
        self._watcher = watcher
        self.active = active
        self.queue = Queue()
        self.mixer = Mixer()
        self.tree = TenantTree(())
        self._lags = LagBook(settings.fairness, now=clock.now())
        self._plan, self._rounds_run = Plan(), 0
        self._rounds = Rounds(settings, worker_above=worker_above)
        self._backoffs, self._strikes = Backoffs(), Strikes()
        self._journeys, self._casualties = Journeys(), Casualties(ledger)
        self._outbox = Outbox(settings.kube.in_flight, "release")
        self._messenger = Messenger(applier, watcher, settings.kube.in_flight)
        self._departures = Departures(
            applier.release, self._outbox, self._backoffs, now=clock.now, landed=self._landed
        )
        self._next_since: dict[PodUID, float] = {}
        self._news = asyncio.Event()

    @property
    def plan(self) -> Plan:
        """The last round's plan."""
        return self._plan

    @property
    def lags(self) -> Mapping[TenantName, float]:
        """What each tenant is owed now, GPU-seconds."""
        self._sync()
        return self._lags.values

    @property
    def version(self) -> Hashable:
        """Another one whenever `standing` may have changed."""
        return (self._ledger.generation, self._rounds_run)

    def set_active(self, active: bool) -> None:
        """Begin to decide, or stop: then what is reserved is no longer ours to give."""
        self.active = active
        if not active:
            self._lags.pause()
            for leaving in list(self._departures):
                self._departures.end(leaving.admit.pod.uid)
            self._release(uid for uid, each in self._ledger.holdings.items() if not each.bound)
        self._news.set()

    def restore(self, lags: Mapping[TenantName, float]) -> None:
        """Go on from these lags, GPU-seconds."""
        self._lags.restore(self._clock.now(), lags)

    def set_tenants(self, tenants: Iterable[Tenant]) -> None:
        """Replace the tenants; raise InvalidTenants, and then nothing has changed."""
        tree = TenantTree(tenants)
        self._sync()
        self.tree = tree
        self._news.set()

    def put_nodes(self, nodes: Iterable[Node]) -> None:
        """Nodes are there, or changed: inventory, health, load, strangers' memory."""
        nodes, before = list(nodes), self._ledger.generation
        self._ledger.put_nodes(nodes)
        self._casualties.report(nodes)
        if self._ledger.generation != before:
            self._news.set()

    def drop_node(self, name: NodeName) -> None:
        """A node is gone."""
        self._ledger.drop_node(name)
        self._casualties.drop(name)
        self._news.set()

    def add(self, pod: Pod, owner: str = "") -> None:
        """A pod waits behind our gate, or changed while it does; `owner` would make it again."""
        uid = pod.uid
        if uid not in self.queue.pods and self._departures.get(uid) is None:
            self.mixer.count(pod.request)
            self._strikes.meet(uid, owner)
        if self._strikes.spares(uid):
            pod = replace(pod, pinnable=False)
        leaving = self._departures.get(uid)
        if leaving is not None and (leaving.stage is not Stage.READY or leaving.admit.pod == pod):
            # News from before its release; if it is refused, this is what goes back in line.
            leaving.news = pod
            return
        if leaving is not None:
            # Decided about a pod that is another by now.
            self._departures.end(uid)
            self._release([uid])
        if self.queue.pods.get(uid) != pod:
            self.queue.put(pod)
            self._news.set()

    def on_its_way(self, journey: Journey) -> None:
        """A pod's gate is off, and it has no node yet."""
        if journey.pod.uid not in self._journeys:
            self.ungated(journey.pod.uid)
        self._journeys.see(journey, self._clock.now())

    def lost(self, uid: PodUID, why: Verdict) -> None:
        """No place could be reserved for a pod that is on its way."""
        if self._journeys.lose(uid, why):
            log.warning("pod %s was released, but finds no room now: %s", uid, why.sentence)

    def ungated(self, uid: PodUID) -> None:
        """A pod's gate is off, whoever took it: it waits no longer."""
        self.queue.drop(uid)
        self._departures.end(uid)
        self._backoffs.forget(uid)

    def bound(self, pod: Pod, placement: Placement) -> None:
        """A pod is bound: the truth, wherever it was decided."""
        before = self._ledger.holdings.get(pod.uid)
        self._note_wait(pod, on_its_way=before is not None and not before.bound)
        self._forget(pod.uid)
        if before is not None and before.bound and _same(before, pod, placement):
            return
        self._sync()
        self._ledger.bind(pod, placement)
        self._sync()
        self._casualties.bound(pod.uid)
        self._news.set()

    def gone(self, uid: PodUID) -> None:
        """A pod is gone or finished: what it held is free."""
        self._forget(uid)
        self._next_since.pop(uid, None)
        self._casualties.gone(uid)
        if uid in self._ledger.holdings:
            self._release([uid])
        self._news.set()

    def casualties(self) -> Mapping[PodUID, Verdict]:
        """Return the bound pods whose device failed or vanished, and what befell each."""
        return self._casualties.hit

    async def run(self) -> None:
        """Run rounds whenever something changed, until cancelled."""
        try:
            while True:
                # Not asyncio.wait_for: in Python 3.11 it may swallow the cancellation that ends us.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._patience()):
                        await self._news.wait()
                if self._news.is_set():
                    await self._clock.sleep(COALESCE_SECONDS)
                self._news.clear()
                await self._try_round()
        finally:
            await self._outbox.aclose()
            await self._messenger.aclose()

    async def round(self) -> Plan:
        """Run one round, and wait until its plan is carried out."""
        await self._round()
        await self._outbox.idle()
        await self._messenger.idle()
        return self._plan

    def service(self) -> Mapping[TenantName, Service]:
        """Return what each leaf was due and got until now, in GPU-seconds."""
        self._sync()
        return self._lags.service

    def standing(self) -> Standing:
        """Return how everybody stands now."""
        return self._moment().standing()

    async def standing_beside(self) -> Standing:
        """Return the same, worked out in a thread where the cluster is large."""
        if not self._rounds.in_real_time or len(self._ledger.nodes) < LARGE_NODES:
            return self.standing()
        return await in_worker(self._moment().copied(self._ledger))

    def _moment(self) -> Moment:
        self._sync()
        return Moment(
            books=self._ledger,
            tree=self.tree,
            plan=self._plan,
            lags=self._lags.values,
            queued=self.queue.pods,
            verdicts=self.queue.verdicts,
            late=self._late(),
            mix=self.mixer.mix,
            now=self._clock.now(),
        )

    async def _try_round(self) -> None:
        if not self.active:
            return
        try:
            await self._round()
        except Exception:
            # The next event brings the next round; a crash here would stop everybody's pods.
            log.exception("a round failed")
            await self._clock.sleep(1.0)

    async def _round(self) -> None:
        now = self._clock.now()
        self._ledger.expire(now)
        self._sync()
        queued = self.queue.pods.values()
        pending = [pod for pod in queued if not self._backoffs.holds(pod.uid, now)]
        delayed = {pod.tenant for pod in queued if self._backoffs.holds(pod.uid, now)}
        snapshot = self._ledger.snapshot(tenants=self.tree.tenants.values(), lags=self._lags.values)
        outcome = await self._rounds.decide(snapshot, pending, now, mix=self.mixer.mix)
        if self.active:
            self._lags.adopt(outcome.plan, delayed=delayed)
            await self._carry_out(outcome, now)

    async def _carry_out(self, outcome: Outcome, now: float) -> None:
        plan = self._plan = outcome.plan
        self._rounds_run += 1
        for phase, seconds in outcome.took.items():
            self._watcher.observe_cycle(phase, seconds)
        self.queue.note_first(outcome.first, now)
        # Reserved all at once, before anything is awaited; then carried out in the same order.
        for admit in plan.admits:
            self._reserve(admit)
        self._sync()
        self._departures.begin_again()
        for number, hold in enumerate(plan.holds, start=1):
            self._hold(hold)
            if number % SLICE == 0:
                await asyncio.sleep(0)
        self._evict_stuck(now)
        for pod, why in self._casualties.news():
            self._messenger.warn(pod, why)

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
        self._next_since[pod.uid] = self.queue.next_since(pod, self._clock.now())
        self.queue.drop(pod.uid)
        self._departures.begin(admit)

    def _hold(self, hold: Hold) -> None:
        if self.queue.judge(hold):
            self._messenger.hold(hold)

    def _landed(self, leaving: Departure, outcome: bool | ReleaseRefused) -> None:
        pod = leaving.pod
        if isinstance(outcome, ReleaseRefused):
            log.warning("pod %s is not released: %s", pod.key, outcome)
            self._departures.end(pod.uid)
            self._release([pod.uid])
            self._backoffs.fail(pod.uid, self._clock.now())
            self.queue.put(pod)
            self._hold(Hold(pod, Verdict(Reason.RELEASE_REFUSED, str(outcome))))
            self._news.set()
        elif outcome:
            self._watcher.count_decision("admit")
        else:
            log.info("pod %s is gone before it was released", pod.key)
            self.gone(pod.uid)

    def _evict_stuck(self, now: float) -> None:
        """Have pods that none of their nodes takes made again, each owner's first one only."""
        for journey in self._journeys.stuck(now - self._settings.kube.stuck_seconds):
            uid = journey.pod.uid
            self._journeys.wait_anew(now, [uid])
            if not self._strikes.spares(uid):
                # What its owner makes is spared from now on, whenever it comes.
                self._strikes.strike(journey.owner)
                self._messenger.evict(journey.pod, Verdict(Reason.STUCK))

    def _late(self) -> list[tuple[Pod, Verdict]]:
        """Pods that are on their way for longer than it takes to bind them."""
        moment = self._clock.now() - LATE_SECONDS
        released = Verdict(Reason.RELEASED)
        late = [(each.pod, released) for each in self._departures if each.since <= moment]
        return late + [
            (journey.pod, lost or released) for journey, lost in self._journeys.since(moment)
        ]

    def _patience(self) -> float:
        end = self._backoffs.next_end(now := self._clock.now())
        return IDLE_SECONDS if end is None else min(IDLE_SECONDS, end - now)

    def _forget(self, uid: PodUID) -> None:
        self.ungated(uid)
        self._journeys.end(uid)
        self._strikes.forget(uid)

    def _release(self, uids: Iterable[PodUID]) -> None:
        self._sync()
        for uid in list(uids):
            self._ledger.release(uid)
        self._sync()

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


def _same(before: Holding, pod: Pod, placement: Placement) -> bool:
    return before.placement == placement and before.pod.tenant == pod.tenant
