"""What the phases of one round work on."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from scheduler.core.cycle.capacity import Capacity
from scheduler.core.cycle.gangs import Gangs, present
from scheduler.core.cycle.kinds import Kind, Kinds
from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.topology import Places
from scheduler.core.fairness.budgets import is_spent, last_in_line, without_guarantees
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.block import Ints
from scheduler.core.ledger.snapshot import Snapshot
from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.plans import Admit, Evict, Hold
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Move, Ordered, Reservation
from scheduler.core.model.verdicts import Reason, Verdict

if TYPE_CHECKING:
    from scheduler.core.cycle.allocation import Allocation


@dataclass(slots=True)
class Round:
    """The state of a round: inputs, and what the phases have decided so far.

    `queues` holds, per leaf, the pods that may start, in the order of their turns; of those that
    start together the first. `blocked`, `reservations`, `short`, `given_up`, `whole`, `broken`,
    `moves` and `ordered` are what the next round should know. `lowest` is the least priority of a
    leaf's pods that may be stopped, `stoppable` their priorities, numbers of devices and milli-GPU
    on each. `left` are the leaves whose turns go on in the next round.
    `tree` is the one in which GPUs are shared, `caps` the one in which limits hold: the same, but
    for those over budget.
    """

    snapshot: Snapshot
    pending: tuple[Pod, ...]
    now: float
    profile: Profile
    tree: TenantTree
    caps: TenantTree
    capacity: Capacity
    kinds: Kinds
    gangs: Gangs
    places: Places
    queues: dict[TenantName, deque[Pod]] = field(default_factory=dict)
    demand: dict[TenantName, Fraction] = field(default_factory=dict)
    shares: dict[TenantName, Fraction] = field(default_factory=dict)
    admits: list[Admit] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    evicts: list[Evict] = field(default_factory=list)
    blocked: dict[PodUID, float] = field(default_factory=dict)
    reservations: dict[PodUID, Reservation] = field(default_factory=dict)
    short: dict[TenantName, tuple[float, ...]] = field(default_factory=dict)
    given_up: dict[PodUID, frozenset[NodeName]] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    broken: dict[str, float] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    ordered: dict[TenantName, Ordered] = field(default_factory=dict)
    work: "Allocation | None" = None
    lowest: dict[TenantName, int] = field(default_factory=dict)
    stoppable: dict[TenantName, set[tuple[int, int, int]]] = field(default_factory=dict)
    left: frozenset[TenantName] = frozenset()

    @classmethod
    def begin(
        cls, snapshot: Snapshot, pending: Iterable[Pod], now: float, profile: Profile
    ) -> "Round":
        """Return a round in which nothing is decided yet; `now` in seconds since the epoch."""
        capacity = Capacity(snapshot.columns, snapshot.eligibility)
        kinds, tree = Kinds(capacity), TenantTree(snapshot.tenants)
        places = Places(profile.topology, snapshot.eligibility, kinds)
        return cls(
            snapshot=snapshot,
            pending=tuple(pending),
            now=now,
            profile=profile,
            tree=last_in_line(tree, snapshot.spent),
            caps=without_guarantees(tree, snapshot.spent),
            capacity=capacity,
            kinds=kinds,
            gangs=Gangs(kinds, places, snapshot.columns, present(snapshot)),
            places=places,
        )

    def hold(self, pod: Pod, reason: Reason, detail: str = "") -> None:
        """Keep a pod waiting."""
        self.holds.append(Hold(pod, Verdict(reason, detail)))

    def max_runtime(self, pod: Pod) -> float | None:
        """Seconds that the pod runs at most, by its own word or its tenant's; None: no end."""
        said = (pod.max_runtime, self.tree.longest.get(pod.tenant))
        return min((each for each in said if each is not None), default=None)

    def is_spent(self, name: TenantName) -> bool:
        """Whether the tenant, or one above it, is over budget."""
        return is_spent(self.caps, self.snapshot.spent, name)

    def counts(self, pod: Pod) -> int:
        """Milli-GPU that the waiting pod counts, with those that start together with it.

        0 for one that could never be placed.
        """
        return self.kind(pod).milli or 0

    def in_line(self) -> Iterator[tuple[Pod, Pod]]:
        """Yield who waits for its turn, each with who stands in line for it: itself, mostly."""
        for queue in self.queues.values():
            for first in queue:
                for pod in self.gangs.members(first):
                    yield pod, first

    def line_up_behind(self, first: Pod) -> None:
        """Let those of a gang stand in line that join it once its first ones have their places."""
        later = self.gangs.behind.pop(first.uid, ())
        if later:
            queue = (*self.queues[first.tenant], *later)
            self.queues[first.tenant] = deque(sorted(queue, key=lambda pod: pod.turn))

    def allowed(self, pod: Pod) -> Ints | None:
        """Return the rows [K] that kube-scheduler would take the pod to now; None for all."""
        return self.snapshot.eligibility.now(self.kinds.constraints(pod))

    def kind(self, pod: Pod) -> Kind:
        """What the waiting pod asks for, with those that start together with it."""
        return self.gangs.kind(pod)
