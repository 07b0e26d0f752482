"""Tables in Markdown of what was measured with Jobs, with KAI-Scheduler's figures beside them."""

from collections.abc import Iterator

from benchmarks.cluster.jobs.fill import Fill
from benchmarks.cluster.jobs.measure import Jobs
from benchmarks.cluster.jobs.writes import SCHEDULER, SERVE, a_pod

FILL_GATE, VERDICT_GATE, FITS_GATE = 1.3, 2.0, 2.0
FILL_GOAL, RECLAIM_GOAL, EXCHANGE_GOAL, WRITES_GOAL, MEMORY_GOAL = 1.0, 1.0, 60.0, 4.0, 200.0
PROCESSES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "serve")

KAI = {
    "fill": "397 and 425 s; limits raised: 318 s",
    "cpu": "253 s; API server and etcd 448 s",
    "writes": "about 16",
    "memory": "1,660, its six processes",
    "told": "152 s",
    "fits": "137 s",
    "reclaim": "1.8–4.6 s, patience 0",
    "exchange": "566 s",
    "at_once": "5–6 s",
}
"""KAI-Scheduler d5bc503a with its chart's arguments on a machine like this one: measured once, with
500 nodes and 4,000 Jobs, and copied here. Nothing in this run measures it."""


def show(found: Jobs) -> bool:
    """Print all tables; whether every gate is kept."""
    pods, parts = found.ours.pods, len(found.ours.parts)
    print(f"\n{found.nodes:,} nodes × 8 GPUs, {pods:,} one-GPU Jobs in {parts} parts by turns\n")
    print("| what | Equipoise | stock kube-scheduler | KAI, on a machine like this one |")
    print("| --- | --- | --- | --- |")
    for row in _rows(found):
        print(f"| {' | '.join(row)} |")
    _show_cpu(found)
    _show_writes(found)
    return _judge(found)


def _rows(found: Jobs) -> Iterator[tuple[str, ...]]:
    ours, stock, exchange = found.ours, found.stock, found.exchange
    half = f"{exchange.pods:,}"
    mine, theirs = (a_pod(each.writes, each.pods, SERVE, SCHEDULER) for each in (ours, stock))
    yield "fill, all bound", f"{ours.seconds:.1f} s", f"{stock.seconds:.1f} s", KAI["fill"]
    yield "… all Jobs created", f"{ours.created:.1f} s", f"{stock.created:.1f} s", ""
    yield "… CPU of everything, a pod", _cpu_ms(ours), _cpu_ms(stock), ""
    yield "… CPU of the scheduler", _scheduling(ours), _scheduling(stock), KAI["cpu"]
    yield "… its writes a pod", f"{mine:.2f}", f"{theirs:.2f}", KAI["writes"]
    peak = f"{ours.serve_mib or 0:.0f}, {found.serve_mib:.0f} to the end"
    yield "… serve at its most, MiB", peak, "–", KAI["memory"]
    told, fits = ([getattr(each, name) for each in found.verdicts] for name in ("told", "bound"))
    yield "80-GPU Job is told that it never fits", _seconds(told), "–", KAI["told"]
    yield "one that fits is bound meanwhile", _seconds(fits), "–", KAI["fits"]
    yield "reclaim of one GPU, beyond the patience", _seconds(found.reclaims), "–", KAI["reclaim"]
    took = f"{exchange.seconds:.1f} s, {exchange.stopped:,} pods stopped"
    yield f"reclaim by {half} Jobs of {pods_of(found)} running", took, "–", KAI["exchange"]
    yield "16 × 0.5 at once on 8 GPUs", f"{found.at_once:.2f} s", "–", KAI["at_once"]


def pods_of(found: Jobs) -> str:
    """How many Jobs run, as text."""
    return f"{found.ours.pods:,}"


def _seconds(each: tuple[float, ...] | list[float]) -> str:
    return f"{min(each):.2f}–{max(each):.2f} s, {len(each)} samples"


