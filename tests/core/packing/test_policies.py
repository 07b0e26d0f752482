"""Every policy on small tables; the numbers are worked out beside them."""

import pytest

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.nodes import Node
from scheduler.core.model.placements import Placement
from scheduler.core.model.requests import Request
from scheduler.core.packing.fit import candidates
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.packer import Packer
from scheduler.core.packing.policies import POLICIES
from tests.support.builders import cpu_only, node, place, share, whole

Taken = list[tuple[Placement, Request]]


def columns_of(nodes: list[Node], taken: Taken) -> Columns:
    columns = Columns(nodes)
    for placement, request in taken:
        columns.take(columns.row[placement.node], placement.slots, request)
    return columns


def scores(policy: str, columns: Columns, request: Request, mix: Mix | None = None) -> list[int]:
    """Return the score of each node; where devices have their own, the best of them."""
    seen = candidates(columns, slice(None), request)
    score = POLICIES[policy].score(columns, seen, mix or Mix(()))
    return [int(row.max()) for row in score.reshape(len(columns.names), -1)]


def place_on(policy: str, columns: Columns, request: Request) -> Placement | None:
    return Packer(columns, policy).place(request)


CPU = 10_000
LARGE = node("large", 4, cpu_milli=CPU)
SMALL = node("small", 2, cpu_milli=CPU)
HALF: Taken = [(place("small", (0, 500, 8_000)), share(500, cpu_milli=5_000))]
"""small: 0.5 of GPU 0 and half the CPU taken; large: nothing."""


def test_best_fit_leaves_least_over() -> None:
    # large: cpu (10000 − 1000)/10000 = 0.9, gpu (4000 − 500)/4000 = 0.875: 100·(1 − 0.8875) = 11.25
    # small: cpu (5000 − 1000)/10000 = 0.4, gpu (1500 − 500)/4000 = 0.25: 100·(1 − 0.325) = 67.5
    columns = columns_of([LARGE, SMALL], HALF)
    request = share(500, cpu_milli=1_000)
    assert scores("best-fit", columns, request) == [11, 67]
    assert place_on("best-fit", columns, request) == place("small", (0, 500, 8_000))


def test_dot_product_takes_what_is_least_free_along_the_request() -> None:
    # large: cpu 1·0.1 = 0.1, gpu (4000/4000)·(500/4000) = 0.125: 100·(1 − 0.225/2) = 88.75
    # small: cpu 0.5·0.1 = 0.05, gpu 0.375·0.125 = 0.046875: 100·(1 − 0.096875/2) = 95.16
    columns = columns_of([LARGE, SMALL], HALF)
    request = share(500, cpu_milli=1_000)
    assert scores("dot-product", columns, request) == [88, 95]
    assert place_on("dot-product", columns, request) == place("small", (0, 500, 8_000))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        # large is idle: 33 − 4 = 29. small: the tightest is GPU 0 with 500 left, 100·500/1000 = 50,
        # 50 // 10 = 5: 100 − 5 = 95.
        (share(500), [29, 95]),
        # small: only GPU 1 has 600, and it is idle: 50 − 1.
        (share(600), [29, 49]),
        # small: both, one of them idle: 50 − 1.
        (share(500, 2), [29, 49]),
        (whole(1), [29, 49]),
        # No GPU: all nodes are alike.
        (cpu_only(), [0, 0]),
    ],
)
def test_gpu_packing_prefers_gpus_in_use_then_nodes_in_use(
    request_: Request, expected: list[int]
) -> None:
    assert scores("gpu-packing", columns_of([LARGE, SMALL], HALF), request_) == expected


def test_gpu_packing_of_idle_nodes_takes_the_smallest() -> None:
    # 33 − 4 = 29 and 33 − 2 = 31.
    columns = columns_of([LARGE, SMALL], [])
    assert scores("gpu-packing", columns, share(500)) == [29, 31]
    assert place_on("gpu-packing", columns, share(500)) == place("small", (0, 500, 8_000))


