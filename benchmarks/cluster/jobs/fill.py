"""Fill: from the first create until a watch sees the last wanted pod bound.

On two planes in the same run, in parts by turns: the speed of a shared machine changes from minute
to minute, by a third and more, and so it changes for both.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.cluster.jobs.grounds import Ground
from benchmarks.cluster.jobs.load import Ask
from benchmarks.cluster.jobs.writes import Writes, writes
from benchmarks.cluster.meter import Bound, cpu, peak_mib

LIMIT_SECONDS = 900.0
LOGGED_SECONDS = 2.0
"""What happened is in the audit log by then."""


@dataclass(frozen=True, slots=True)
class Fill:
    """`created`: seconds until all Jobs were made, `parts`: until its pods were bound, of each.

    `cpu` is CPU seconds by process in that time, `serve_mib` the most that serve ever held.
    """

    pods: int
    created: float
    parts: tuple[float, ...]
    cpu: Mapping[str, float]
    writes: Writes
    serve_mib: float | None

    @property
    def seconds(self) -> float:
        """All parts together."""
        return sum(self.parts)


@dataclass
class Filling:
    """One side's fill under way: Jobs of the large tenant, which all fit, made part by part."""

    ground: Ground
    ask: Ask
    pods: int = 0
    created: float = 0.0
    parts: list[float] = field(default_factory=list)
    cpu: Counter[str] = field(default_factory=Counter)

    def part(self, jobs: int) -> None:
        """Make so many more, and wait until their pods are bound."""
        ground, processes = self.ground, self.ground.processes
        names = [f"fill-{number}" for number in range(self.pods, self.pods + jobs)]
        with Bound(ground.plane, jobs, processes, ground.large.pods) as bound:
            before, began = cpu(processes), time.monotonic()
            ground.large.submit(names, self.ask)
            self.created += time.monotonic() - began
            bound.wait(LIMIT_SECONDS)
        self.pods += jobs
        self.parts.append(bound.last - began)
        self.cpu.update({name: bound.cpu_last[name] - before[name] for name in before})

    def found(self) -> Fill:
        """Return what was measured, with all writes since the mark in the audit log."""
        serve = self.ground.processes.get("serve")
        return Fill(
            self.pods,
            self.created,
            tuple(self.parts),
            self.cpu,
            writes(self.ground.plane.audit),
            peak_mib(serve.pid) if serve else None,
        )


def fill(sides: Mapping[str, tuple[Ground, Ask]], jobs: int, parts: int) -> dict[str, Fill]:
    """Fill each side with so many Jobs, in so many parts by turns, each first in every other."""
    fillings = {name: Filling(*side) for name, side in sides.items()}
    for each in fillings.values():
        each.ground.plane.audit.mark()
    order = list(fillings.values())
    for number in range(parts):
        for each in order:
            each.part(jobs * (number + 1) // parts - jobs * number // parts)
        order.reverse()
    time.sleep(LOGGED_SECONDS)
    return {name: each.found() for name, each in fillings.items()}
