"""What the controller knows, and the changes that keep its parts in step."""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import replace

from scheduler.clock import Clock
from scheduler.controller.backoffs import Backoffs
from scheduler.controller.casualties import Casualties
from scheduler.controller.departures import Departure
from scheduler.controller.journeys import Journeys
from scheduler.controller.lagbook import LagBook
from scheduler.controller.mixer import Mixer
from scheduler.controller.queue import Queue
from scheduler.controller.strikes import Strikes
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.placements import Placement
from scheduler.core.model.pods import Pod
from scheduler.settings import Settings


class State:
    """A pod waits in `queue`, leaves in `departures`, travels in `journeys`, then it is bound.

    Whoever changes what is held does it here, so that lag is integrated up to that moment. `news`
    asks for a round. `next_since` (seconds): when a pod that left had become its tenant's next.
    """

    def __init__(self, ledger: Ledger, *, clock: Clock, settings: Settings) -> None:
        self.ledger, self.clock = ledger, clock
        self.tree = TenantTree(())
        self.lags = LagBook(settings.fairness, now=clock.now())
        self.queue, self.mixer = Queue(), Mixer()
        self.departures: dict[PodUID, Departure] = {}
        self.journeys, self.casualties = Journeys(), Casualties(ledger)
        self.backoffs, self.strikes = Backoffs(), Strikes()
        self.owners: dict[PodUID, str] = {}
        self.next_since: dict[PodUID, float] = {}
        self.news = asyncio.Event()

    def sync(self) -> None:
        """Bring lag up to now. Called on both sides of a change of what is held."""
        self.lags.advance(self.clock.now(), self.tree, self.ledger.held)

    def reserve(self, pod: Pod, placement: Placement) -> None:
        """Reserve without a time limit; raise LedgerError, and then nothing has changed."""
        self.sync()
        self.ledger.reserve(pod, placement)
        self.sync()

    def bind(self, pod: Pod, placement: Placement) -> None:
        """Book that a pod is bound."""
        self.sync()
        self.ledger.bind(pod, placement)
        self.sync()

    def free(self, *uids: PodUID) -> None:
        """Free what these pods hold."""
        self.sync()
        for uid in uids:
            self.ledger.release(uid)
        self.sync()

    def is_bound(self, uid: PodUID) -> bool:
        """Whether the ledger has the pod as bound."""
        holding = self.ledger.holdings.get(uid)
        return holding is not None and holding.bound

    def waits(self, uid: PodUID) -> bool:
        """Whether the pod waits for its release, or for the outcome of that."""
        return uid in self.queue.pods or uid in self.departures

    def line_up(self, pod: Pod) -> None:
        """Put a pod in line, or describe it anew; what is known already is no news."""
        if self.strikes.spares(pod.uid):
            pod = replace(pod, pinnable=False)
        if self.queue.pods.get(pod.uid) != pod:
            self.queue.put(pod)
            self.news.set()

    def line_up_again(self, leaving: Departure) -> None:
        """Put a pod back in line that was about to leave."""
        del self.departures[leaving.pod.uid]
        self.line_up(leaving.pod)

    def leave(self, uid: PodUID) -> None:
        """A pod waits no longer: its gate is off."""
        self.queue.drop(uid)
        self.departures.pop(uid, None)
        self.backoffs.forget(uid)
        self.owners.pop(uid, None)

    def forget(self, uid: PodUID) -> None:
        """A pod is bound or gone."""
        self.leave(uid)
        self.journeys.end(uid)
        self.strikes.forget(uid)

    def strike(self, owner: str) -> None:
        """Spare what the owner makes from now on, and what of it is in line."""
        self.strikes.strike(owner)
        alike = [uid for uid, other in self.owners.items() if other == owner]
        for uid in alike:
            if uid in self.queue.pods:
                self.strikes.spare(uid)
                self.line_up(self.queue.pods[uid])

    def pending(self, now: float) -> tuple[list[Pod], Collection[TenantName]]:
        """Return the pods to decide about, and the tenants of those that are let alone for now."""
        pods = list(self.queue.pods.values())
        if not self.backoffs:
            return pods, ()
        alone = [pod for pod in pods if self.backoffs.holds(pod.uid, now)]
        left = [pod for pod in pods if not self.backoffs.holds(pod.uid, now)]
        return left, set(self._with_parents(pod.tenant for pod in alone))

    def _with_parents(self, tenants: Iterable[TenantName]) -> Iterable[TenantName]:
        for tenant in set(tenants):
            if tenant in self.tree:
                yield from self.tree.path(tenant)
