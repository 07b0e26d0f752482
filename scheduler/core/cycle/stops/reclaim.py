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

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import islice, product

from scheduler.core.cycle.allocation import Allocation, largest_first
from scheduler.core.cycle.kinds import Kind
from scheduler.core.cycle.rounds import Round
from scheduler.core.cycle.stops.balance import Balance
from scheduler.core.cycle.stops.bundles import Bundles, Cost, may_stop, those_who_run
from scheduler.core.cycle.stops.ranking import MOST_TRIED, Ranking
from scheduler.core.cycle.stops.victims import Offer, cheapest
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Evict
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Reservation, Running
from scheduler.core.model.tenants import tenant_part
from scheduler.core.model.verdicts import Reason, Verdict

WAYS = tuple(product((False, True), repeat=2))
"""Whether to go past what others are guaranteed, and past what is worth more to them."""

MOST_AT_ONCE = 256
"""So many requests get a place by this in one round at most: the next one is not far."""


MOST_DOMAINS = 8
"""In so many racks, say, room is looked for, for a gang that has to be in one."""


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
        since = this.snapshot.memory.short.get(leaf, ())
        if leaf not in this.left:
            since = since[:count]
        if count or since:
            this.short[leaf] = since + (this.now,) * (count - len(since))
    for leaf in this.left - work.tried.keys():
        # Its turns go on in the next round, with their patience.
        if leaf in this.snapshot.memory.short:
            this.short[leaf] = this.snapshot.memory.short[leaf]


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
    """Looks for whom to stop. `rankings`: by kind of request, where that costs least.

    `served` are those for whom somebody goes already.
    """

    work: Allocation
    bundles: Bundles
    rankings: dict[Kind, Ranking] = field(default_factory=dict)
    served: set[PodUID] = field(default_factory=set)

    @classmethod
    def of(cls, work: Allocation) -> "_Search":
        """Sort out who runs; whoever goes already is as good as gone."""
        this, running = work.this, list[Running]()
        going = set[tuple[NodeName, int]]()
        stopped = {each.pod.uid for each in this.evicts}
        moved = {move.pod.uid for move in this.moves}
        for each in those_who_run(work):
            leaf, node = each.pod.tenant, each.placement.node
            if each.ending or each.pod.uid in stopped:
                going.update((node, slot.index) for slot in each.placement.slots)
                if each.pod.uid not in moved:
                    work.took(each.pod, -each.placement.milli)
            else:
                running.append(each)
                if may_stop(this, each):
                    least_so_far = this.lowest.get(leaf, each.pod.priority)
                    this.lowest[leaf] = min(least_so_far, each.pod.priority)
                    milli = min((slot.milli for slot in each.placement.slots), default=0)
                    shape = each.pod.priority, len(each.placement.slots), milli
                    this.stoppable.setdefault(leaf, set()).add(shape)
        search = cls(work, Bundles(this.now, running, this.gangs.present, partial(may_stop, this)))
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
            kind, members = work.this.kind(pod), work.this.gangs.members(pod)
            if kind in vain or any(each.uid in self.served for each in members):
                continue
            if number and work.turns.held[pod.tenant] + work.this.counts(pod) > self._due(pod):
                break
            if any(each.uid in work.kept for each in members):
                # For these alone what is kept for them is free.
                self.rankings = {}
            with work.without(*(each.uid for each in members)):
                offers = self._offers(pod, members)
            if offers is None:
                vain.add(kind)
                continue
            self._take(pod, members, offers)
            count += len(members)
        return count

    def _due(self, pod: Pod) -> Fraction:
        return self.work.this.shares[pod.tenant] * MILLI

    def _count_those_served(self, going: set[tuple[NodeName, int]]) -> None:
        """Count what is being cleared as held by those for whom it is, all of a gang together."""
        this = self.work.this
        gangs = [each for each in this.gangs.together.values() if each[0].tenant in this.tree]
        of_gangs = {pod.uid for members in gangs for pod in members}
        alone = [(pod,) for pod in this.pending if pod.uid not in of_gangs]
        for members in (*alone, *gangs):
            kept = [pod for pod in members if pod.uid in this.reservations]
            if any(
                (this.reservations[pod.uid].node, device) in going
                for pod in kept
                for device in this.reservations[pod.uid].devices
            ):
                for pod in kept:
                    self.served.add(pod.uid)
                    self._charge(pod, this.kinds.of(pod).milli or 0)

    def _charge(self, pod: Pod, milli: int) -> None:
        self.work.took(pod, milli)

    def _offers(self, pod: Pod, members: Sequence[Pod]) -> list[Offer] | None:
        """Return whom to stop for each of those that start together; None: it isn't fair, or vain.

        For whom there is room nobody is.
        """
        work, balance = self.work, Balance(self.work, pod)
        if not balance.possible:
            return None
        if len(members) == 1:
            offer = self._best(pod, balance)
            return None if offer is None else [offer]
        possible = work.this.places.possible(members, work.trial.columns)
        for domain in islice(possible, MOST_DOMAINS):
            with work.this.kinds.within(members, domain):
                offers = self._for_all(members, Balance(work, pod))
            if offers is not None:
                return offers
        return None

    def _for_all(self, members: Sequence[Pod], balance: Balance) -> list[Offer] | None:
        """Serve one after another, each as if those before it had their places."""
        work, offers = self.work, dict[PodUID, Offer]()
        before, self.bundles, balance.needs = self.bundles, self.bundles.copy(), 0
        with work.trial.attempt():
            for pod in largest_first(members):
                balance.needs += work.this.kinds.of(pod).milli or 0
                offer = self._idle(pod) or self._best(pod, balance)
                if offer is None:
                    break
                for each in offer.victims:
                    work.trial.give(each.placement, each.pod.request)
                work.trial.take(offer.place, pod.request)
                self._leave(offer)
                balance.give(offer.victims)
                offers[pod.uid] = offer
        self.bundles, self.rankings = before, {}
        # What each takes was fair step by step; all of it has to be.
        balance.past_guarantees = True
        whole = len(offers) == len(members) and balance.has_givers and balance.allows(())
        found = [offers[pod.uid] for pod in members] if whole else []
        return work.in_order(members, found, _place) if whole else None

    def _idle(self, pod: Pod) -> Offer | None:
        """Return a place that is free, if there is one."""
        (place,) = self.work.places_for((pod,)) or (None,)
        return None if place is None else Offer((0.0, 0, 0.0, ""), (), place)

    def _best(self, pod: Pod, balance: Balance) -> Offer | None:
        among = self.work.this.allowed(pod)
        allowed = None if among is None else set(among.tolist())
        # What others are guaranteed, and what is worth more to them, goes only where nothing else
        # would do, however much is lost by that.
        ways = WAYS if balance.may_pass_guarantees else WAYS[:2]
        for past_guarantees, any_priority in ways:
            balance.past_guarantees, balance.any_priority = past_guarantees, any_priority
            found = self._cheapest(pod, balance, allowed)
            if found is not None:
                return found
        return None

    def _cheapest(
        self, pod: Pod, balance: Balance, allowed: Collection[int] | None
    ) -> Offer | None:
        work, columns, best, left = self.work, self.work.trial.columns, None, MOST_TRIED
        kind = work.this.kinds.of(pod)
        if kind not in self.rankings:
            self.rankings[kind] = Ranking(work, self.bundles, kind)
        for at_least, node in self.rankings[kind]:
            if best is not None and (Ranking.is_over(at_least, best.cost) or not left):
                break
            row = columns.row[node]
            if allowed is None or row in allowed:
                left -= best is not None
                offer = cheapest(work, pod, row, self.bundles.on[node], balance)
                best = min((each for each in (best, offer) if each), key=_cost, default=None)
        return best

    def _take(self, first: Pod, members: Sequence[Pod], offers: Sequence[Offer]) -> None:
        work = self.work
        for pod, offer in zip(members, offers, strict=True):
            for each in offer.victims:
                work.this.evicts.append(Evict(each.pod, first, _verdict(each.pod, first)))
                work.took(each.pod, -each.placement.milli)
                work.trial.give(each.placement, each.pod.request)
            self._charge(pod, offer.place.milli)
            work.free(pod.uid)
            # For whoever comes next in this round it is as if all that had happened.
            work.trial.take(offer.place, pod.request)
            node, devices = offer.place.node, tuple(slot.index for slot in offer.place.slots)
            work.this.reservations[pod.uid] = Reservation(pod.uid, node, devices, work.this.now)
            self._leave(offer)

    def _leave(self, offer: Offer) -> None:
        """Who is stopped for it is there no longer, and its place isn't free."""
        nodes = self.bundles.drop(offer.victims) | {offer.place.node}
        for ranking in self.rankings.values():
            ranking.update(self.bundles, nodes)


def _place(offer: Offer) -> Placement:
    return offer.place


def _cost(offer: Offer) -> Cost:
    return offer.cost


def _verdict(victim: Pod, taker: Pod) -> Verdict:
    if victim.tenant == taker.tenant:
        return Verdict(Reason.PREEMPTED, f"for {taker.key}")
    tenant = tenant_part(taker.tenant)
    # Who the users of a tenant are is nothing to others.
    beside = tenant_part(victim.tenant) == tenant
    return Verdict(Reason.RECLAIMED, f"for {taker.tenant if beside else tenant}")
