"""Fill: from the first create until a watch sees the last wanted pod bound."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.cluster.jobs.grounds import Ground
from benchmarks.cluster.jobs.load import Ask
from benchmarks.cluster.jobs.writes import Writes, writes
from benchmarks.cluster.meter import Bound, cpu, peak_mib

LIMIT_SECONDS = 900.0
LOGGED_SECONDS = 2.0
"""What happened is in the audit log by then."""


@dataclass(frozen=True, slots=True)
class Fill:
    """`created`: when the last Job was made, `seconds`: when the last pod was bound.

    `cpu` is CPU seconds by process until all of them run, `serve_mib` the most that serve held.
    """

    pods: int
    created: float
    seconds: float
    cpu: Mapping[str, float]
    writes: Writes
    serve_mib: float | None


def fill(ground: Ground, jobs: int, ask: Ask) -> Fill:
    """Submit that many Jobs of the large tenant, which all fit."""
    names = [f"fill-{number}" for number in range(jobs)]
    plane, processes = ground.plane, ground.processes
    plane.audit.mark()
    with Bound(plane, jobs, processes, ground.large.pods) as bound:
        before, began = cpu(processes), time.monotonic()
        ground.large.submit(names, ask)
        created = time.monotonic() - began
        bound.wait(LIMIT_SECONDS)
    ground.running(ground.large)
    used = {name: seconds - before[name] for name, seconds in cpu(processes).items()}
    time.sleep(LOGGED_SECONDS)
    serve = processes.get("serve")
    peak = peak_mib(serve.pid) if serve else None
    return Fill(jobs, created, bound.last - began, used, writes(plane.audit), peak)
