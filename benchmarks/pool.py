"""Ten owners pool their machines: what each gets of all of them, and what its own would give it.

The same jobs (scheduler/simulator/turns/pool.py) and the same rule: once on all machines, with what
each owner brought as its guarantee, and once for each owner on its own machine alone. Service is
GPU-seconds of work that isn't lost, by the end, and on average over all moments until then. A delay
is what a job was there for beyond its run. Prints a table in Markdown; ends with 1 if somebody has
less on average, or is behind at the end by more than its cards may be late:
`python benchmarks/pool.py [--days 3] [--seeds 1] [--first 1] [--patience 120] [--plot FILE]`.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from statistics import fmean

from scheduler.core.model.ids import TenantName
from scheduler.simulator.turns.pool import CARDS, OWNERS, Pool, pool
from scheduler.simulator.turns.rules import OURS
from scheduler.simulator.turns.workloads import DAY, HOUR, Workload
from scheduler.simulator.turns.world import World

HEAD = (
    *("seed", "jobs", "asked for, of its own", "service by the end ÷ alone: worst, mean, best"),
    *("furthest behind", "over the time: worst, mean, best"),
    *("delay alone → pooled: mean", "worst owner", "stopped", "lost", "s"),
)

PATIENCE = OURS.reclaim_after or 0.0
"""Seconds, as shipped. With least runtime so late an owner's cards are back at most, in a world
where whoever is stopped goes at once."""


@dataclass(frozen=True, slots=True)
class Owner:
    """How one fared: GPU-seconds and mean delays (seconds), in the pool and alone.

    `sooner`: service so far in the pool, by that alone, on average over all moments.
    """

    name: TenantName
    asked: float
    pooled: float
    alone: float
    delay: float
    delay_alone: float
    sooner: float

    @property
    def ratio(self) -> float:
        """Service in the pool, by that alone."""
        return self.pooled / self.alone


@dataclass(frozen=True, slots=True)
class Outcome:
    """One seed. `evictions` and `lost` (a part of all service) are of the pool."""

    seed: int
    jobs: int
    owners: tuple[Owner, ...]
    evictions: int
    lost: float
    took: float

    @property
    def behind(self) -> float:
        """GPU-seconds by which the one who is furthest behind is; 0 where nobody is."""
        return max(0.0, *(each.alone - each.pooled for each in self.owners))

    def cells(self) -> tuple[str, ...]:
        """Return what stands in the table."""
        ratios = [each.ratio for each in self.owners]
        sooner = [each.sooner for each in self.owners]
        asked = [each.asked for each in self.owners]
        worst = max(self.owners, key=lambda each: each.delay / max(each.delay_alone, 1.0))
        mean = (
            fmean(each.delay_alone for each in self.owners),
            fmean(each.delay for each in self.owners),
        )
        return (
            str(self.seed),
            f"{self.jobs:,}",
            f"{min(asked):.0%}–{max(asked):.0%}",
            f"{min(ratios):.4f}, {fmean(ratios):.3f}, {max(ratios):.3f}",
            f"{self.behind / HOUR:.2f} GPU-h",
            f"{min(sooner):.3f}, {fmean(sooner):.3f}, {max(sooner):.3f}",
            f"{mean[0] / HOUR:.1f} → {mean[1] / HOUR:.1f} h",
            f"{worst.delay_alone / HOUR:.1f} → {worst.delay / HOUR:.1f} h",
            f"{self.evictions:,}",
            f"{100 * self.lost:.1f} %",
            f"{self.took:.0f}",
        )


def played(workload: Workload, patience: float) -> World:
    """Play a workload to its end, with so many seconds of patience before pods are stopped."""
    world = World(workload, replace(OURS, reclaim_after=patience), Random(0))
    world.run()
    return world


def measure(days: float, seed: int, patience: float) -> Outcome:
    """Play one seed in the pool, and each owner alone."""
    began, drawn = time.perf_counter(), pool(days * DAY, seed)
    together = played(drawn.together(), patience)
    owners = tuple(_owner(drawn, together, name, patience) for name in OWNERS)
    return Outcome(
        seed=seed,
        jobs=len(drawn.arrivals),
        owners=owners,
        evictions=together.measures.evictions,
        lost=together.measures.evicted_part,
        took=time.perf_counter() - began,
    )


def _owner(drawn: Pool, together: World, name: TenantName, patience: float) -> Owner:
    alone = played(drawn.alone(name), patience)
    return Owner(
        name=name,
        asked=drawn.asked(name),
        pooled=together.measures.useful(name),
        alone=alone.measures.useful(name),
        delay=fmean(together.delays(name)),
        delay_alone=fmean(alone.delays(name)),
        sooner=together.measures.area[name] / alone.measures.area[name],
    )


def picture(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw service and delays of every owner."""
    from scheduler.simulator.turns.poolplot import draw  # noqa: PLC0415 - needs matplotlib

    draw(
        [[(each.ratio, each.delay_alone, each.delay) for each in one.owners] for one in outcomes],
        path,
    )


def main() -> int:
    """Print the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=1, metavar="SEED")
    parser.add_argument("--patience", type=float, default=PATIENCE, metavar="SECONDS")
    parser.add_argument("--plot", type=Path, metavar="FILE")
    asked = parser.parse_args()
    print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}", flush=True)
    outcomes = []
    for seed in range(asked.first, asked.first + asked.seeds):
        outcomes.append(measure(asked.days, seed, asked.patience))
        print(f"| {' | '.join(outcomes[-1].cells())} |", flush=True)
    if asked.plot:
        picture(outcomes, asked.plot)
    late = CARDS * (asked.patience + OURS.min_runtime)
    less = any(each.sooner < 1 for one in outcomes for each in one.owners)
    return int(less or any(each.behind > late for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
