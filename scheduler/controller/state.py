"""What the controller knows, and the changes that keep its parts in step."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from scheduler.clock import Clock
from scheduler.controller.backoffs import Backoffs
from scheduler.controller.budgetbook import BudgetBook
from scheduler.controller.casualties import Casualties
from scheduler.controller.departures import Departure, Stage
from scheduler.controller.gangbook import GangBook
from scheduler.controller.journeys import Journey, Journeys
from scheduler.controller.lagbook import LagBook
from scheduler.controller.lives import Lives
from scheduler.controller.queue import Queue
from scheduler.controller.strikes import Strikes
from scheduler.controller.users import over
from scheduler.core.fairness.budgets import without_guarantees
from scheduler.core.fairness.guarantees import guaranteed
from scheduler.core.fairness.spending import Used
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.ledger.snapshot import Snapshot
from scheduler.core.model.errors import InvalidInput, LedgerError
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Memory
from scheduler.core.model.tenants import Tenant, tenant_part
from scheduler.core.packing.mixer import LEAST_REMEMBERED, Mixer
from scheduler.settings import Kube, Packing, Settings


class State:
    """A pod waits in `queue`, leaves in `departures`, travels in `journeys`, then it is bound.

    What is held changes here, so that lag is integrated up to that moment. `news` asks for a round.
    `next_since` (seconds): when a pod that left had become its tenant's next. One that isn't
    `active` only follows. `plan` is the last round's, `memory` what it left to the next one,
    `rounds` counts them. `tree` is of the `tenants`, and of users whom a round has met.
    """

    def __init__(self, ledger: Ledger, *, clock: Clock, settings: Settings, active: bool) -> None:
        self.ledger, self.clock, self.active = ledger, clock, active
        self.tenants: tuple[Tenant, ...] = ()
        self._by_user = False
        self.tree, self.plan, self.memory, self.rounds = TenantTree(()), Plan(), Memory(), 0
        self.lags = LagBook(settings.fairness, now=clock.now())
        self.budgets = BudgetBook(now=clock.now())
        self._caps = self.tree, frozenset[TenantName](), self.tree
        stops = settings.reclaim.patience_seconds, settings.packing.consolidate_seconds
        self._patiences = settings.fairness.reserve_seconds, *stops
        self._stops = any(patience is not None for patience in stops)
        self._backlog, self._unfinished = _backlog(settings.kube), False
        self._broken_after = settings.reclaim.broken_gang_seconds
        self.lives, self.gangs = Lives(settings.reclaim.grace_seconds), GangBook()
        self.queue, self.mixer = Queue(), _mixer(settings.packing)
        self.departures: dict[PodUID, Departure] = {}
        self.journeys, self.casualties = Journeys(), Casualties(ledger)
        self.backoffs, self.strikes = Backoffs(), Strikes()
        self.owners: dict[PodUID, str] = {}
        self.next_since: dict[PodUID, float] = {}
        self.refusals: Counter[PodUID] = Counter()
        self.news = asyncio.Event()
        # A round is under way; and one that began with those on their way has been, since it acts.
        self.deciding, self.settled = False, active

    # ------------------------------------------------------------------------------ who shares

    def set_tenants(self, tenants: Iterable[Tenant]) -> None:
        """Replace the tenants; raise InvalidTenants, and then nothing has changed."""
        tree = guaranteed(TenantTree(tenants), self.ledger.brought)
        self.sync()
        self.tenants = tuple(tree.tenants.values())
        self._by_user = any(each.by_user for each in self.tenants)
        # All at once: each one that comes alone makes the tree anew.
        present = (tree.leaf_of(tenant_part(pod.tenant), pod.user) for pod in self._pods())
        self.tree = tree.with_users((*self.tree.users, *present)) if self._by_user else tree
        # Whose budget is new is counted from now on.
        self.sync()
        self.news.set()

    def meet_users(self) -> None:
        """Have the users in the tree that are there, and of those that are away who owes."""
        if not self._by_user:
            return
        there = {pod.tenant for pod in self._unbound()} | self.ledger.held.keys()
        tree = self.tree.with_users(there)
        self.tree = tree.without_users(over(tree, there, self.lags.values))

    def _pods(self) -> Iterator[Pod]:
        """All that wait, are on their way or hold a GPU."""
        yield from self._unbound()
        yield from (each.pod for each in self.ledger.holdings.values() if each.placement.slots)

    def _unbound(self) -> Iterator[Pod]:
        yield from self.queue.pods.values()
        yield from (leaving.admit.pod for leaving in self.departures.values())
        yield from (journey.pod for journey in self.journeys)

    def restore(self, lags: Mapping[TenantName, float], used: Mapping[TenantName, Used]) -> None:
        """Go on from lags (GPU-seconds), and use of budgets, that somebody else kept until now."""
        self.tree = self.tree.with_users((*lags, *(pod.tenant for pod in self._pods())))
        self.sync()
        now = self.clock.now()
        self.lags.restore(now, lags)
        self.budgets.restore(now, used)

    @property
    def caps(self) -> TenantTree:
        """The tree by which limits and guarantees hold now, as a round would have it."""
        tree, spent = self.tree, self.budgets.spent(self.tree)
        if self._caps[:2] != (tree, spent):
            self._caps = tree, spent, without_guarantees(tree, spent)
        return self._caps[2]

    # ---------------------------------------------------------------------------- what is held

    def sync(self) -> None:
        """Bring lag up to now, with what is held."""
        self._note(self.clock.now())

    def _note(self, now: float) -> None:
        held = self.ledger.held
        if self._by_user and self.active and not held.keys() <= self.tree.tenants.keys():
            # A pod that never waited is of a user that no round has met yet.
            self.tree = self.tree.with_users(held)
        self.lags.advance(now, self.tree, held)
        self.budgets.advance(now, self.tree, held)

    @contextmanager
    def change(self) -> Iterator[None]:
        """Integrate lag up to the change, and take note of it, at one and the same moment."""
        now = self.clock.now()
        self._note(now)
        yield
        self._note(now)

    def reserve(self, pod: Pod, placement: Placement) -> None:
        """Reserve without a time limit; raise LedgerError, and then nothing has changed."""
        with self.change():
            self.ledger.reserve(pod, placement)

    def bind(self, pod: Pod, placement: Placement) -> None:
        """Book that a pod is bound."""
        if placement.slots or self._uses_gpus(pod.uid):
            with self.change():
                self.ledger.bind(pod, placement)
        else:
            self.ledger.bind(pod, placement)

    def free(self, uid: PodUID) -> None:
        """Free what the pod holds."""
        if self._uses_gpus(uid):
            with self.change():
                self.ledger.release(uid)
        else:
            self.ledger.release(uid)

    def _uses_gpus(self, uid: PodUID) -> bool:
        """Whether the pod holds GPUs; most pods of a cluster don't, and change nobody's lag."""
        holding = self.ledger.holdings.get(uid)
        return holding is not None and bool(holding.placement.slots)

    def is_bound(self, uid: PodUID) -> bool:
        """Whether the ledger has the pod as bound."""
        holding = self.ledger.holdings.get(uid)
        return holding is not None and holding.bound

    def limit_reservations(self, until: float) -> None:
        """Let every reservation end by then (seconds); one that can't be kept ends at once."""
        unbound = [each for each in self.ledger.holdings.values() if not each.bound]
        for each in unbound:
            if each.expires is None or each.expires > until:
                try:
                    self.ledger.reserve(each.pod, each.placement, expires=until)
                except LedgerError:
                    self.ledger.release(each.pod.uid)

    def expire(self) -> None:
        """End reservations whose time is over, and bring lag up to now."""
        with self.change():
            self.ledger.expire(self.clock.now())

    def astray(self) -> list[Journey]:
        """Return pods that were released to nodes and have no place there, or one that may end."""
        holdings = self.ledger.holdings
        return [
            journey
            for journey in self.journeys
            if journey.nodes
            and ((held := holdings.get(journey.pod.uid)) is None or held.expires is not None)
        ]

    # ------------------------------------------------------------------------------ who waits

    @property
    def calm(self) -> bool:
        """Whether no pod in line would take a GPU, as far as a round has judged what is so now."""
        if not self.settled:
            return False
        unjudged = self.deciding or self._unfinished or self.news.is_set()
        return not self.queue.pods or not (unjudged or self.queue.rivals.all)

    def is_next(self, tenant: TenantName) -> bool:
        """Whether a pod of the tenant that comes now passes nobody over that would take a GPU."""
        if not self.calm or tenant not in self.tree or not self.journeys.untroubled:
            return False
        # They wait for what anybody below the same tenant gives back.
        top = self.tree.path(tenant)[0]
        return not any(
            other in self.tree and self.tree.path(other)[0] == top
            for other in self.queue.rivals.tenants
        )

    def waits(self, uid: PodUID) -> bool:
        """Whether the pod waits for its release, or for the outcome of that."""
        return uid in self.queue.pods or uid in self.departures

    def spared(self, pod: Pod) -> Pod:
        """Return the pod as it is to be decided about: unpinned if it is spared that."""
        return replace(pod, pinnable=False) if self.strikes.spares(pod.uid) else pod

    def line_up(self, pod: Pod) -> None:
        """Put a pod in line, or describe it anew; what is known already is no news."""
        if self.queue.pods.get(pod.uid) != pod:
            self.queue.put(pod)
            self.news.set()

    def line_up_again(self, leaving: Departure) -> None:
        """Put a pod back in line that was about to leave."""
        uid = leaving.pod.uid
        del self.departures[uid]
        self.line_up(self.spared(leaving.pod))
        if leaving.waited_for is not None:
            self.queue.verdicts[uid] = leaving.waited_for

    def leave(self, uid: PodUID) -> None:
        """A pod waits no longer: its gate is off."""
        self.queue.drop(uid)
        left = self.departures.pop(uid, None)
        # Were each of them news, most rounds would find nobody's turn to have come.
        if left and self._unfinished and len(self.departures) * 2 <= self._backlog:
            self.news.set()
        self.backoffs.forget(uid)
        self.owners.pop(uid, None)
        self.refusals.pop(uid, None)

    def forget(self, uid: PodUID) -> None:
        """A pod is bound or gone."""
        self.leave(uid)
        self.journeys.end(uid)
        self.strikes.forget(uid)

    def strike(self, owner: str) -> None:
        """Spare what the owner makes from now on, and what of it is in line."""
        self.strikes.strike(owner)
        for uid, other in self.owners.items():
            if other == owner and uid in self.queue.pods:
                self.strikes.spare(uid)
                self.line_up(self.spared(self.queue.pods[uid]))

    # --------------------------------------------------------------------------------- rounds

    def pending(self, now: float) -> tuple[list[Pod], Collection[TenantName]]:
        """Return the pods to decide about, and the tenants of those that are let alone for now."""
        pods = list(self.queue.pods.values())
        if not self.backoffs:
            return pods, ()
        alone = [pod for pod in pods if self.backoffs.holds(pod.uid, now)]
        left = [pod for pod in pods if not self.backoffs.holds(pod.uid, now)]
        return left, set(self._with_parents(pod.tenant for pod in alone))

    def decides_for(self, tenants: Sequence[Tenant]) -> bool:
        """Whether what was decided for these tenants may be carried out still.

        Users come and go all the time: a round that knew fewer of them is as good.
        """
        return self.active and self.tenants is tenants

    def follow_nodes(self) -> bool:
        """Let contributed guarantees be what nodes come to now; return whether one moved."""
        if not any(tenant.contributed for tenant in self.tree.tenants.values()):
            return False
        tree = guaranteed(self.tree, self.ledger.brought)
        moved = tree is not self.tree
        if moved:
            self.sync()
            self.tree = tree
        return moved

    def snapshot(self, *, everybody: bool = False) -> Snapshot:
        """Return what a round decides on; `everybody`: with who runs, asked for or not."""
        self.follow_nodes()
        known = self.ledger.snapshot(tenants=self.tree.tenants.values(), lags=self.lags.values)
        gathered = self.gangs.gathered(
            known.gathered, self.queue.pods.values(), self.ledger.holdings
        )
        known = replace(
            known,
            memory=self.memory,
            gathered=gathered,
            spent=self.budgets.spent(self.tree),
            leaving=self._leaving(),
        )
        limited = self.tree.longest or self.lives.limited
        now = self.clock.now()
        stops = self._stops or any(each.defrag_until > now for each in self.tree.ordered)
        asks = everybody or limited or known.gathered or (stops and self.queue.pods)
        if not asks:
            return known
        runs = self.lives.running(self.ledger.holdings, now)
        return replace(known, running=runs, limited=bool(limited))

    def _leaving(self) -> int:
        """How many are on their way past their gates, but for those of which nobody knows."""
        return sum(each.stage is not Stage.UNKNOWN for each in self.departures.values())

    def next_patience(self, now: float) -> float | None:
        """Return when (seconds) somebody's patience will be over; None: never.

        That of who is next and waits, and that with gangs that lack members.
        """
        blocked, broken = self.memory.blocked.values(), self.memory.broken.values()
        ends = [since + p for since in blocked for p in self._patiences if p is not None]
        ends += (since + self._broken_after for since in broken)
        return min((end for end in ends if end > now), default=None)

    def adopt(self, plan: Plan, *, delayed: Collection[TenantName]) -> None:
        """Go on with the shares of a round. `delayed`: tenants who want more than it knew of."""
        self.sync()
        self.lags.adopt(plan, delayed=delayed, spent=self.budgets.spent(self.tree))
        self.plan, self.memory, self.rounds = plan, plan.memory, self.rounds + 1
        self._unfinished = plan.unfinished

    def _with_parents(self, tenants: Iterable[TenantName]) -> Iterable[TenantName]:
        for tenant in set(tenants):
            if tenant in self.tree:
                yield from self.tree.path(tenant)


def _backlog(kube: Kube) -> int:
    if kube.backlog < 1:
        raise InvalidInput(
            f"kube.backlog is {kube.backlog}; write 1 or more, or no pod is ever released"
        )
    return kube.backlog


def _mixer(packing: Packing) -> Mixer:
    if packing.remembered_requests < LEAST_REMEMBERED:
        raise InvalidInput(
            f"packing.remembered_requests is {packing.remembered_requests}; write "
            f"{LEAST_REMEMBERED} or more, so that kinds of requests that are rare aren't forgotten"
        )
    return Mixer(remembered=packing.remembered_requests, price_news=packing.prices_after)
