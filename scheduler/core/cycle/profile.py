"""How a round decides: everything that isn't the state of the cluster."""

from dataclasses import dataclass, field

from scheduler.core.fairness.order import HORIZON_SECONDS
from scheduler.core.packing.mix import Mix


@dataclass(frozen=True, slots=True)
class Profile:
    """Choices for a round.

    `policy` names a packing policy, `mix` is what people ask for. `horizon` (seconds) is how far
    ahead a GPU handed out counts. `lookahead` is how many places are looked for in vain for a
    tenant before it is set aside; a request known to fit nowhere is passed over without looking.
    With the head of the queue alone, mixed workloads idled 22–27 % in trials, not 6–10 %.
    Once `backlog` pods are on their way out of the line, a round leaves the others to the next one
    (None: never).

    Seconds: a request that has been its tenant's next for `reserve_after` in vain has devices drain
    for it, after `reclaim_after` running pods are stopped for it (None: never); none is stopped
    that has run for less than `min_runtime`, nor one for less than `turn_runtime` whose tenant
    would be left with a smaller part of its due than the other one has: it is in its turn.
    After `consolidate_after` running pods are moved for it (None: never), `most_moves` a round,
    and `most_moves_a_pod` for one request (None: as many).
    A gang that lacks members for `broken_after` is stopped.
    `topology` names labels of nodes, from wide to narrow: gangs sit as near as they can.
    `credit_runtime`: for so long credit has to last (None: `min_runtime`). `ending_seconds` is what
    it takes at most from the decision to stop a pod until it is gone.
    """

    policy: str = "bid-price"
    mix: Mix = field(default_factory=lambda: Mix(()))
    horizon: float = HORIZON_SECONDS
    lookahead: int = 20
    backlog: int | None = None
    reserve_after: float | None = None
    reclaim_after: float | None = None
    min_runtime: float = 60.0
    turn_runtime: float = 3600.0
    topology: tuple[str, ...] = ()
    credit_runtime: float | None = None
    ending_seconds: float = 0.0
    broken_after: float = 300.0
    consolidate_after: float | None = None
    most_moves: int = 16
    most_moves_a_pod: int | None = None

    @property
    def undisturbed(self) -> float:
        """For how long pods run undisturbed, as credit pays for it."""
        return self.min_runtime if self.credit_runtime is None else self.credit_runtime
