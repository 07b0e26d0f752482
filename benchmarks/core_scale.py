"""How the core grows: `python benchmarks/core_scale.py [--plot FILE] [--only cost|round|memory]`.

Cost of a placement from 100 to 10,000 nodes, a round with 10,000 pending pods on 5,000 nodes × 8,
and memory with 40,000 devices and 100,000 pods. Beside it runs a loop of plain Python, as a measure
of what the machine is at the moment.
"""

import argparse
import gc
import random
import resource
import statistics
import sys
from collections import deque
from dataclasses import replace
from itertools import product
from pathlib import Path
from time import perf_counter

import numpy as np

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.ledger.columns import Columns
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import DeviceUUID, NodeName, PodUID, TenantName
from scheduler.core.model.nodes import Device, Node
from scheduler.core.model.placements import Placement
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.tenants import Tenant
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.packer import Packer
from scheduler.pricing.fitting import fit
from scheduler.settings import Kube

SIZES = (100, 300, 1_000, 3_000, 10_000)
POLICIES = ("best-fit", "fgd", "bid-price")
PLACED = 3_000
SHAPES = {
    **{
        Request(1, milli, 0, cpu, 4_096): 3
        for milli in (100, 250, 500)
        for cpu in (1_000, 2_000, 4_000)
    },
    Request(1, 1_000, 0, 8_000, 8_192): 10,
    Request(2, 1_000, 0, 8_000, 8_192): 2,
    Request(8, 1_000, 0, 16_000, 8_192): 1,
}


def cluster(nodes: int) -> list[Node]:
    return [
        Node(
            NodeName(f"n{number}"),
            tuple(Device(DeviceUUID(f"GPU-{number}-{at}"), "A100", 81_920) for at in range(8)),
            cpu_milli=96_000,
            ram_mib=800_000,
        )
        for number in range(nodes)
    ]


def asked(count: int, seed: int = 1) -> list[Request]:
    return random.Random(seed).choices(list(SHAPES), list(SHAPES.values()), k=count)


def mix_for(policy: str, columns: Columns) -> Mix:
    return Mix(tuple(SHAPES.items()), fit(columns, SHAPES) if policy == "bid-price" else ())


def plain_loop() -> float:
    """Seconds for a loop of plain Python that does the same on every machine."""
    started, total = perf_counter(), 0
    for number in range(2_000_000):
        total += number
    return perf_counter() - started


def cost(nodes: int, policy: str, *, loaded: bool = False, tainted: bool = False) -> float:
    """Seconds a placement: half of all GPUs are taken, then pods come and the oldest go.

    `loaded`: agents measured some load on each card; `tainted`: pods may not go to the first node.
    """
    described = cluster(nodes)
    if loaded:
        dice = random.Random(4)
        described = [
            replace(n, devices=tuple(replace(d, load=dice.randrange(1000)) for d in n.devices))
            for n in described
        ]
    columns = Columns(described)
    among = np.arange(1, nodes) if tainted else None
    packer = Packer(columns, policy, mix=mix_for(policy, columns))
    taken: deque[tuple[Placement, Request]] = deque()
    half, held = nodes * 4_000, 0

    def place(request: Request) -> int:
        found = packer.place(request, among=among)
        if found is None:
            return 0
        columns.take(columns.row[found.node], found.slots, request)
        taken.append((found, request))
        return found.milli

    for request in asked(nodes * 16):
        held += place(request)
        if held >= half:
            break
    started = perf_counter()
    for request in asked(PLACED, seed=2):
        place(request)
        old, was = taken.popleft()
        columns.give(columns.row[old.node], old.slots, was)
    return (perf_counter() - started) / PLACED


def costs(plot: Path | None) -> None:
    found = {policy: [cost(nodes, policy) for nodes in SIZES] for policy in POLICIES}
    found["fgd, a tainted node"] = [cost(nodes, "fgd", tainted=True) for nodes in SIZES]
    found["fgd, measured load"] = [cost(nodes, "fgd", loaded=True) for nodes in SIZES]
    print("| microseconds, nodes × 8 GPUs | " + " | ".join(found) + " |")
    for at, nodes in enumerate(SIZES):
        cells = [f"{seconds[at] * 1e6:.0f}" for seconds in found.values()]
        print(f"| {nodes:,} | {' | '.join(cells)} |")
    for policy, seconds in found.items():
        grows = np.polyfit(np.log(SIZES), np.log(seconds), 1)[0]
        print(
            f"{policy}: grows as n^{grows:.2f}; {1 / seconds[2]:,.0f} placements/s on 1,000 nodes"
        )
    if plot:
        draw(found, plot)


