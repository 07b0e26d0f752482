"""The outcome of one round: what to do, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from scheduler.core.model.ids import NodeName, TenantName
from scheduler.core.model.placements import Placement
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Memory
from scheduler.core.model.verdicts import Reason, Verdict


@dataclass(frozen=True, slots=True)
class Admit:
    """Let the pod go to its planned place.

    `alternatives` are other nodes that could take it, the best first: a pin can't be taken back.
    """

    pod: Pod
    placement: Placement
    alternatives: tuple[NodeName, ...] = ()

    @property
    def nodes(self) -> tuple[NodeName, ...]:
        """The nodes to pin it to, the planned one first."""
        return (self.placement.node, *self.alternatives)


@dataclass(frozen=True, slots=True)
class Grant:
    """A place that is kept for a pod without a UID yet: under which token, and nodes to pin it to.

    The planned one comes first.
    """

    token: str
    nodes: tuple[NodeName, ...]


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep the pod waiting, and say why."""

    pod: Pod
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Evict:
    """Stop a running pod, so that `taker` can have its place; None: its time is over."""

    pod: Pod
    taker: Pod | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Lack:
    """Work that no present node can take, though it is due or would be: `milli` GPU in all.

    It takes nodes that have so many `cards`, of one of the `models` (of any where that is empty).
    NoRoom: such nodes exist and are full. NeverFits: there is none.
    """

    reason: Reason
    models: tuple[str, ...]
    cards: int
    milli: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Decisions of one round, in the order in which they were taken.

    `shares` is each tenant's fair share in GPUs, `demand` what it could use (GPUs): held plus
    pending requests that count. Inner tenants carry the sums of theirs. `lacks` is what an
    autoscaler should add, `memory` what the next round should know.
    """

    admits: tuple[Admit, ...] = ()
    holds: tuple[Hold, ...] = ()
    shares: Mapping[TenantName, Fraction] = field(default_factory=dict)
    demand: Mapping[TenantName, Fraction] = field(default_factory=dict)
    lacks: tuple[Lack, ...] = ()
    evicts: tuple[Evict, ...] = ()
    memory: Memory = field(default_factory=Memory)

    @property
    def unfinished(self) -> bool:
        """Whether it leaves some to the next round that may have a place."""
        return any(hold.verdict.reason is Reason.IN_LINE for hold in self.holds)
