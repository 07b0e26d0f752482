"""Tables in Markdown of what was measured with Jobs, with KAI-Scheduler's figures beside them."""

from collections.abc import Callable, Iterator, Sequence
from statistics import median

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
    pods, fills = found.ours[0].pods, len(found.ours)
    print(f"\n{found.nodes:,} nodes × 8 GPUs, {pods:,} one-GPU Jobs; of {fills} fills the median\n")
    print("| what | Equipoise | stock kube-scheduler | KAI, on a machine like this one |")
    print("| --- | --- | --- | --- |")
    for row in _rows(found):
        print(f"| {' | '.join(row)} |")
    _show_cpu(found)
    _show_writes(found)
    return _judge(found)


def _rows(found: Jobs) -> Iterator[tuple[str, ...]]:
    exchange = found.exchange
    half = f"{exchange.pods:,}"

    def row(what: str, each: Callable[[Fill], float], unit: str, kai: str = "") -> tuple[str, ...]:
        ours, stock = (_spread([each(fill) for fill in fills], unit) for fills in _both(found))
        return what, ours, stock, kai

    yield row("fill, all bound", lambda fill: fill.seconds, " s", KAI["fill"])
    yield row("… all Jobs created", lambda fill: fill.created, " s")
    yield row("… CPU of everything, a pod", _cpu_ms, " ms")
    yield row("… CPU of the scheduler", _scheduler, " s", KAI["cpu"])
    yield row("… of API server and etcd", _server, " s")
    yield row("… its writes a pod", _its_writes, "", KAI["writes"])
    filled = max(fill.serve_mib or 0 for fill in found.ours)
    peak = f"{filled:.0f}, {found.serve_mib:.0f} to the end"
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
    return f"{found.ours[0].pods:,}"


def _seconds(each: tuple[float, ...] | list[float]) -> str:
    return f"{min(each):.2f}–{max(each):.2f} s, {len(each)} samples"


def _both(found: Jobs) -> tuple[tuple[Fill, ...], tuple[Fill, ...]]:
    return found.ours, found.stock


def _spread(each: Sequence[float], unit: str) -> str:
    """The median, and the least and most where there are several."""
    digits = 1 if unit else 2
    around = f" ({min(each):.{digits}f}–{max(each):.{digits}f})" if len(each) > 1 else ""
    return f"{median(each):.{digits}f}{unit}{around}"


def _cpu_ms(fill: Fill) -> float:
    return 1000 * sum(fill.cpu.values()) / fill.pods


def _scheduler(fill: Fill) -> float:
    return fill.cpu["kube-scheduler"] + fill.cpu.get("serve", 0.0)


def _server(fill: Fill) -> float:
    return fill.cpu["kube-apiserver"] + fill.cpu["etcd"]


def _its_writes(fill: Fill) -> float:
    return a_pod(fill.writes, fill.pods, SERVE, SCHEDULER)


def _show_cpu(found: Jobs) -> None:
    print("\nCPU seconds of the fills, by process, medians\n")
    print(f"| fill by | {' | '.join((*PROCESSES, 'kwok', 'client'))} |")
    print(f"| --- |{' --- |' * (len(PROCESSES) + 2)}")
    for who, fills in (("Equipoise", found.ours), ("stock", found.stock)):
        used = (_median_cpu(fills, name) for name in (*PROCESSES, "kwok", "client"))
        print(f"| {who} | {' | '.join('–' if s is None else f'{s:.1f}' for s in used)} |")


def _median_cpu(fills: Sequence[Fill], name: str) -> float | None:
    return median(fill.cpu[name] for fill in fills) if name in fills[0].cpu else None


def _show_writes(found: Jobs) -> None:
    print("\nWrites a pod in the last fill, by who asks\n")
    print("| who | what | Equipoise | stock |\n| --- | --- | --- | --- |")
    both = (found.ours[-1], found.stock[-1])
    for who, what in sorted({each for fill in both for each in fill.writes}):
        each = [fill.writes[who, what] / fill.pods for fill in both]
        if max(each) >= 0.01:
            print(f"| {who} | {what} | {each[0]:.2f} | {each[1]:.2f} |")
    ours, stock = (f"{a_pod(fill.writes, fill.pods):.2f}" for fill in both)
    print(f"| all | | {ours} | {stock} |")


def _judge(found: Jobs) -> bool:
    """Print gates and goals; whether every gate is kept."""
    ratio = _ratio(found, lambda fill: fill.seconds)
    told = max(each.told for each in found.verdicts)
    fits = max(each.bound for each in found.verdicts)
    sold_twice = found.exchange.problems
    gates = (
        (f"fill ≤ {FILL_GATE:g} × stock", f"{ratio:.2f} ×", ratio <= FILL_GATE),
        (f"verdict ≤ {VERDICT_GATE:g} s", f"{told:.2f} s", told <= VERDICT_GATE),
        (f"who fits is bound ≤ {FITS_GATE:g} s", f"{fits:.2f} s", fits <= FITS_GATE),
        ("no GPU is sold twice", "; ".join(sold_twice[:3]) or "none", not sold_twice),
    )
    writes, late = max(map(_its_writes, found.ours)), max(found.reclaims)
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
    pairs = zip(found.ours, found.stock, strict=True)
    print(f"Fill, pair by pair: {', '.join(f'{a.seconds / b.seconds:.2f}' for a, b in pairs)} ×")
    print(f"Fill, by CPU: {_ratio(found, _cpu_ms):.2f} ×")
    for what, value, good in gates:
        print(f"Gate: {what}: {value}, {'kept' if good else 'BROKEN'}")
    for what, value, good in goals:
        print(f"Goal: {what}: {value}, {'reached' if good else 'missed'}", flush=True)
    return all(good for _, _, good in gates)


def _ratio(found: Jobs, each: Callable[[Fill], float]) -> float:
    """Ours to stock, medians."""
    ours, stock = (median(map(each, fills)) for fills in _both(found))
    return ours / stock