def draw(found: dict[str, list[float]], path: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for policy, seconds in found.items():
        axes.plot(SIZES, [each * 1e6 for each in seconds], marker="o", label=policy)
    first = min(seconds[0] for seconds in found.values()) * 1e6
    roots = [first * (nodes / SIZES[0]) ** 0.5 for nodes in SIZES]
    axes.plot(SIZES, roots, color="#999999", linestyle="--", label="√n")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="nodes with 8 GPUs each",
        ylabel="microseconds a placement",
    )
    axes.grid(visible=True, color="#dddddd")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def a_round(nodes: int, pending: int) -> None:
    ledger = Ledger(cluster(nodes))
    tenants = [Tenant(TenantName(f"t{number}")) for number in range(20)]
    owners = random.Random(3).choices(tenants, k=pending)
    pods = [
        Pod(PodUID(f"u{at}"), "ns", f"p{at}", tenant.name, request, created=float(at))
        for at, (tenant, request) in enumerate(zip(owners, asked(pending), strict=True))
    ]
    # As serve decides, and were all of them let go in one round.
    for policy, backlog in product(POLICIES, (Kube().backlog, None)):
        profile = Profile(
            policy=policy,
            mix=mix_for(policy, ledger.columns),
            reserve_after=900.0,
            backlog=backlog,
        )
        seconds = []
        for _ in range(5):
            snapshot = ledger.snapshot(tenants=tenants)
            # As in serve, where the collector looks at all objects once in seven million new ones.
            gc.disable()
            started = perf_counter()
            plan = run_cycle(snapshot, pods, 1e9, profile)
            seconds.append(perf_counter() - started)
            gc.enable()
        median = statistics.median(seconds)
        print(
            f"run_cycle, {nodes:,} nodes × 8, {pending:,} pending, {policy}: "
            f"{len(plan.admits):,} admitted in {median:.2f} s ({min(seconds):.2f} to "
            f"{max(seconds):.2f}), {median / plain_loop():.1f} × the plain loop"
        )


def memory(nodes: int, pods: int) -> None:
    ledger = Ledger(cluster(nodes))
    tenants = [Tenant(TenantName(f"t{number}")) for number in range(20)]
    request = Request(1, 250, 0, 200, 512)
    packer = Packer(ledger.columns, "fgd", mix=Mix(tuple(SHAPES.items())))
    for number in range(pods):
        tenant = tenants[number % 20].name
        pod = Pod(
            PodUID(f"{number:08d}-0000-4000-8000-000000000000"),
            f"team-{number % 500}",
            f"pod-{number}",
            tenant,
            request,
        )
        place = packer.place(request)
        if place is None:
            sys.exit("the cluster is too small")
        ledger.bind(pod, place)
    waiting = [
        Pod(PodUID(f"w{number}"), "ns", f"w{number}", tenants[number % 20].name, each)
        for number, each in enumerate(asked(1_000))
    ]
    run_cycle(
        ledger.snapshot(tenants=tenants),
        waiting,
        1e9,
        Profile(policy="fgd", mix=Mix(tuple(SHAPES.items()))),
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"memory: {nodes * 8:,} devices, {pods:,} pods in the ledger, and a round with 1,000 more: "
        f"{peak:.0f} MiB at its most"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--plot", type=Path, help="draw cost by nodes into this file")
    parser.add_argument("--only", choices=("cost", "round", "memory"))
    chosen = parser.parse_args()
    print(f"plain loop: {plain_loop():.3f} s")
    if chosen.only in (None, "memory"):
        # First: the peak is that of the whole process.
        memory(5_000, 100_000)
    if chosen.only in (None, "round"):
        a_round(5_000, 10_000)
    if chosen.only in (None, "cost"):
        costs(chosen.plot)


if __name__ == "__main__":
    main()
