"""Policies: how good a node is, and which of its devices. Small functions in one table.

Definitions and constants of best-fit, dot-product, gpu-packing, gpu-clustering and fgd: Weng
et al., USENIX ATC'23, and the simulator published with it. A score is an integer, higher is better.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scheduler.core.ledger.block import Bools, Ints
from scheduler.core.ledger.columns import Columns, hosted_kind
from scheduler.core.model.amounts import MILLI
from scheduler.core.packing import bidprice, fgd
from scheduler.core.packing.fit import Candidates
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.prices import GPU
from scheduler.core.packing.single import Seen

BID_PRICE = "bid-price"
"""The one policy that wants prices, or does with less."""

_NEARLY = 1e-9
"""The published scores are integers; this keeps 57.0 from becoming 56."""

Score = Callable[[Columns, Candidates, Mix], Ints]
"""Score of each row [K], or of each device of each row [K, D] when the device decides the node."""

Scored = int | list[int]
"""The score of one row, or of each of its devices [D]."""

ScoreOne = Callable[[Columns, Seen, Mix], Scored]
"""The same of one row that fits."""

Order = Callable[[Candidates], Ints]
"""Which devices of a node first: [K, D], smaller first; ties by load, then index."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A score, an order of devices, and whether nodes come in an order of chance.

    `order`: by so much of the score the last node is worse than the first one. Below it the order
    of nodes decides among equals only. `by_hosted`: what a node hosts counts.
    `one` gives the same score, faster for few rows; None for policies that have no such. `tells`
    what a score means, for people.
    """

    score: Score
    devices: Order
    by_chance: bool = False
    order: int = 0
    by_hosted: bool = False
    one: ScoreOne | None = None
    tells: Callable[[int], str] = "score {}".format


def tightest(seen: Candidates) -> Ints:
    """Devices with the least room first: what is nearly full gets filled up."""
    return seen.room


def emptiest(seen: Candidates) -> Ints:
    """Devices with the most room first."""
    return -seen.room


def random(columns: Columns, seen: Candidates, mix: Mix) -> Ints:
    """Every node that fits is as good as any other."""
    return np.zeros(len(seen.nodes), dtype=np.int64)


def best_fit(columns: Columns, seen: Candidates, mix: Mix) -> Ints:
    """Least left over: 100·(1 − (cpu left ÷ max + gpu left ÷ max) ÷ 2)."""
    most_cpu, most_milli = columns.largest
    cpu = (columns.free_cpu[seen.rows] - seen.request.cpu_milli) / most_cpu
    gpu = (_free_milli(seen) - _milli_of_pod(seen)) / most_milli
    return _truncate(100 * (1 - (0.5 * cpu + 0.5 * gpu)))


def best_fit_one(columns: Columns, seen: Seen, mix: Mix) -> int:
    """Return the same of one row."""
    (most_cpu, most_milli), taken = columns.largest, 0
    if seen.request.devices:
        # By memory a share counts differently on each card; the smallest stands for the node.
        least = min(milli for milli in seen.milli if milli)
        taken = (least if seen.request.memory_mib else seen.request.milli) * seen.request.devices
    cpu, gpu = seen.left / most_cpu, (sum(seen.row.room) - taken) / most_milli
    return math.floor(100 * (1 - (0.5 * cpu + 0.5 * gpu)) + _NEARLY)


def dot_product(columns: Columns, seen: Candidates, mix: Mix) -> Ints:
    """Least alignment of what is free with what is asked for, each normed by the largest node."""
    most_cpu, most_milli = columns.largest
    cpu = columns.free_cpu[seen.rows] / most_cpu * (seen.request.cpu_milli / most_cpu)
    gpu = _free_milli(seen) / most_milli * (_milli_of_pod(seen) / most_milli)
    return _truncate(100 * (1 - (cpu + gpu) / 2))


def gpu_packing(columns: Columns, seen: Candidates, mix: Mix) -> Ints:
    """First GPUs in use, then idle GPUs of nodes in use, then idle nodes."""
    if not seen.request.devices:
        return random(columns, seen, mix)
    idle = (seen.room == columns.cap[seen.rows]) & (seen.room > 0)
    owned = np.count_nonzero(columns.cap[seen.rows], axis=1)
    chosen = _chosen(seen)
    idle_chosen = np.count_nonzero(chosen & idle, axis=1)
    left = (np.where(chosen, seen.room * 100 // MILLI, 0)).sum(axis=1) // 10
    used = np.where(idle_chosen > 0, np.maximum(50 - idle_chosen, 33), np.maximum(100 - left, 50))
    fresh = np.count_nonzero(idle, axis=1) == owned
    # Of idle nodes the one with the fewest GPUs: large ones are kept for large requests.
    score: Ints = np.where(fresh, np.maximum(33 - owned, 0), used)
    return score


def gpu_clustering(columns: Columns, seen: Candidates, mix: Mix) -> Ints:
    """Nodes that host pods of the same kind: shares, or the same number of whole devices."""
    kind = hosted_kind(seen.request)
    if kind < 0:
        return random(columns, seen, mix)
    most = columns.largest[1]
    base = 25 * (most - _free_milli(seen)) // most
    hosted = columns.hosted[seen.rows] > 0
    same, kinds = hosted[:, kind], np.count_nonzero(hosted, axis=1)
    extra = np.where(same, np.where(kinds == 1, 75, 50), np.where(kinds == 0, 25, 0))
    return base + extra


def spread(columns: Columns, seen: Candidates, mix: Mix) -> Ints:
    """Most room on the device that it would get, or on the node for a pod without a GPU."""
    if not seen.request.devices:
        return columns.free_cpu[seen.rows] * 100 // np.maximum(columns.cpu_cap[seen.rows], 1)
    return np.where(seen.devices, seen.room, -1)


def _how_full(score: int) -> str:
    return f"{score} of 100 for how full the node gets"


def _how_useful(score: int) -> str:
    return f"{score} of 100 for how useful what stays free is to others (50: as before)"


def _how_dear(score: int) -> str:
    return f"it takes {-score / GPU:.3f} GPUs of what others would pay for"


POLICIES = {
    "random": Policy(random, tightest, by_chance=True),
    "best-fit": Policy(best_fit, tightest, one=best_fit_one, tells=_how_full),
    "dot-product": Policy(dot_product, tightest),
    "gpu-packing": Policy(gpu_packing, tightest),
    "gpu-clustering": Policy(gpu_clustering, tightest, by_hosted=True),
    "fgd": Policy(fgd.score, tightest, one=fgd.score_one, tells=_how_useful),
    BID_PRICE: Policy(
        bidprice.score, tightest, order=bidprice.ORDER, one=bidprice.score_one, tells=_how_dear
    ),
    "spread": Policy(spread, emptiest),
}


def _chosen(seen: Candidates) -> Bools:
    """Mask [K, D] of the tightest fitting devices, as many as the request needs."""
    return fgd.first(seen.devices, tightest(seen), seen.request.devices)


def _free_milli(seen: Candidates) -> Ints:
    total: Ints = seen.room.sum(axis=1)
    return total


def _milli_of_pod(seen: Candidates) -> Ints | int:
    if not seen.request.devices:
        return 0
    if seen.request.memory_mib:
        # By memory a share counts differently on each card; the smallest stands for the node.
        least: Ints = np.where(seen.devices, seen.milli, MILLI).min(axis=1)
        return least * seen.request.devices
    return seen.request.total_milli


def _truncate(score: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Ints:
    return np.floor(score + _NEARLY).astype(np.int64)
