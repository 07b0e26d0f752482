"""Turns by shares that are rounded to whole GPUs, as KAI-Scheduler rounds them.

After KAI-Scheduler at commit d5bc503a: its division (without usage history, k = 0, which is the
default), the order of its queues and its reclaim. Only GPUs count, which is all that these
workloads ask for. The rest of KAI isn't here: it packs otherwise, moves running pods together
(consolidation) and takes seconds to act, so this compares rules, it is no measurement of KAI.
"""

from collections.abc import Iterable, Iterator

from scheduler.core.cycle.kinds import Kind
from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.rounds import Round
from scheduler.core.ledger.snapshot import Snapshot
from scheduler.core.model.ids import TenantName
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.simulator.turns.baseline import Places, begin
from scheduler.simulator.turns.kaiorder import Order
from scheduler.simulator.turns.kaireclaim import Reclaim


def kai_like(snapshot: Snapshot, pending: Iterable[Pod], now: float, profile: Profile) -> Plan:
    """Give places to the queue that KAI's order puts first, one pod at a time; then reclaim.

    A pod that fits nowhere is passed over by those behind it, as in a round of ours.
    """
    this = begin(snapshot, pending, now, profile)
    order, places = Order(this), Places(this)
    tried = _allocate(this, order, places)
    _reclaim(this, order, places, tried)
    return places.plan()


def _allocate(this: Round, order: Order, places: Places) -> dict[TenantName, list[Pod]]:
    """Give out what is free; return who found no place, in the order of turns."""
    tried: dict[TenantName, list[Pod]] = {leaf: [] for leaf in this.queues}
    heads = {leaf: this.counts(queue[0]) for leaf, queue in this.queues.items()}
    while (leaf := order.next(heads)) is not None:
        queue = this.queues[leaf]
        pod = queue.popleft()
        if places.admit(pod):
            order.took(leaf, this.admits[-1].placement.milli)
        else:
            tried[leaf].append(pod)
        while queue and places.is_full(queue[0]):
            tried[leaf].append(queue.popleft())
        if queue and places.misses[leaf] < this.profile.lookahead:
            heads[leaf] = this.counts(queue[0])
        else:
            del heads[leaf]
    return tried


def _reclaim(this: Round, order: Order, places: Places, tried: dict[TenantName, list[Pod]]) -> None:
    """Stop others for whoever stays inside its share, in the order of the queues."""
    heads = {leaf: this.counts(pods[0]) for leaf, pods in tried.items() if pods}
    reclaim = Reclaim(this, order, places)
    while (leaf := order.next(heads)) is not None:
        for pod in _first_of_each(this, tried[leaf]):
            reclaim.serve(pod)
        del heads[leaf]


def _first_of_each(this: Round, pods: Iterable[Pod]) -> Iterator[Pod]:
    """Yield the first pod of each kind of request: those alike fare alike."""
    seen: set[Kind] = set()
    for pod in pods:
        if (kind := this.kinds.of(pod)) not in seen:
            seen.add(kind)
            yield pod
