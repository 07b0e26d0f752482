"""What it would give to move running pods now, for those of some tenants that wait.

It is what rounds would decide, had an admin ordered that. PodDisruptionBudgets aren't known here.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.rounds import Round
from scheduler.core.cycle.run import run_cycle
from scheduler.core.cycle.stops.bundles import cost_of
from scheduler.core.cycle.stops.consolidate import may_move
from scheduler.core.ledger.snapshot import Snapshot
from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Hold, Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Running


@dataclass(frozen=True, slots=True)
class Gain:
    """A pod that would fit, on these devices (by index) of a node; `milli` GPU is what it counts.

    `moves` says who goes where for it, `lost` how many GPU-seconds each of them has run for.
    """

    pod: Pod
    node: NodeName
    devices: tuple[int, ...]
    milli: int
    moves: tuple[tuple[Running, Placement], ...]
    lost: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Defragmentation:
    """Who would fit, and who would wait on; `movable` of `running` pods may be moved at all."""

    gains: tuple[Gain, ...]
    waits: tuple[Hold, ...]
    movable: int
    running: int

    @property
    def moves(self) -> int:
        """How many pods would be moved."""
        return sum(len(gain.moves) for gain in self.gains)

    @property
    def milli(self) -> int:
        """Milli-GPU that would come into use."""
        return sum(gain.milli for gain in self.gains)


def defragment(
    snapshot: Snapshot,
    pending: Collection[Pod],
    now: float,
    profile: Profile,
    *,
    tenants: Collection[TenantName],
    most: int | None = None,
) -> Defragmentation:
    """Work it out for these tenants and all below them, with `most` moves in all (None: any).

    `now` in seconds since the epoch. For one pod as many are moved at most as in a round.
    """
    wanted = set(tenants)
    ordered = tuple(
        replace(each, defrag_until=now + 1.0 if each.name in wanted else 0.0, defrag_moves=None)
        for each in snapshot.tenants
    )
    snapshot = replace(snapshot, tenants=ordered)
    how = replace(
        profile,
        backlog=None,
        reclaim_after=None,
        consolidate_after=None,
        most_moves_a_pod=profile.most_moves,
        most_moves=len(snapshot.running) if most is None else most,
    )
    this = Round.begin(snapshot, (), now, profile)
    below = {name for name in this.tree.names if wanted & set(this.tree.path(name))}
    plan = run_cycle(snapshot, pending, now, how)
    gains = tuple(_gains(this, snapshot, plan))
    helped = {gain.pod.uid for gain in gains}
    return Defragmentation(
        gains=gains,
        waits=tuple(
            hold for hold in plan.holds if hold.pod.tenant in below and hold.pod.uid not in helped
        ),
        movable=sum(may_move(this, each) for each in snapshot.running if not each.ending),
        running=len(snapshot.running),
    )


def _gains(this: Round, snapshot: Snapshot, plan: Plan) -> Iterable[Gain]:
    """Those for whom the round moved somebody, in the order in which it chose them."""
    where = {each.pod.uid: each for each in snapshot.running}
    to = {move.pod.uid: move.place for move in plan.memory.moves}
    kept = {each.uid: each for each in plan.memory.reservations}
    moves = defaultdict[PodUID, list[tuple[Running, Placement]]](list)
    takers: dict[PodUID, Pod] = {}
    for evict in plan.evicts:
        if evict.taker is not None:
            takers[evict.taker.uid] = evict.taker
            moves[evict.taker.uid].append((where[evict.pod.uid], to[evict.pod.uid]))
    for uid, pod in takers.items():
        place, theirs = kept[uid], tuple(moves[uid])
        lost = tuple(cost_of(this.now, (running,))[0] for running, _ in theirs)
        yield Gain(pod, place.node, place.devices, this.counts(pod), theirs, lost)
