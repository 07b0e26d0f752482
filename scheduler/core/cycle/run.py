"""One round of decisions. The live controller, the embedded cluster and scenarios all call this."""

from collections.abc import Callable, Iterable

from scheduler.core.cycle.admit import admit
from scheduler.core.cycle.allocate import allocate
from scheduler.core.cycle.lacks import lacks
from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.rounds import Round
from scheduler.core.cycle.stops.broken import broken
from scheduler.core.cycle.stops.consolidate import consolidate
from scheduler.core.cycle.stops.overdue import overdue
from scheduler.core.cycle.stops.reclaim import reclaim
from scheduler.core.ledger.snapshot import Snapshot
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Memory

Phase = Callable[[Round], None]

PHASES: dict[str, Phase] = {
    "overdue": overdue,  # whose time is over
    "admit": admit,  # who counts, and what everybody is due
    "allocate": allocate,  # turn by turn onto what is free; stops nobody
    "consolidate": consolidate,  # moves who runs, so that more fits; nobody loses its place
    "reclaim": reclaim,  # for who is owed, from who holds more than its due
    "broken": broken,  # what is left of gangs that lack members
}
"""In order, the least disruptive first."""

Timing = Callable[[str, Callable[[], None]], None]
"""Runs a phase, so that a caller with a clock can time it."""


def _untimed(name: str, phase: Callable[[], None]) -> None:
    phase()


def run_cycle(
    snapshot: Snapshot,
    pending: Iterable[Pod],
    now: float,
    profile: Profile,
    *,
    timing: Timing = _untimed,
) -> Plan:
    """Decide about every pending pod: admit it to a place, or hold it and say why.

    `now` in seconds since the epoch; lags in the snapshot are as of `now`. Pure: the same
    arguments give the same plan, whatever the order of `pending`.
    """
    this = Round.begin(snapshot, pending, now, profile)
    for name, phase in PHASES.items():
        timing(name, lambda phase=phase: phase(this))  # type: ignore[misc]
    missing = lacks(this)
    # They know each other: the copy of the cluster would stay until the collector comes by.
    this.work = None
    return Plan(
        admits=tuple(this.admits),
        holds=tuple(this.holds),
        shares=this.shares,
        demand=this.demand,
        lacks=missing,
        evicts=tuple(this.evicts),
        memory=Memory(
            blocked=this.blocked,
            reservations=tuple(this.reservations.values()),
            short=this.short,
            given_up=this.given_up,
            whole=frozenset(this.whole),
            broken=this.broken,
            moves=tuple(this.moves),
            ordered=this.ordered,
        ),
    )