def test_gpu_clustering_puts_like_to_like() -> None:
    nodes = [node(name, 4) for name in ("shares", "both", "wholes", "empty")]
    taken: Taken = [
        (place("shares", (0, 500, 8_000)), share(500)),
        (place("both", (0, 500, 8_000)), share(500)),
        (place("both", (1, 1000, 16_000)), whole(1)),
        (place("wholes", (1, 1000, 16_000)), whole(1)),
    ]
    columns = columns_of(nodes, taken)
    # Base: 25·(4000 − free) // 4000 with free 3500, 2500, 3000, 4000: 3, 9, 6, 0.
    # Same kind alone +75, beside others +50, only others +0, no GPU pod +25.
    assert scores("gpu-clustering", columns, share(250)) == [78, 59, 6, 25]
    assert scores("gpu-clustering", columns, whole(1)) == [3, 59, 81, 25]
    # Two whole ones are another kind than one.
    assert scores("gpu-clustering", columns, whole(2)) == [3, 9, 6, 25]
    assert scores("gpu-clustering", columns, cpu_only()) == [0, 0, 0, 0]


def test_spread_takes_the_device_with_most_room() -> None:
    columns = columns_of([SMALL, LARGE], [(place("small", (1, 250, 4_000)), share(250))])
    assert scores("spread", columns, share(250)) == [1000, 1000]
    assert place_on("spread", columns, share(250)) == place("small", (0, 250, 4_000))
    columns.take(0, place("small", (0, 500, 8_000)).slots, share(500))
    assert scores("spread", columns, share(250)) == [750, 1000]
    assert place_on("spread", columns, share(250)) == place("large", (0, 250, 4_000))
    # Without a GPU the CPU decides: 9000·100/10000 and 10000·100/10000.
    columns.take(1, (), cpu_only(1_000))
    assert scores("spread", columns, cpu_only()) == [100, 90]


def test_random_scores_all_alike() -> None:
    assert scores("random", columns_of([LARGE, SMALL], HALF), share(500)) == [0, 0]


def test_fgd_keeps_whole_cards_whole() -> None:
    # Half ask for 0.5, half for 1 whole. Usable before: large 4 cards · 1000 · (1 + 1)/2 = 4000;
    # small: GPU 0 500·½ = 250, GPU 1 1000. A share of 0.5 …
    # on an idle card: 1000 becomes 500·½ = 250; ΔF = 500 + 250 − 1000 = −250: 100·σ(−0.25) = 43
    # on small's GPU 0: 250 becomes 0; ΔF = 500 + 0 − 250 = 250: 100·σ(0.25) = 56
    mix = Mix.of([share(500), whole(1)], keep=1.0)
    columns = columns_of([LARGE, SMALL], HALF)
    assert scores("fgd", columns, share(500), mix) == [43, 56]
    best = Packer(columns, "fgd", mix=mix).place(share(500))
    assert best == place("small", (0, 500, 8_000))


def test_fgd_keeps_pairs_of_cards_together() -> None:
    # All ask for 2 whole cards. Of pair 2000 are usable; a share of 0.5 leaves 500 + 1000, of which
    # none is: ΔF = 500 + 0 − 2000 = −1500: 100·σ(−1.5) = 18. Of single nothing was usable before:
    # ΔF = 500: 100·σ(0.5) = 62. Of three 3000 were, and 2000 are left:
    # ΔF = 500 + 2000 − 3000 = −500: 100·σ(−0.5) = 37.
    mix = Mix([(whole(2), 1)])
    columns = columns_of([node("pair", 2), node("single", 1), node("three", 3)], [])
    assert scores("fgd", columns, share(500), mix) == [18, 62, 37]


def test_fgd_without_a_mix_takes_the_first_that_fits() -> None:
    assert scores("fgd", columns_of([LARGE, SMALL], HALF), share(500)) == [0, 0]
    assert place_on("fgd", columns_of([LARGE, SMALL], HALF), share(500)) == place(
        "large", (0, 500, 8_000)
    )
