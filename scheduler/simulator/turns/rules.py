"""Rules that can be compared in one world: who gets a free GPU next, and whether anybody stops."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.ledger.snapshot import Snapshot
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.simulator.turns.firstcome import first_come
from scheduler.simulator.turns.kailike import kai_like

Decide = Callable[[Snapshot, Iterable[Pod], float, Profile], Plan]
"""Decides about the pods that wait at a time (seconds); the shares of its plan are the exact ones,
so that service is held against the same due whatever the rule."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How to decide, with which choices, and what the rule is called."""

    name: str
    profile: Profile
    decide: Decide = run_cycle


OURS = Profile(policy="best-fit", reserve_after=900.0, reclaim_after=120.0, min_runtime=120.0)
PLAIN = replace(OURS, reserve_after=None, reclaim_after=None)

RULES = {
    rule.name: rule
    for rule in (
        Rule("equipoise", OURS),
        Rule("turns alone", PLAIN),
        Rule("first come", PLAIN, first_come),
        Rule("kai-like", PLAIN, kai_like),
    )
}
"""Turns by lag with reservations and reclaim, without either, and two rules of others."""
