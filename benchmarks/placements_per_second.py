"""Placements per second, one thread: `python benchmarks/placements_per_second.py [--seeds 3]`.

Measured is the placing loop of `equipoise simulate` alone. Beside it runs the plainest loop that
does best-fit, on the first events only, as a measure of what the machine is.
"""

import argparse
import os
import platform
import statistics
from pathlib import Path
from time import perf_counter

import numpy as np

from scheduler.core.model.requests import Request
from scheduler.simulator.traces.replay import replay, target_workload
from scheduler.simulator.traces.synthetic import synthetic_trace
from scheduler.simulator.traces.trace import Trace
from scheduler.simulator.traces.tracefile import find_traces, read_trace
from scheduler.simulator.traces.workload import Workload, build_workload

POLICIES = ("bid-price", "fgd", "best-fit")
NAIVE_EVENTS = 300


class NaiveNode:
    """A node as one would write it down first."""

    def __init__(self, model: str, cpu: int, ram: int, devices: int) -> None:
        self.model, self.cpu, self.ram = model, cpu, ram
        self.free = [1000] * devices

    def fits(self, request: Request) -> bool:
        return (
            self.cpu >= request.cpu_milli
            and self.ram >= request.ram_mib
            and (not request.devices or not request.models or self.model in request.models)
            and sum(free >= request.milli for free in self.free) >= request.devices
        )

    def score(self, request: Request) -> int:
        cpu = (self.cpu - request.cpu_milli) / 128_000
        gpu = (sum(self.free) - request.total_milli) / 8_000
        return int(100 * (1 - (0.5 * cpu + 0.5 * gpu)))

    def take(self, request: Request) -> None:
        self.cpu -= request.cpu_milli
        self.ram -= request.ram_mib
        fitting = [index for index, free in enumerate(self.free) if free >= request.milli]
        for index in sorted(fitting, key=self.free.__getitem__)[: request.devices]:
            self.free[index] -= request.milli


def naive(workload: Workload, events: int) -> float:
    """Place the first events by best-fit, in a loop over all nodes; return events per second."""
    by_rank = sorted(zip(workload.rank.tolist(), workload.trace.nodes, strict=True))
    nodes = [
        NaiveNode(
            node.devices[0].model if node.devices else "",
            node.cpu_milli,
            node.ram_mib,
            len(node.devices),
        )
        for _, node in by_rank
    ]
    started = perf_counter()
    for pod in workload.events[:events]:
        fitting = [node for node in nodes if node.fits(pod.request)]
        if fitting:
            max(fitting, key=lambda node: node.score(pod.request)).take(pod.request)
    return min(events, len(workload.events)) / (perf_counter() - started)


def machine() -> str:
    """Say what this was measured on, in one line."""
    name = platform.processor() or platform.machine()
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        lines = cpus.read_text(encoding="utf-8").splitlines()
        found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        name = found[0] if found else name
    return (
        f"{name}, {os.cpu_count()} cores (one used), {platform.system()}, "
        f"Python {platform.python_version()}, numpy {np.__version__}"
    )


def trace_at_hand() -> Trace:
    """Return the default openb trace, or the synthetic one where there are no traces."""
    folder = find_traces(None, os.environ)
    return synthetic_trace() if folder is None else read_trace(folder, "default")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=3, help="how many orders of arrival")
    seeds = parser.parse_args().seeds
    trace = trace_at_hand()
    workloads = [build_workload(trace, seed=seed, load=130) for seed in range(42, 42 + seeds)]
    print(f"machine: {machine()}")
    print(
        f"workload: {trace.name}, {len(trace.nodes)} nodes, {trace.capacity // 1000} GPUs, "
        f"to 130 % load, {seeds} seeds"
    )
    plain = statistics.median(naive(workload, NAIVE_EVENTS) for workload in workloads)
    for policy in POLICIES:
        rates, tried = [], []
        for workload in workloads:
            done = replay(workload, policy, mix=target_workload(workload))
            placed = sum(place is not None for place in done.places)
            rates.append(placed / done.seconds)
            tried.append(len(workload.events) / done.seconds)
        print(
            f"{policy}: {statistics.median(rates):,.0f} placements/s "
            f"({min(rates):,.0f} to {max(rates):,.0f}); {statistics.median(tried):,.0f} pods/s "
            f"with those that fit nowhere; {statistics.median(tried) / plain:.0f} × the plain loop"
        )
    print(
        f"plain Python loop of best-fit: {plain:,.0f} pods/s (first {NAIVE_EVENTS} pods, "
        "the cluster still empty)"
    )


if __name__ == "__main__":
    main()
