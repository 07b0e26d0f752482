"""The controller: keeps what is known, and has rounds run and carried out."""

import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from scheduler.clock import Clock
from scheduler.controller.departures import Stage
from scheduler.controller.execution import Execution
from scheduler.controller.grants import Find, Grants
from scheduler.controller.journeys import Journey
from scheduler.controller.lagbook import Service
from scheduler.controller.loop import Loop
from scheduler.controller.ports import Applier, Journal, Watcher
from scheduler.controller.queue import Queue
from scheduler.controller.rounds import Rounds
from scheduler.controller.standings import Moment
from scheduler.controller.state import State
from scheduler.controller.strays import Strays
from scheduler.core.fairness.spending import Used
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.ledger.snapshot import Snapshot
from scheduler.core.model.errors import LedgerError
from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.nodes import Node
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Memory
from scheduler.core.model.standing import Standing
from scheduler.core.model.tenants import Tenant, tenant_part
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.core.packing.mixer import Mixer
from scheduler.settings import Settings

log = logging.getLogger(__name__)

NOTHING_USED: Mapping[TenantName, Used] = MappingProxyType({})


class Controller:
    """Told of tenants, nodes and pods as they come and go; decides who goes next, and where.

    Everything but `round` and `run` is synchronous: one step of the event loop, so that the ledger
    has one writer. One that isn't `active` follows, and decides nothing. With more than
    `worker_above` pods in line a round is worked out in a thread; None: never.
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
        self._ledger, self._clock, self._watcher = ledger, clock, watcher
        self._bind_seconds = settings.extender.bind_seconds
        self._state = State(ledger, clock=clock, settings=settings, active=active)
        self._strays = Strays()
        self._rounds = Rounds(settings, worker_above=worker_above)
        self._execution = Execution(
            self._state, settings=settings, applier=applier, watcher=watcher
        )
        self._loop = Loop(self._state, self._rounds, self._execution, watcher=watcher)

    @property
    def clock(self) -> Clock:
        """The clock that it goes by."""
        return self._clock

    @property
    def queue(self) -> Queue:
        """Pods that wait behind our gate."""
        return self._state.queue

    @property
    def mixer(self) -> Mixer:
        """What people ask for."""
        return self._state.mixer

    @property
    def tree(self) -> TenantTree:
        """The tenants."""
        return self._state.tree

    @property
    def caps(self) -> TenantTree:
        """The same as limits and guarantees hold now: none is promised anything over budget."""
        return self._state.caps

    @property
    def plan(self) -> Plan:
        """The last round's plan."""
        return self._state.plan

    @property
    def lags(self) -> Mapping[TenantName, float]:
        """What each tenant is owed now, GPU-seconds."""
        self._state.sync()
        return self._state.lags.values

    @property
    def used(self) -> Mapping[TenantName, float]:
        """What each tenant with a budget has used of it in this period, GPU-seconds."""
        self._state.sync()
        return {name: each.gpu_seconds for name, each in self._state.budgets.used.items()}

    @property
    def version(self) -> Hashable:
        """Another one whenever `standing` may have changed by more than the time."""
        return (self._ledger.generation, self._state.rounds)

    @property
    def active(self) -> bool:
        """Whether it decides."""
        return self._state.active

    def grants(self, find: Find, **how: Any) -> Grants:
        """Return what gives places to pods while they are created; see there."""
        return Grants(self._state, find, **how)

    # -------------------------------------------------------------------- who acts, and for whom

    def set_active(self, active: bool) -> None:
        """Begin to decide, or stop because somebody else decides from now on."""
        state, now = self._state, self._clock.now()
        if active == state.active:
            return
        state.expire()
        state.active, state.settled = active, False
        if active:
            # Nobody was there to evict who is stuck: they have their time from now on.
            state.journeys.wait_anew(now)
        else:
            state.lags.pause()
            self._execution.take_back()
            state.memory = Memory()
            # So long a Binding of ours may still be under way; then others give these places away.
            state.limit_reservations(now + self._bind_seconds)
        state.news.set()

    def restore(
        self,
        lags: Mapping[TenantName, float],
        used: Mapping[TenantName, Used] = NOTHING_USED,
    ) -> None:
        """Go on from lags, GPU-seconds, and from use of budgets, that others kept until now."""
        self._state.restore(lags, used)

    def set_tenants(self, tenants: Iterable[Tenant]) -> None:
        """Replace the tenants; raise InvalidTenants, and then nothing has changed."""
        self._state.set_tenants(tenants)
        self._strays.look(self._ledger.nodes.values(), self._state.tree)

    def put_nodes(self, nodes: Iterable[Node]) -> None:
        """Nodes are there, or changed: inventory, health, load, strangers' memory."""
        nodes, before = list(nodes), self._ledger.generation
        self._ledger.put_nodes(nodes)
        self._state.casualties.report(nodes)
        self._strays.look(nodes, self._state.tree)
        if self._ledger.generation != before:
            self._state.news.set()

    def drop_node(self, name: NodeName) -> None:
        """A node is gone."""
        self._ledger.drop_node(name)
        self._state.casualties.drop(name)
        self._strays.drop(name)
        self._state.news.set()

    # -------------------------------------------------------------------------------------- pods

    def add(self, pod: Pod, owner: str = "") -> None:
        """A pod waits behind our gate, or changed while it does; `owner` would make it again."""
        state, uid = self._state, pod.uid
        if uid in state.journeys or state.is_bound(uid):
            # News from before its release.
            return
        if not state.waits(uid):
            state.strikes.meet(uid, owner)
            state.mixer.count(pod.request)
        state.owners[uid] = owner
        pod, leaving = state.spared(pod), state.departures.get(uid)
        if leaving is None:
            state.line_up(pod)
        elif leaving.stage is not Stage.READY:
            # If its release is refused, this is what goes back in line.
            leaving.news = pod
        elif leaving.admit.pod != pod:
            # Decided about a pod that is another by now.
            leaving.news = pod
            state.free(uid)
            state.line_up_again(leaving)

    def on_its_way(self, journey: Journey) -> None:
        """A pod's gate is off, and it has no node yet."""
        state, uid = self._state, journey.pod.uid
        if uid not in state.journeys:
            if not state.waits(uid):
                state.strikes.meet(uid, journey.owner)
            state.leave(uid)
        # What is bound has arrived: this is news from before.
        if not state.is_bound(uid):
            state.journeys.see(journey, self._clock.now())

    def ungated(self, uid: PodUID) -> None:
        """A pod's gate is off, and its way is none of ours."""
        self._state.leave(uid)
        self._state.journeys.end(uid)

    def bound(self, pod: Pod, placement: Placement) -> None:
        """A pod is bound: the truth, wherever it was decided."""
        state, before = self._state, self._ledger.holdings.get(pod.uid)
        self._note_wait(pod, on_its_way=before is not None and not before.bound)
        waited = state.waits(pod.uid)
        state.forget(pod.uid)
        confirmed = before is not None and (before.pod, before.placement) == (pod, placement)
        if before is None or not before.bound or not confirmed:
            state.bind(pod, placement)
        state.casualties.bound(pod.uid)
        if waited or (placement.slots and not confirmed):
            # A bind that was planned changes nothing that a round would look at, and pods without
            # a GPU come and go all the time: what they take is seen at the next round.
            state.news.set()

    def runs(self, pod: Pod, since: float) -> None:
        """A bound pod came to its node then (seconds); 0.0 where nobody says when."""
        self._state.lives.runs(pod, since or self._clock.now())

    def ends(self, uid: PodUID, at: float) -> None:
        """A bound pod is being deleted; its grace period is over then (seconds)."""
        self._state.lives.ends(uid, at)

    def finished(self, pod: Pod) -> None:
        """A pod of a gang has succeeded: it is not missing."""
        if pod.gang is not None:
            # Of a gang that there is but once it is no matter which pods of it are left.
            seen = pod.uid in self._ledger.holdings or pod.gang.once
            self._state.gangs.finished(pod.gang.name, pod.uid, pod.owner, seen=seen)

    def gone(self, uid: PodUID) -> None:
        """A pod is gone or finished: what it held is free."""
        state, holding = self._state, self._ledger.holdings.get(uid)
        waited = state.waits(uid)
        state.forget(uid)
        state.next_since.pop(uid, None)
        state.casualties.gone(uid)
        state.lives.gone(uid)
        if holding is not None:
            state.free(uid)
        if waited or (holding is not None and (holding.placement.slots or state.queue.pods)):
            state.news.set()

    def astray(self) -> list[Journey]:
        """Return pods that were released to nodes and have no place there, or one that may end."""
        return self._state.astray()

    def homeless(self) -> list[Journey]:
        """Return pods that kube-scheduler turned down, and that may go to any node still."""
        return self._state.journeys.homeless()

    def remind(self, pod: Pod, node: NodeName) -> None:
        """Have kube-scheduler look at such a pod again: that node has room for it."""
        self._execution.remind(pod, node)

    def reserve(self, pod: Pod, placement: Placement) -> None:
        """Reserve a place for a pod on its way; where that fails it has to wait for one."""
        try:
            self._state.reserve(pod, placement)
        except LedgerError as problem:
            self.lost(pod, Verdict(Reason.NO_ROOM, str(problem)))

    def lost(self, pod: Pod, why: Verdict) -> None:
        """No place could be found for a pod on its way."""
        if self._state.journeys.lose(pod.uid, why):
            log.warning("pod %s was released, but finds no room now: %s", pod.key, why.sentence)

    # ------------------------------------------------------------------------------------ rounds

    def prepare_rounds(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have this awaited before every round."""
        self._loop.before_round = work

    def take_down(self, journal: Journal) -> None:
        """Have every round taken down there from now on."""
        self._loop.journal = journal

    async def run(self) -> None:
        """Run rounds whenever something changed, until cancelled."""
        await self._loop.run()

    async def round(self) -> Plan:
        """Run one round, and wait until its plan is carried out."""
        await self._loop.round()
        await self._execution.idle()
        return self._state.plan

    # ------------------------------------------------------------------------------------- views

    def snapshot(self, *, everybody: bool = False) -> Snapshot:
        """Return what a round would decide on now; `everybody`: with who runs in any case."""
        self._state.sync()
        return self._state.snapshot(everybody=everybody)

    def casualties(self) -> Mapping[PodUID, Verdict]:
        """Return the bound pods whose device failed or vanished, and what befell each."""
        return self._state.casualties.hit

    def service(self) -> Mapping[TenantName, Service]:
        """Return what each leaf was due and got until now, in GPU-seconds."""
        self._state.sync()
        return self._state.lags.service

    def standing(self) -> Standing:
        """Return how everybody stands now."""
        return Moment.of(self._state).standing()

    async def standing_beside(self) -> Standing:
        """Return the same, worked out in a thread where the cluster is large."""
        moment = Moment.of(self._state)
        if self._rounds.in_real_time and moment.large:
            return await moment.standing_beside(self._ledger)
        return moment.standing()

    def _note_wait(self, pod: Pod, *, on_its_way: bool) -> None:
        since = self._state.next_since.pop(pod.uid, None)
        # Bound before we were there: nobody saw how long it waited.
        if since is not None or on_its_way:
            now = self._clock.now()
            turn = 0.0 if since is None else now - since
            self._watcher.observe_wait(tenant_part(pod.tenant), now - pod.created, turn=turn)
