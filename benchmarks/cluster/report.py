"""Tables in Markdown of what was measured, and whether gates are kept and goals reached."""

import statistics
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.cluster.planning import Planning
from benchmarks.cluster.quiet import Quiet
from benchmarks.cluster.rates import Rate

QUEUED, GATED, OURS = "stock, queued", "stock, behind a gate", "Equipoise, pinned"
GATE, GOAL, LARGE = 1.0, 1.3, 5000
"""Equipoise against stock that lifts gates, too; they hold on so many nodes or more."""

GOAL_MS = 20.0
PROCESSES = ("kube-scheduler", "kube-apiserver", "etcd", "serve", "client")


def show_rates(nodes: int, pods: int, found: Mapping[str, Sequence[Rate]]) -> bool:
    """Print the table of one size; whether the gate holds there, or doesn't apply."""
    print(f"\n{nodes:,} nodes × 8 GPUs, {pods:,} pods\n")
    print(f"| way | pods/s median (min–max) | CPU ms/pod: {' | '.join(PROCESSES)} |")
    print(f"| --- | --- |{' --- |' * len(PROCESSES)}")
    for way, runs in found.items():
        print(f"| {way} | {_spread(runs)} | {' | '.join(_cpu(runs))} |")
    print()
    medians = {way: _median(runs) for way, runs in found.items() if runs}
    ratios = {way: medians[OURS] / rate for way, rate in medians.items() if OURS in medians}
    for way in (QUEUED, GATED):
        if way in ratios:
            print(f"{OURS} against {way}: {ratios[way]:.2f} ×", flush=True)
    return nodes < LARGE or GATED not in ratios or _judge(ratios[GATED])


def _judge(ratio: float) -> bool:
    goal = "reached" if ratio >= GOAL else "missed"
    print(
        f"Gate of {GATE:g} ×: {'kept' if ratio >= GATE else 'BROKEN'}; goal of {GOAL:g} ×: {goal}"
    )
    return ratio >= GATE


def _median(runs: Sequence[Rate]) -> float:
    return statistics.median(run.per_second for run in runs)


def _spread(runs: Sequence[Rate]) -> str:
    each = [run.per_second for run in runs]
    return f"{statistics.median(each):.0f} ({min(each):.0f}–{max(each):.0f})"


def _cpu(runs: Sequence[Rate]) -> Iterator[str]:
    for name in PROCESSES:
        used = [run.cpu_ms[name] for run in runs if name in run.cpu_ms]
        yield f"{statistics.median(used):.2f}" if used else "–"


def show_planning(nodes: int, found: Planning) -> None:
    """Print how long calls took meanwhile, and what serve used."""
    print(f"\n{found.pods:,} pods planned on {nodes:,} nodes, {found.per_second:.0f} pods/s\n")
    print("| call, ms | calls | failed | p50 | p99 | worst |")
    print("| --- | --- | --- | --- | --- | --- |")
    for each in found.latencies:
        worst = "–" if each.worst is None else f"{each.worst:.1f}"
        counts = f"{each.calls:,} | {each.failed}"
        print(f"| {each.what} | {counts} | {each.p50:.1f} | {each.p99:.1f} | {worst} |")
    judged = [each for each in found.latencies if each.what.startswith(("filter", "webhook"))]
    good = all(each.p99 <= GOAL_MS and not each.failed for each in judged)
    goal = "reached" if good else "missed"
    print(f"\nGoal of p99 <= {GOAL_MS:g} ms for filter and webhook: {goal}")
    print(
        f"serve: {found.memory_mib:.0f} MiB at its most, {found.cpu_seconds:.1f} CPU seconds, "
        f"{1000 * found.cpu_seconds / found.pods:.2f} ms a pod, its start and lists included",
        flush=True,
    )


def show_quiet(found: Quiet) -> bool:
    """Print what was asked; whether the gate holds."""
    placed = f"{found.bound} pods are bound and {found.wait} wait"
    print(f"\nA quiet spell of {found.seconds:g} s in which {placed}:")
    print("requests of serve and its kube-scheduler\n")
    print("| request | times |\n| --- | --- |")
    for what, times in sorted(found.requests.items()):
        print(f"| {what} | {times} |")
    verdict = "kept" if not found.others else f"BROKEN by {', '.join(found.others)}"
    print(f"\nserve: {found.cpu_seconds:.2f} CPU seconds, {found.memory_mib:.0f} MiB")
    print(f"Gate of only lease and watch traffic: {verdict}", flush=True)
    return not found.others
