"""The linear program on clusters that can be worked out by hand."""

import pytest

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.nodes import Node
from scheduler.core.model.requests import Request
from scheduler.core.packing.prices import GPU
from scheduler.pricing.fitting import fit
from scheduler.pricing.program import Program, groups
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


def test_pods_without_a_gpu_are_served_first() -> None:
    nodes = [node("n", 4, cpu_milli=8_000)]
    asked = whole(1, cpu_milli=2_000)
    assert served(nodes, (cpu_only(4_000), 1), (asked, 4)) == pytest.approx(2.0)


def test_where_they_need_more_than_there_is_they_take_what_there_is() -> None:
    nodes = [node("n", 4, cpu_milli=8_000)]
    asked = whole(1, cpu_milli=2_000)
    assert served(nodes, (cpu_only(4_000), 9), (asked, 4)) == pytest.approx(4.0)


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
    assert [(each.devices, each.nodes) for each in groups(columns)] == [(2, 1), (8, 3)]


def test_bids_are_what_pods_pay_for_what_they_take() -> None:
    columns = Columns([node("n", 10)])
    found = fit(columns, {share(700): 100, share(300): 4, whole(2): 1})
    assert found
    for bids in found:
        margins = dict(bids.margins)
        assert margins.keys() == {share(700), share(300)}
        assert all(0 <= margin <= GPU for margin in margins.values())
    assert dict(found[0].margins)[share(700)] > dict(found[0].margins)[share(300)]


@pytest.mark.parametrize("counts", [{}, {cpu_only(1_000): 5}])
def test_where_nobody_asks_for_a_gpu_there_are_no_bids(counts: dict[Request, int]) -> None:
    assert fit(Columns([node("n", 1)]), counts) == ()


def test_a_cluster_without_devices_has_no_bids() -> None:
    assert fit(Columns([node("n", 0)]), {share(500): 1}) == ()
