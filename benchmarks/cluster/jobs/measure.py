"""Everything about Jobs in one run: fills of the stock kube-scheduler and of Equipoise by turns."""

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
    """All that was measured; seconds, and the most memory (MiB) that serve held to the end.

    A shared machine's speed changes from one minute to the next, so there are several fills.
    """

    nodes: int
    stock: tuple[Fill, ...]
    ours: tuple[Fill, ...]
    verdicts: tuple[Verdict, ...]
    reclaims: tuple[float, ...]
    exchange: Exchange
    at_once: float
    serve_mib: float


def measure(nodes: int, rounds: int) -> Jobs:
    """Fill `nodes` nodes of 8 GPUs with as many Jobs, so often by turns; then try the rest on ours.

    Each fill has a control plane of its own, and the machine to itself. First one side begins, then
    the other one; the last fill is ours.
    """
    stock, ours = list[Fill](), list[Fill]()
    for number in range(rounds, 1, -1):
        # Theirs first where the number is odd, so that a trend adds nothing to either.
        if number % 2:
            stock.append(_stock(nodes))
        ours.append(_ours(nodes))
        if not number % 2:
            stock.append(_stock(nodes))
    stock.append(_stock(nodes))
    # Begun with one node, for that is all that the fractions may use.
    with grounds.equipoise(1) as here:
        at_once = _told(tries.at_once(here))
        here.plane.nodes(nodes - 1, prefix="more-")
        ours.append(_told(fill(here, 8 * nodes, gpus("1"))))
        verdicts = tuple(_told(tries.verdict(here)) for _ in range(VERDICTS))
        reclaims = tuple(_told(tries.reclaim(here, number)) for number in range(RECLAIMS))
        exchange = _told(tries.exchange(here, 4 * nodes))
        peak = peak_mib(here.processes["serve"].pid)
    return Jobs(nodes, tuple(stock), tuple(ours), verdicts, reclaims, exchange, at_once, peak)


def _ours(nodes: int) -> Fill:
    with grounds.equipoise(nodes) as here:
        return _told(fill(here, 8 * nodes, gpus("1")))


def _stock(nodes: int) -> Fill:
    with grounds.stock(nodes) as there:
        return _told(fill(there, 8 * nodes, WHOLE_STOCK))


def _told(found: T) -> T:
    print(f"   {found}", file=sys.stderr, flush=True)
    return found
