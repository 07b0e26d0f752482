"""A gang by reclaim: from its creation until a watch sees its last pod bound."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.cluster.jobs import grounds
from benchmarks.cluster.jobs.fill import fill
from benchmarks.cluster.jobs.grounds import PATIENCE_SECONDS, Ground
from benchmarks.cluster.jobs.load import Ask, gpus
from benchmarks.cluster.jobs.writes import Writes, writes
from benchmarks.cluster.meter import Bound, cpu
from tests.support.controlplane.auditor import Auditor

GOAL, KAI = 20.0, 213.0
"""Seconds; KAI-Scheduler d5bc503a on a machine like this one took so long for 250 pods of 8 GPUs
on 500 nodes, with no patience."""

LIMIT_SECONDS = 400.0


@dataclass(frozen=True, slots=True)
class Gang:
    """Seconds beyond the patience until the first and the last of `members` are bound.

    `cpu`: seconds by process, `writes`: by who and what, both until the last is bound; `problems`:
    what an independent reader of all pods found.
    """

    members: int
    first: float
    last: float
    cpu: Mapping[str, float]
    writes: Writes
    problems: tuple[str, ...]


def measure(nodes: int) -> Gang:
    """Fill all nodes with pods of one GPU of the large tenant; then half of them go for a gang."""
    with grounds.equipoise(nodes) as here:
        fill(here, 8 * nodes, gpus("1"))
        return _by_reclaim(here, nodes // 2)


def show(nodes: int, found: Gang) -> None:
    """Print it as a table."""
    print(f"\n{nodes:,} nodes × 8, all GPUs held by {8 * nodes:,} pods of one tenant\n")
    print("| a gang of another one by reclaim | Equipoise | goal | KAI |")
    print("| --- | --- | --- | --- |")
    took = f"{found.last:.1f} s beyond the patience, the first after {found.first:.1f} s"
    print(f"| {found.members} pods of 8 GPUs, all bound | {took} | {GOAL:g} s | {KAI:g} s |")
    used = sorted(found.cpu.items(), key=lambda each: -each[1])
    print(f"\nCPU seconds: {', '.join(f'{name} {seconds:.0f}' for name, seconds in used)}")
    most = sorted(found.writes.items(), key=lambda each: -each[1])[:12]
    print(f"writes: {', '.join(f'{who} {what} {count:,}' for (who, what), count in most)}")
    print(f"\nsold twice or otherwise wrong: {'; '.join(found.problems) or 'nothing'}")


def _by_reclaim(ground: Ground, members: int) -> Gang:
    notes = {"gpu-fraction": "8", "gang": "train", "gang-size": str(members)}
    ask = Ask(tuple((f"equipoise.dev/{key}", text) for key, text in notes.items()))
    auditor = Auditor(ground.plane.kubeconfig())
    auditor.start()
    ground.plane.audit.mark()
    try:
        with Bound(ground.plane, members, ground.processes, ground.small.pods) as bound:
            before, began = cpu(ground.processes), time.monotonic() + PATIENCE_SECONDS
            ground.small.submit(["train"], ask, pods=members)
            bound.wait(LIMIT_SECONDS)
        used = {name: s - before[name] for name, s in cpu(ground.processes).items()}
        auditor.caught_up(LIMIT_SECONDS)
        problems = tuple(auditor.problems())
    finally:
        auditor.close()
    wrote = writes(ground.plane.audit)
    return Gang(members, bound.first - began, bound.last - began, used, wrote, problems)
