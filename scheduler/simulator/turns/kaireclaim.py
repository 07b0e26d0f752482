"""Reclaim as KAI-Scheduler does it (commit d5bc503a): inside the rounded share, newest first.

Only a queue that stays inside its share takes. Its victims come from the queue that is worst
placed, and is above what it is entitled to before it loses the pod (or above its guarantee, if the
taker stays inside its own); in that queue the newest goes first. One is added after another until
the request fits a node; those who needn't go stay. No minimum runtime, as KAI has none by default.
"""

from collections.abc import Iterator
from fractions import Fraction

from scheduler.core.cycle.rounds import Round
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import TenantName
from scheduler.core.model.plans import Evict
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Running
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.simulator.turns.baseline import Places
from scheduler.simulator.turns.kaiorder import Order


class Reclaim:
    """Stops pods for others, in the trial of the round at once."""

    def __init__(self, this: Round, order: Order, places: Places) -> None:
        self._this, self._order, self._places = this, order, places
        self._running: dict[TenantName, list[Running]] = {}
        # The newest stand at the end, where they are taken from.
        for each in sorted(this.snapshot.running, key=lambda each: (each.since, each.pod.uid)):
            if each.pod.tenant in this.tree and each.pod.preemptible:
                self._running.setdefault(each.pod.tenant, []).append(each)

    def serve(self, pod: Pod) -> None:
        """Stop whom it takes for the pod, and let it start there; nobody if that isn't enough."""
        leaf, milli = pod.tenant, self._this.counts(pod)
        if self._order.held[leaf] + Fraction(milli, MILLI) > self._order.shares[leaf]:
            return
        order, trial, taken = self._order, self._places.trial, list[Running]()
        with trial.attempt() as attempt:
            for each in self._victims(pod, milli):
                trial.give(each.placement, each.pod.request)
                order.took(each.pod.tenant, -each.placement.milli)
                taken.append(each)
                if self._places.fits(pod):
                    attempt.keep()
                    break
        if not attempt.kept:
            self._give_back(taken)
            return
        for each in self._needless(pod, taken):
            taken.remove(each)
            self._give_back([each])
        for each in taken:
            self._this.evicts.append(Evict(each.pod, pod, Verdict(Reason.RECLAIMED, f"for {leaf}")))
        self._places.start(pod)
        order.took(leaf, milli)

    def _victims(self, taker: Pod, milli: int) -> Iterator[Running]:
        """Yield whom to stop next, as long as there is somebody; each is out of the list then."""
        inside = all(
            self._order.held[name] + Fraction(milli, MILLI)
            <= self._this.tree.tenants[name].guarantee
            for name in self._this.tree.path(taker.tenant)
        )
        while True:
            givers = [leaf for leaf in self._running if self._gives(leaf, taker.tenant, inside)]
            if not givers:
                return
            worst = max(givers, key=lambda leaf: self._order.key(leaf, 0))
            each = self._running[worst].pop()
            if not self._running[worst]:
                del self._running[worst]
            yield each

    def _gives(self, leaf: TenantName, taker: TenantName, inside: bool) -> bool:
        """Whether its queue is above its due, at the level where the two paths part."""
        tree, mine = self._this.tree, set(self._this.tree.path(taker))
        apart = next((name for name in tree.path(leaf) if name not in mine), None)
        if apart is None:
            return False
        held = self._order.held[apart]
        return held > self._order.entitled[apart] or (
            inside and held > tree.tenants[apart].guarantee
        )

    def _needless(self, pod: Pod, taken: list[Running]) -> list[Running]:
        """Put back whoever has its old place still when the pod has one; the oldest first."""
        trial, spared = self._places.trial, list[Running]()
        for each in sorted(taken[:-1], key=lambda each: (each.since, each.pod.uid)):
            trial.take(each.placement, each.pod.request)
            if self._places.fits(pod):
                spared.append(each)
            else:
                trial.give(each.placement, each.pod.request)
        return spared

    def _give_back(self, taken: list[Running]) -> None:
        for each in reversed(taken):
            self._order.took(each.pod.tenant, each.placement.milli)
            self._running.setdefault(each.pod.tenant, []).append(each)
