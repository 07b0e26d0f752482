"""Packing with departures: `python benchmarks/departures.py [--seeds 42-43] [--days 2] [--drift]`.

The default openb trace on a quarter of its nodes: its own arrivals and durations (a day at most),
again and again, made so fast that 90, 100 and 110 % of all GPUs are asked for. With --drift the mix
changes to another one in the middle, and what is measured comes after it.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from statistics import fmean

from scheduler.simulator.sidebyside import side_by_side
from scheduler.simulator.traces.churn import Churn, one_pass, passes, play
from scheduler.simulator.traces.lives import Lives, lives_of
from scheduler.simulator.traces.pieces import Piece
from scheduler.simulator.traces.synthetic import synthetic_trace
from scheduler.simulator.traces.trace import Trace
from scheduler.simulator.traces.tracefile import find_traces, read_trace

POLICIES = ("best-fit", "gpu-packing", "fgd", "bid-price")
LOADS = (90, 100, 110)
DRIFTS = (("default", "gpushare100"), ("gpushare100", "default"), ("multigpu40", "gpushare20"))
DAY, EVERY_NODE, LONGEST = 86_400.0, 4, 86_400.0


def traced(name: str) -> tuple[Trace, Lives]:
    """Read a trace; where it has no times, its pods get those of the default trace by chance."""
    folder = find_traces(None, os.environ)
    if folder is None:
        trace = synthetic_trace()
        return trace, lives_of(trace)
    trace, timed = read_trace(folder, name), read_trace(folder, "default")
    lives = lives_of(timed)
    if name != "default":
        dice, known = Random(name), list(lives.values())
        lives = {pod.name: dice.choice(known) for pod in trace.pods}
    return replace(trace, nodes=trace.nodes[::EVERY_NODE]), lives


def a_pass(name: str, load: int) -> tuple[Trace, tuple[Piece, ...]]:
    trace, lives = traced(name)
    gpus = sum(len(node.devices) for node in trace.nodes)
    return trace, one_pass(trace, lives, gpus=gpus, load=load / 100, longest=LONGEST)


def run(task: tuple[tuple[str, ...], int, str, int, float]) -> Churn:
    names, load, policy, seed, days = task
    kinds = [a_pass(name, load) for name in names]
    seconds = days * DAY * len(kinds)
    # With one kind after the first day, in which the cluster fills; with two after the change.
    warm_up = DAY if len(kinds) == 1 else seconds / 2
    coming = passes(*(each for _, each in kinds), seconds=seconds)
    return play(kinds[0][0].nodes, coming, policy, seconds=seconds, warm_up=warm_up, seed=seed)


def table(
    cases: Sequence[tuple[str, ...]], policies: Sequence[str], seeds: Sequence[int], days: float
) -> None:
    tasks = [
        (names, load, policy, seed, days)
        for names in cases for load in LOADS for policy in policies for seed in seeds
    ]  # fmt: skip
    found: dict[tuple[object, ...], list[Churn]] = {}
    for at, done in side_by_side(run, tasks, jobs=os.cpu_count() or 1):
        found.setdefault(tasks[at][:3], []).append(done)
    print("| trace | load | " + " | ".join(policies) + " |")
    for names in cases:
        for load in LOADS:
            cells = [cell(found[names, load, policy]) for policy in policies]
            print(f"| {', then '.join(names)} | {load} % | " + " | ".join(cells) + " |")


def cell(runs: Sequence[Churn]) -> str:
    allocated = [100 * each.allocated for each in runs]
    wait, late = fmean(each.wait for each in runs), fmean(each.wait_95 for each in runs)
    spread = f" ({min(allocated):.2f}–{max(allocated):.2f})" if len(runs) > 1 else ""
    return f"{fmean(allocated):.2f}{spread}; {wait / 60:.1f}, {late / 60:.0f} min"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", default="42-43", help="orders of nodes, from one to another")
    parser.add_argument("--policies", default=",".join(POLICIES))
    parser.add_argument("--days", type=float, default=2.0, help="virtual days of each mix")
    parser.add_argument("--drift", action="store_true", help="change the mix in the middle")
    chosen = parser.parse_args()
    began = time.perf_counter()
    cases = DRIFTS if chosen.drift else (("default",),)
    if find_traces(None, os.environ) is None:
        print("no traces found, so this is the synthetic one", file=sys.stderr)
    first, _, last = chosen.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    table(cases, chosen.policies.split(","), seeds, chosen.days)
    print(f"took {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
