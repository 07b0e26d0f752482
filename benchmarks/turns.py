"""Turns in virtual time: who is served how much, how long the next one waits, what it costs.

Five workloads (scheduler/simulator/turns/workloads.py) under the rules of rules.py beside it: ours,
ours without reservations and reclaim, first come first served, whole shares as in KAI-Scheduler.
Prints a table in Markdown and ends by itself:
`python benchmarks/turns.py [--days 0.25] [--seeds 1] [--only NAME] [--rule NAME] [--plot FILE]`.
"""

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from scheduler.simulator.turns.groups import by_name, look
from scheduler.simulator.turns.measures import Measures
from scheduler.simulator.turns.rules import RULES, Rule
from scheduler.simulator.turns.workloads import DAY, WORKLOADS, Workload
from scheduler.simulator.turns.world import World

LENGTHS = {"mixed": 30}
"""Times as long as the others: there one job can be hours of a small tenant's due."""

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


def measure(workload: Workload, seed: int, rule: Rule) -> Row:
    """Play it once."""
    began = time.perf_counter()
    measures = World(workload, rule.profile, Random(seed), decide=rule.decide).run()
    gpus = sum(len(node.devices) for node in workload.nodes)
    name = f"{workload.name}, {seed}"
    return Row(name, rule.name, measures, gpus, time.perf_counter() - began)


def picture(rows: Sequence[Row], path: Path) -> None:
    """Draw service ÷ due: a panel for each workload and seed."""
    from scheduler.simulator.turns.plot import draw  # noqa: PLC0415 - needs matplotlib

    draw(
        {
            name: [
                (row.rule, look(row.measures, by_name(row.measures.tree.leaves)))
                for row in rows
                if row.name == name
            ]
            for name in dict.fromkeys(row.name for row in rows)
        },
        path,
    )


def main() -> None:
    """Print the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=0.25)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", choices=list(WORKLOADS))
    parser.add_argument("--rule", choices=list(RULES))
    parser.add_argument("--plot", type=Path, metavar="FILE")
    asked = parser.parse_args()
    print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}", flush=True)
    rows = []
    for name in [asked.only] if asked.only else WORKLOADS:
        for seed in range(1, asked.seeds + 1):
            for rule in [asked.rule] if asked.rule else RULES:
                days = asked.days * LENGTHS.get(name, 1)
                rows.append(measure(WORKLOADS[name](days * DAY), seed, RULES[rule]))
                print(f"| {' | '.join(rows[-1].cells())} |", flush=True)
    if asked.plot:
        picture(rows, asked.plot)


if __name__ == "__main__":
    main()
