"""Bid prices on small clusters; the numbers are worked out beside them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.ids import NodeName
from scheduler.core.model.nodes import Node
from scheduler.core.model.requests import Request, Spreading
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.packer import Packer
from scheduler.core.packing.prices import GPU, Bids, tables
from tests.support import builders
from tests.support.builders import by_memory, device, node, place, share, whole


def placed_on(columns: Columns, request: Request, mix: Mix | None = None) -> NodeName | None:
    found = Packer(columns, "bid-price", mix=mix).place(request)
    return None if found is None else found.node


def paying(*pays: tuple[Request, int]) -> Bids:
    """Return bids by which pods pay so much for a whole device or a share of one."""
    return Bids(tuple((each, each.milli * GPU // 1000 - pay) for each, pay in pays))


def test_without_bids_a_device_is_worth_what_is_free() -> None:
    found = tables(Columns([node("n", 1)]), ())
    assert found.value[0, :, 0].tolist() == [part * GPU // 100 for part in range(101)]
    assert found.useful[0, 50] == GPU // 2
    # The last line is that of no device.
    assert not found.value[1].any()


def test_a_device_is_worth_the_best_pods_that_fit_on_it() -> None:
    bids = paying((share(300), GPU // 10), (share(500), GPU // 4))
    value = tables(Columns([node("n", 1)]), [bids]).value[0, :, 0]
    in_tenths = {part: int(value[part]) for part in (29, 30, 49, 50, 80, 90, 100)}
    assert in_tenths == {
        29: 0,
        30: GPU // 10,
        49: GPU // 10,
        50: GPU // 4,
        80: GPU // 4 + GPU // 10,
        90: GPU // 4 + GPU // 10,
        100: GPU // 2,
    }


def test_pods_whose_cores_cost_more_than_they_bring_fetch_nothing() -> None:
    bids = paying((share(500, cpu_milli=4_000), GPU // 10))
    found = tables(Columns([node("n", 1)]), [bids])
    # 0.1 GPU for 4 cores: above 0.025 GPU a core nobody would take them.
    dear = found.cores * 4_000 > GPU // 10
    assert dear.any()
    assert not found.value[0, 100, dear].any()
    assert (found.value[0, 100, ~dear] == 2 * (GPU // 10 - found.cores[~dear] * 4_000)).all()


def test_several_bids_count_for_their_mean() -> None:
    some, none = paying((whole(1), GPU // 2)), Bids(())
    assert tables(Columns([node("n", 1)]), [some, none]).value[0, 100, 0] == GPU // 4


def test_gpus_are_not_left_without_cores() -> None:
    """Both nodes have 4 GPUs; on the poor one each would find 3 cores left, on the other 15."""
    columns = Columns([node("poor", 4, cpu_milli=16_000), node("rich", 4, cpu_milli=64_000)])
    assert placed_on(columns, share(100, cpu_milli=4_000)) == "rich"
    # One that needs no cores leaves fewer GPUs for the few that there are.
    assert placed_on(columns, whole(1, cpu_milli=100)) == "poor"


def test_the_gap_that_somebody_pays_for_is_left_whole() -> None:
    """Of one card 500 are free, of the other 600: without bids the first one is filled up."""
    columns = Columns([node("tight", 1), node("wide", 1)])
    columns.take(0, place("tight", (0, 500, 8_000)).slots, share(500))
    columns.take(1, place("wide", (0, 400, 6_400)).slots, share(400))
    assert placed_on(columns, share(100)) == "tight"
    bids = paying((share(500), GPU // 2))
    assert placed_on(columns, share(100), Mix((), (bids,))) == "wide"


def test_only_a_clear_difference_leads_away_from_the_order_of_nodes() -> None:
    """To take 100 of a whole device costs what 400 pays: 0.3 GPUs here and 0.05 there."""
    columns = Columns([node(f"n{number}", 1) for number in range(10)])
    # The last node is full but for 450: 400 still fits beside 50, and not beside 100.
    columns.take(9, place("n9", (0, 550, 8_800)).slots, share(550))
    # From the first node to the last there are 0.104 GPUs.
    for pays, best in ((GPU * 3 // 10, "n9"), (GPU // 20, "n0")):
        mix = Mix((), (paying((share(1000), pays)),))
        assert placed_on(columns, share(100), mix) == best


def test_a_pod_that_is_to_be_spread_knows_no_order() -> None:
    columns = Columns([node("a", 1), node("b", 1)])
    columns.take(0, place("a", (0, 100, 1_600)).slots, share(100))
    assert placed_on(columns, share(100)) == "a"
    assert placed_on(columns, share(100, spreading=Spreading.SPREAD)) == "b"


def test_thirds_fill_a_device_and_slices_serve_who_names_them() -> None:
    third = tables(Columns([node("n", 1)]), [paying((share(333), GPU // 4))]).value[0, :, 0]
    assert (third[33], third[100]) == (GPU // 4, GPU // 4 * 3)
    slices = [device(f"s{n}", "mig-1g", milli=142, mig=True) for n in range(7)]
    named = whole(1, models=("mig-1g",))
    bids = Bids(((named, 0), (share(100), 0)))
    found = tables(Columns([node("m", slices)]), [bids])
    # A share never goes to a slice: it is worth what the one pays who takes it whole.
    assert found.value[0, 14, 0] == 142 * GPU // 1000
    assert found.useful[0, 13] == 0


def test_by_memory_a_pod_pays_by_the_card_that_it_gets() -> None:
    columns = Columns(
        [
            node("t", [device("t0", "T4", memory_mib=16_000)]),
            node("a", [device("a0", "A100", memory_mib=80_000)]),
        ]
    )
    found = tables(columns, [Bids(((by_memory(8_000), 0),))]).value[:, :, 0]
    assert (found[0, 50], found[1, 10]) == (GPU // 2, GPU // 10)


@given(cluster=builders.clusters(), sizes=st.lists(st.integers(1, 999), min_size=1, max_size=4))
def test_more_room_is_never_worth_less(cluster: list[Node], sizes: list[int]) -> None:
    bids = paying(*((share(size), size * GPU // 2_000) for size in sorted(set(sizes))))
    found = tables(Columns(cluster), [bids])
    assert (np.diff(found.value, axis=1) >= 0).all()
    # Dearer cores never make anything worth more.
    assert (np.diff(found.value, axis=2) <= 0).all()
    assert (found.useful <= GPU).all()
