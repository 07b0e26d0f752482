"""The linear program on clusters that can be worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.nodes import Node
from scheduler.core.model.requests import Request
from scheduler.core.packing.prices import GPU
from scheduler.pricing.fitting import fit
from scheduler.pricing.program import Program, sort_nodes
from tests.support import builders
from tests.support.builders import by_memory, cpu_only, device, node, share, whole

Demand = tuple[Request, float]


def solved(nodes: list[Node], *demands: Demand) -> tuple[float, list[float]]:
    """Return the GPUs that would be given out, and what one more pod of each would add."""
    program = Program(Columns(nodes), [request for request, _ in demands])
    rents = program.solve([pods for _, pods in demands])
    return program.served, rents


def rents(nodes: list[Node], *demands: Demand) -> list[float]:
    return solved(nodes, *demands)[1]


def served(nodes: list[Node], *demands: Demand) -> float:
    return solved(nodes, *demands)[0]


def test_where_nothing_is_short_one_more_adds_all_that_it_takes() -> None:
    assert rents([node("n", 2)], (share(500), 1), (whole(1), 1)) == [0.5, 1.0]


def test_who_fills_a_gap_beside_others_adds_its_whole_share() -> None:
    """On each of ten cards goes one of 700 and, beside it, one of 300: of those there are few."""
    found = rents([node("n", 10)], (share(700), 100), (share(300), 4))
    # One more small one would put 0.3 to use; one more large one, of which there are too many, 0.
    assert found == [pytest.approx(0.0), pytest.approx(0.3)]


def test_patterns_of_more_than_one_kind_are_found() -> None:
    """Two of 300 and two of 200 fill a card; of one kind alone, three of 300 leave a tenth."""
    assert served([node("n", 4)], (share(300), 8), (share(200), 8)) == pytest.approx(4.0)


def test_where_cores_are_short_who_needs_few_adds_more() -> None:
    """8 cores, 4 cards."""
    nodes = [node("n", 4, cpu_milli=8_000)]
    hungry, modest = whole(1, cpu_milli=4_000), whole(1, cpu_milli=2_000)
    found = rents(nodes, (hungry, 4), (modest, 3))
    # Three modest ones take 6 cores; half a hungry one gets the rest: a core is worth 1/4.
    assert found == [pytest.approx(0.0), pytest.approx(0.5)]


@pytest.mark.parametrize(("alone", "rest"), [(0.5, 3.0), (1.0, 2.0), (1.9, 0.2), (9.0, 0.0)])
def test_pods_without_a_gpu_are_served_first(alone: float, rest: float) -> None:
    """8 cores: each of those takes 4, and each GPU 2 of what is left."""
    nodes = [node("n", 4, cpu_milli=8_000)]
    asked = whole(1, cpu_milli=2_000)
    assert served(nodes, (cpu_only(4_000), alone), (asked, 4)) == pytest.approx(rest)
    # One that fits nowhere changes nothing for the others.
    beside = cpu_only(9_000), 3.0
    assert served(nodes, beside, (cpu_only(4_000), alone), (asked, 4)) == pytest.approx(rest)


def test_cores_of_a_node_with_several_models_are_there_once() -> None:
    mixed = [device("a", "T4"), device("b", "A10"), device("c", "A100")]
    nodes = [node("n", mixed, cpu_milli=4_000)]
    assert served(nodes, (whole(1, cpu_milli=4_000), 9)) == pytest.approx(1.0)


@given(cluster=builders.clusters(), asked=st.lists(builders.requests(), min_size=1, max_size=5))
def test_one_more_pod_adds_no_less_than_nothing_and_no_more_than_its_share(
    cluster: list[Node], asked: list[Request]
) -> None:
    kinds = list(dict.fromkeys(asked))
    found = rents(cluster, *((each, 3.0) for each in kinds))
    most = [max(1, each.devices) for each in kinds]
    gpus = [
        (rent, limit) for rent, limit, each in zip(found, most, kinds, strict=True) if each.devices
    ]
    assert all(0 <= rent <= limit + 1e-6 for rent, limit in gpus)


def test_models_are_heeded_and_memory_counts_by_card() -> None:
    nodes = [
        node("t", [device(f"t{n}", "T4", memory_mib=16_000) for n in range(2)]),
        node("a", [device(f"a{n}", "A100", memory_mib=80_000) for n in range(2)]),
    ]
    named = share(1000, models=("A100",))
    # Nothing goes to the T4s: one names another model, the other needs more memory than they have.
    assert served(nodes, (named, 9), (by_memory(40_000), 4)) == pytest.approx(2.0)


def test_nodes_of_one_make_are_one_group() -> None:
    columns = Columns([*(node(f"n{n}", 8, cpu_milli=96_000) for n in range(3)), node("m", 2)])
    groups, pools = sort_nodes(columns)
    assert [(each.devices, each.nodes, each.pool) for each in groups] == [(2, 1, 0), (8, 3, 1)]
    assert [each.nodes for each in pools] == [1, 3]


def test_bids_are_rents_of_pods_of_one_device() -> None:
    columns = Columns([node("n", 10)])
    found = fit(columns, {share(700): 100, share(300): 4, whole(2): 1})
    assert found
    for bids in found:
        rents = dict(bids.rents)
        assert rents.keys() == {share(700), share(300)}
        # Of the large ones there are too many.
        assert (rents[share(700)], rents[share(300)]) == (0, GPU * 3 // 10)


@pytest.mark.parametrize("counts", [{}, {cpu_only(1_000): 5}])
def test_where_nobody_asks_for_a_gpu_there_are_no_bids(counts: dict[Request, int]) -> None:
    assert fit(Columns([node("n", 1)]), counts) == ()


def test_a_cluster_without_devices_has_no_bids() -> None:
    assert fit(Columns([node("n", 0)]), {share(500): 1}) == ()