def _scheduling(found: Fill) -> str:
    used = found.cpu["kube-scheduler"] + found.cpu.get("serve", 0.0)
    server = found.cpu["kube-apiserver"] + found.cpu["etcd"]
    return f"{used:.0f} s; API server and etcd {server:.0f} s"


def _cpu_ms(found: Fill) -> str:
    return f"{1000 * sum(found.cpu.values()) / found.pods:.1f} ms"


def _show_cpu(found: Jobs) -> None:
    print("\nCPU seconds of the fill, by process\n")
    print(f"| fill by | {' | '.join((*PROCESSES, 'kwok', 'client'))} |")
    print(f"| --- |{' --- |' * (len(PROCESSES) + 2)}")
    for who, each in (("Equipoise", found.ours), ("stock", found.stock)):
        used = (each.cpu.get(name) for name in (*PROCESSES, "kwok", "client"))
        print(f"| {who} | {' | '.join('–' if s is None else f'{s:.1f}' for s in used)} |")


def _show_writes(found: Jobs) -> None:
    print("\nWrites a pod in the fill, by who asks\n")
    print("| who | what | Equipoise | stock |\n| --- | --- | --- | --- |")
    both = (found.ours, found.stock)
    for who, what in sorted({each for fill in both for each in fill.writes}):
        each = [fill.writes[who, what] / fill.pods for fill in both]
        if max(each) >= 0.01:
            print(f"| {who} | {what} | {each[0]:.2f} | {each[1]:.2f} |")
    ours, stock = (f"{a_pod(fill.writes, fill.pods):.2f}" for fill in both)
    print(f"| all | | {ours} | {stock} |")


def _judge(found: Jobs) -> bool:
    """Print gates and goals; whether every gate is kept."""
    ratio = found.ours.seconds / found.stock.seconds
    told = max(each.told for each in found.verdicts)
    fits = max(each.bound for each in found.verdicts)
    sold_twice = found.exchange.problems
    gates = (
        (f"fill ≤ {FILL_GATE:g} × stock", f"{ratio:.2f} ×", ratio <= FILL_GATE),
        (f"verdict ≤ {VERDICT_GATE:g} s", f"{told:.2f} s", told <= VERDICT_GATE),
        (f"who fits is bound ≤ {FITS_GATE:g} s", f"{fits:.2f} s", fits <= FITS_GATE),
        ("no GPU is sold twice", "; ".join(sold_twice[:3]) or "none", not sold_twice),
    )
    writes, late = a_pod(found.ours.writes, found.ours.pods, SERVE, SCHEDULER), max(found.reclaims)
    goals = (
        (f"fill ≤ {FILL_GOAL:.1f} × stock", f"{ratio:.2f} ×", ratio <= FILL_GOAL),
        (f"reclaim ≤ {RECLAIM_GOAL:g} s", f"{late:.2f} s", late <= RECLAIM_GOAL),
        (
            f"half by half ≤ {EXCHANGE_GOAL:g} s",
            f"{found.exchange.seconds:.1f} s",
            found.exchange.seconds <= EXCHANGE_GOAL,
        ),
        (f"writes a pod ≤ {WRITES_GOAL:g}", f"{writes:.2f}", writes <= WRITES_GOAL),
        (f"serve ≤ {MEMORY_GOAL:g} MiB", f"{found.serve_mib:.0f}", found.serve_mib <= MEMORY_GOAL),
    )
    print()
    ours, stock = found.ours, found.stock
    each = (a / b for a, b in zip(ours.parts, stock.parts, strict=True))
    print(f"Fill, part by part: {', '.join(f'{part:.2f}' for part in each)} ×")
    used = sum(ours.cpu.values()) / sum(stock.cpu.values())
    print(f"Fill, by CPU: {used:.2f} ×")
    for what, value, good in gates:
        print(f"Gate: {what}: {value}, {'kept' if good else 'BROKEN'}")
    for what, value, good in goals:
        print(f"Goal: {what}: {value}, {'reached' if good else 'missed'}", flush=True)
    return all(good for _, _, good in gates)
