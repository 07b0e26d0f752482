"""Everything about Jobs in one run: the stock kube-scheduler's fill and ours, then the rest."""

import sys
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.cluster.jobs import grounds, tries
from benchmarks.cluster.jobs.fill import Fill, fill
from benchmarks.cluster.jobs.load import WHOLE_STOCK, gpus
from benchmarks.cluster.jobs.tries import Exchange, Verdict
from benchmarks.cluster.meter import peak_mib

VERDICTS, RECLAIMS = 3, 6

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Jobs:
    """All that was measured; seconds, and the most memory (MiB) that serve held to the end."""

    nodes: int
    stock: Fill
    ours: Fill
    verdicts: tuple[Verdict, ...]
    reclaims: tuple[float, ...]
    exchange: Exchange
    at_once: float
    serve_mib: float


def measure(nodes: int, parts: int) -> Jobs:
    """Fill `nodes` nodes of 8 GPUs with Jobs, in parts by turns; then try the rest on ours."""
    jobs = 8 * nodes
    # Begun with one node, for that is all that the fractions may use.
    with grounds.equipoise(1) as here:
        at_once = _told(tries.at_once(here))
        here.plane.nodes(nodes - 1, prefix="more-")
        with grounds.stock(nodes) as there:
            sides = {"stock": (there, WHOLE_STOCK), "ours": (here, gpus("1"))}
            fills = _told(fill(sides, jobs, parts))
        here.running(here.large)
        verdicts = tuple(_told(tries.verdict(here)) for _ in range(VERDICTS))
        reclaims = tuple(_told(tries.reclaim(here, number)) for number in range(RECLAIMS))
        exchange = _told(tries.exchange(here, jobs // 2))
        peak = peak_mib(here.processes["serve"].pid)
    return Jobs(nodes, fills["stock"], fills["ours"], verdicts, reclaims, exchange, at_once, peak)


def _told(found: T) -> T:
    print(f"   {found}", file=sys.stderr, flush=True)
    return found
