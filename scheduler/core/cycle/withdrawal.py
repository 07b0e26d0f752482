"""What it would mean to take nodes away: whom it hits first, by the rules of a round.

The pods on them end and are made again; guarantees that rest on the nodes sink. Then a round
decides in which the patience of everybody who waits is over and nobody is spared for having started
just now: what it stops would be stopped first.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.fairness.guarantees import guaranteed
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.ledger.snapshot import Snapshot
from scheduler.core.model.gangs import Gathered
from scheduler.core.model.ids import NodeName, TenantName
from scheduler.core.model.plans import Evict
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Memory


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Who is hit by it.

    `ended` are the pods on the nodes; of them `placed` find another place at once. `guarantees` are
    those that would be others: before and after, in GPUs. `stopped` are pods elsewhere, in the
    order of the round.
    """

    ended: tuple[Pod, ...]
    placed: tuple[Pod, ...]
    guarantees: dict[TenantName, tuple[Fraction, Fraction]]
    stopped: tuple[Evict, ...]


def withdraw(
    ledger: Ledger,
    snapshot: Snapshot,
    *,
    pending: Iterable[Pod],
    names: Collection[NodeName],
    now: float,
    profile: Profile,
) -> Withdrawal:
    """Return whom it would hit to take these nodes away at `now` (seconds since the epoch).

    `snapshot` is one of the ledger, with everybody who runs. Neither of them changes.
    """
    left, ended = _without(ledger, names)
    tree = guaranteed(before := TenantTree(snapshot.tenants), left.brought)
    gone = {pod.uid for pod in ended}
    what_is_left = replace(
        snapshot,
        columns=left.columns,
        held=dict(left.held),
        tenants=tuple(tree.tenants.values()),
        eligibility=left.eligibility,
        running=tuple(each for each in snapshot.running if each.pod.uid not in gone),
        gathered=_gathered(left, snapshot),
        memory=Memory(),
    )
    # Whom nothing would make again doesn't come back.
    again = [replace(pod, created=now) for pod in ended if pod.owner]
    plan = run_cycle(what_is_left, [*pending, *again], now, _at_once(profile))
    admitted = {admit.pod.uid for admit in plan.admits}
    return Withdrawal(
        ended=ended,
        placed=tuple(pod for pod in ended if pod.uid in admitted),
        guarantees=_changes(before, tree),
        stopped=plan.evicts,
    )


def _at_once(profile: Profile) -> Profile:
    """The same to the end of all turns, and all patience; credit pays for as much as ever."""
    return replace(
        profile,
        backlog=None,
        reclaim_after=None if profile.reclaim_after is None else 0.0,
        min_runtime=0.0,
        credit_runtime=profile.undisturbed,
    )


def _without(ledger: Ledger, names: Collection[NodeName]) -> tuple[Ledger, tuple[Pod, ...]]:
    """Return a ledger without the nodes, and the pods that hold GPUs there."""
    left = ledger.rebuilt()
    for holding in ledger.holdings.values():
        # What is reserved takes as much as what is bound.
        left.bind(holding.pod, holding.placement)
    ended = list[Pod]()
    for holding in ledger.holdings.values():
        if holding.placement.node in names:
            left.release(holding.pod.uid)
            if holding.placement.slots:
                ended.append(holding.pod)
    for name in names:
        left.drop_node(name)
    return left, tuple(sorted(ended, key=lambda pod: (pod.tenant, pod.turn)))


def _gathered(left: Ledger, snapshot: Snapshot) -> dict[str, Gathered]:
    """Members of gangs that have a place still, with those that are through."""
    there = left.snapshot().gathered
    return dict(there) | {
        name: replace(there.get(name, Gathered()), finished=known.finished)
        for name, known in snapshot.gathered.items()
        if known.finished
    }


def _changes(before: TenantTree, after: TenantTree) -> dict[TenantName, tuple[Fraction, Fraction]]:
    pairs = {
        name: (tenant.guarantee, after.tenants[name].guarantee)
        for name, tenant in before.tenants.items()
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
