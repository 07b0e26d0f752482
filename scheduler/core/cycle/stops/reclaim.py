"""Reclaim: stop running pods for a request that has waited for a while, where that is fairer.

Who holds how much is judged as it would be afterwards, at every level of the tree:

- towards shares: the taker is below its fair share s, and Σ (a − s)² ÷ s over all tenants gets
  smaller, a being what each holds; so none is the reverse of the one before;
- by credit, for shares smaller than a job: the taker is owed what it would hold beyond its share,
  for as long as pods run undisturbed; from who is owed nothing and holds more than its share;
- inside a tenant: a pod of higher priority in the place of those of lower priority.

Never below a guarantee, unless the taker stays inside its own; never for more than limits allow.
Of all nodes the one is taken where that costs least (`victims`). The devices are reserved for the
request until those pods are gone. Those behind the first request of a tenant are served with it as
far as they fit into its share, and as its tenant has lacked room for so many for as long.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.cycle.kinds import Kind
from scheduler.core.cycle.rounds import Round
from scheduler.core.cycle.stops.balance import Balance
from scheduler.core.cycle.stops.victims import Cost, Offer, cheapest, least
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.plans import Evict
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Reservation, Running
from scheduler.core.model.verdicts import Reason, Verdict

MOST_AT_ONCE = 256
"""So many requests get a place by this in one round at most: the next one is not far."""


def reclaim(this: Round) -> None:
    """Choose whom to stop, for those whose patience is over; who is owed most comes first."""
    after, work = this.profile.reclaim_after, this.work
    if after is None or work is None:
        return
    _note_shortage(work)
    late = _late(work, after)
    if not late or not this.snapshot.running:
        return
    search, left = _Search.of(work), MOST_AT_ONCE
    for pods in late:
        left -= search.serve(pods, left)


def _note_shortage(work: Allocation) -> None:
    """Note for how many behind the first of a leaf there is no room, though they are due it.

    One that ends makes it one fewer, whoever starts then: the last one's patience is forgotten.
    """
    this = work.this
    for leaf, pods in work.tried.items():
        due, would_hold = this.shares[leaf] * MILLI, work.turns.held[leaf] + this.counts(pods[0])
        count = 0
        for pod in pods[1:MOST_AT_ONCE]:
            would_hold += this.counts(pod)
            if would_hold > due:
                break
            count += 1
        since = this.snapshot.memory.short.get(leaf, ())[:count]
        if count:
            this.short[leaf] = since + (this.now,) * (count - len(since))


def _late(work: Allocation, seconds: float) -> list[Sequence[Pod]]:
    """Those whose first has been next, in vain, for so long, with those behind them."""
    this = work.this
    late = [
        [pod, *(_followers(work, pod, seconds))]
        for pods in (*work.tried.values(), *work.limited.values())
        if this.now - this.blocked[(pod := pods[0]).uid] >= seconds
    ]

    def place(pods: Sequence[Pod]) -> tuple[float, tuple[int, float, str]]:
        return -(work.turns.owed_seconds(pods[0].tenant) or 0.0), pods[0].turn

    return sorted(late, key=place)


def _followers(work: Allocation, first: Pod, seconds: float) -> Sequence[Pod]:
    """Those behind the first one whose tenant has lacked room for them for so long, too."""
    pods = work.tried.get(first.tenant, [first])
    if pods[0] is not first:
        return ()
    short = work.this.short.get(first.tenant, ())
    return pods[1 : 1 + sum(1 for since in short if work.this.now - since >= seconds)]


@dataclass(slots=True)
class _Search:
    """Looks for whom to stop. `nodes`: where somebody may be, and the least that it would cost.

    `served` are those for whom somebody goes already.
    """

    work: Allocation
    running: dict[NodeName, list[Running]]
    nodes: list[tuple[Cost, NodeName]]
    served: set[PodUID] = field(default_factory=set)

    @classmethod
    def of(cls, work: Allocation) -> "_Search":
        """Sort out who runs; whoever goes already is as good as gone."""
        this, running = work.this, defaultdict[NodeName, list[Running]](list)
        going = set[tuple[NodeName, int]]()
        stopped = {each.pod.uid for each in this.evicts}
        for known in this.snapshot.running:
            each = work.located(known)
            if each is None or each.pod.tenant not in this.tree:
                continue
            leaf, node = each.pod.tenant, each.placement.node
            if each.ending or each.pod.uid in stopped:
                going.update((node, slot.index) for slot in each.placement.slots)
                work.turns.took(leaf, -each.placement.milli)
            elif each.pod.preemptible and this.now - each.since >= this.profile.min_runtime:
                running[node].append(each)
                this.lowest[leaf] = min(this.lowest.get(leaf, each.pod.priority), each.pod.priority)
        nodes = [(least(this.now, pods), at) for at, pods in running.items()]
        search = cls(work, running, sorted(nodes))
        search._count_those_served(going)
        return search

    def serve(self, pods: Sequence[Pod], most: int) -> int:
        """Stop others for the first, and as far as its tenant's share goes for those behind it.

        Return for how many somebody is stopped.
        """
        work, count, vain = self.work, 0, set[Kind]()
        for number, pod in enumerate(pods):
            if count >= most:
                break
            kind = work.this.kinds.of(pod)
            if pod.uid in self.served or kind in vain:
                continue
            if number and work.turns.held[pod.tenant] + work.this.counts(pod) > self._due(pod):
                break
            with work.without(pod.uid):
                offer = self._best(pod)
            if offer is None:
                vain.add(kind)
                continue
            self._take(pod, offer)
            count += 1
        return count

    def _due(self, pod: Pod) -> Fraction:
        return self.work.this.shares[pod.tenant] * MILLI

    def _count_those_served(self, going: set[tuple[NodeName, int]]) -> None:
        """Count what is being cleared as held by those for whom it is."""
        this = self.work.this
        waiting = {pod.uid: pod for pod in this.pending}
        for uid, each in this.reservations.items():
            if any((each.node, device) in going for device in each.devices):
                self.served.add(uid)
                self._charge(waiting[uid], this.counts(waiting[uid]))

    def _charge(self, pod: Pod, milli: int) -> None:
        self.work.turns.took(pod.tenant, milli)
        if not pod.preemptible:
            self.work.this.tree.charge(self.work.fixed, pod.tenant, milli)

    def _best(self, pod: Pod) -> Offer | None:
        work = self.work
        among = work.this.snapshot.eligibility.now(pod.constraints)
        allowed = None if among is None else set(among.tolist())
        balance = Balance(work, pod)
        if not balance.possible:
            return None
        found = self._cheapest(pod, balance, allowed)
        if found is None:
            balance.any_priority = True
            found = self._cheapest(pod, balance, allowed)
        return found

    def _cheapest(
        self, pod: Pod, balance: Balance, allowed: Collection[int] | None
    ) -> Offer | None:
        work, columns, best = self.work, self.work.trial.columns, None
        for at_least, node in self.nodes:
            if best is not None and at_least > best.cost:
                break
            row = columns.row.get(node)
            if row is not None and (allowed is None or row in allowed):
                offer = cheapest(work, pod, row, self.running[node], balance)
                best = min((each for each in (best, offer) if each), key=_cost, default=None)
        return best

    def _take(self, pod: Pod, offer: Offer) -> None:
        work, node = self.work, offer.place.node
        for each in offer.victims:
            work.this.evicts.append(Evict(each.pod, pod, _verdict(each.pod, pod)))
            work.turns.took(each.pod.tenant, -each.placement.milli)
            work.trial.give(each.placement, each.pod.request)
        self._charge(pod, offer.place.milli)
        work.free(pod.uid)
        # For whoever comes next in this round it is as if all that had happened.
        work.trial.take(offer.place, pod.request)
        devices = tuple(slot.index for slot in offer.place.slots)
        work.this.reservations[pod.uid] = Reservation(pod.uid, node, devices, work.this.now)
        self._leave(node, {each.pod.uid for each in offer.victims})

    def _leave(self, node: NodeName, gone: Collection[PodUID]) -> None:
        now, pods = self.work.this.now, self.running[node]
        self.nodes.remove((least(now, pods), node))
        self.running[node] = left = [each for each in pods if each.pod.uid not in gone]
        if left:
            insort(self.nodes, (least(now, left), node))


def _cost(offer: Offer) -> Cost:
    return offer.cost


def _verdict(victim: Pod, taker: Pod) -> Verdict:
    if victim.tenant == taker.tenant:
        return Verdict(Reason.PREEMPTED, f"for {taker.key}")
    return Verdict(Reason.RECLAIMED, f"for {taker.tenant}")
