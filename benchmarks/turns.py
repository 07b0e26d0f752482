"""Turns in virtual time: who is served how much, how long the next one waits, what it costs.

Four workloads (scheduler/simulator/turns/workloads.py) under three rules, which differ in what is
done for a request that waits: nothing, GPUs kept free as they drain, and running pods stopped too.
Prints a table in Markdown and ends by itself:
`python benchmarks/turns.py [--days 1] [--seeds 1] [--only mixed]`.
"""

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from scheduler.core.cycle.profile import Profile
from scheduler.simulator.turns.measures import Measures
from scheduler.simulator.turns.workloads import DAY, WORKLOADS, Workload
from scheduler.simulator.turns.world import World

PLAIN = Profile(policy="best-fit", min_runtime=120.0)
RULES = {
    "turns": PLAIN,
    "… and reservations after 12 min": replace(PLAIN, reserve_after=720.0),
    "… and reclaim after 5 min": replace(PLAIN, reserve_after=720.0, reclaim_after=300.0),
}
HEAD = (
    "workload, seed",
    "rule",
    "first tenant: service ÷ due",
    "others: least–most",
    "worst wait of a next one: first, others (s)",
    "idle",
    "work lost",
    "stopped",
    "s",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One run."""

    name: str
    rule: str
    measures: Measures
    gpus: int
    took: float

    def cells(self) -> Iterator[str]:
        """Yield what stands in the table."""
        first, *others = self.measures.tree.leaves
        served = [self.measures.served(leaf) for leaf in others]
        known = [each for each in served if not math.isnan(each)]
        worst = self.measures.worst
        yield self.name
        yield self.rule
        yield f"{self.measures.served(first):.3f}"
        yield f"{min(known):.3f}–{max(known):.3f}"
        yield f"{worst.get(first, 0):.0f}, {max(worst.get(leaf, 0.0) for leaf in others):.0f}"
        yield f"{100 * self.measures.idle(self.gpus):.1f} %"
        yield f"{100 * self.measures.evicted_part:.2f} %"
        yield str(self.measures.evictions)
        yield f"{self.took:.0f}"


def measure(workload: Workload, seed: int, rule: str) -> Row:
    """Play it once."""
    began = time.perf_counter()
    measures = World(workload, RULES[rule], Random(seed)).run()
    gpus = sum(len(node.devices) for node in workload.nodes)
    name = f"{workload.name}, {seed}"
    return Row(name, rule, measures, gpus, time.perf_counter() - began)


def main() -> None:
    """Print the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=0.25)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", choices=list(WORKLOADS))
    asked = parser.parse_args()
    print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}", flush=True)
    for name in [asked.only] if asked.only else WORKLOADS:
        for seed in range(1, asked.seeds + 1):
            for rule in RULES:
                row = measure(WORKLOADS[name](asked.days * DAY), seed, rule)
                print(f"| {' | '.join(row.cells())} |", flush=True)


if __name__ == "__main__":
    main()
