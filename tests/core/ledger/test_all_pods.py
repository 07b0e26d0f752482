"""All pods count on a node: those without a GPU take CPU, memory and one of the pods it runs."""

from dataclasses import replace

import pytest

from scheduler.core.ledger.ledger import Ledger
from scheduler.core.ledger.snapshot import Held
from scheduler.core.model.errors import Oversold
from scheduler.core.model.ids import NodeName
from scheduler.core.model.placements import Placement
from tests.support.builders import cpu_only, described, node, only, place, pod, share, whole


def test_a_pod_without_a_gpu_takes_cpu_and_a_pod_but_nothing_from_its_tenant() -> None:
    ledger = Ledger([node("n1", pods=110)])
    ledger.bind(pod("p", cpu_only(3_000)), place("n1"))
    assert (ledger.columns.free_cpu[0], ledger.columns.free_pods[0]) == (61_000, 109)
    assert ledger.held == {}
    ledger.bind(pod("q"), place("n1", (0, 500, 8_000)))
    assert ledger.held == {"a": Held(500, 0, 1)}
    ledger.release(pod("p").uid)
    ledger.release(pod("q").uid)
    assert (ledger.columns.free_cpu[0], ledger.columns.free_pods[0]) == (64_000, 110)
    assert ledger.held == {}


def test_a_pod_bound_without_an_assignment_holds_no_gpu_whatever_it_asked_for() -> None:
    ledger = Ledger([node("n1", pods=110)])
    before = described(ledger.columns)["n1"]
    ledger.bind(pod("p", whole(2, cpu_milli=1_000)), place("n1"))
    after = described(ledger.columns)["n1"]
    assert after == {**before, "cpu": 63_000, "pods": 109}


def test_a_node_runs_no_more_pods_than_it_may() -> None:
    ledger = Ledger([node("n1", pods=2)])
    ledger.bind(pod("p", cpu_only(0)), place("n1"))
    ledger.reserve(pod("q"), place("n1", (0, 500, 8_000)))
    with pytest.raises(Oversold, match="node n1 takes no more pods"):
        ledger.reserve(pod("r", 100), place("n1", (0, 100, 1_600)))
    # What is told is never refused, and a pod that has its place may take another there.
    ledger.reserve(pod("q"), place("n1", (1, 500, 8_000)))
    ledger.bind(pod("r", cpu_only(0)), place("n1"))
    assert ledger.columns.free_pods[0] == -1


def test_another_number_of_pods_is_taken_up_with_those_that_are_there() -> None:
    ledger = Ledger([node("n1")])
    ledger.bind(pod("p", cpu_only(0)), place("n1"))
    ledger.put_nodes([node("n1", pods=3)])
    assert ledger.columns.free_pods[0] == 2


def test_a_pod_on_a_node_that_nobody_told_of_waits_for_it() -> None:
    ledger = Ledger()
    ledger.bind(pod("p", cpu_only(3_000)), place("n1"))
    ledger.put_nodes([node("n1", pods=10)])
    assert (ledger.columns.free_cpu[0], ledger.columns.free_pods[0]) == (61_000, 9)


def test_a_closed_node_takes_nobody_and_says_why() -> None:
    why = "it advertises nvidia.com/gpu, which NVIDIA's device plugin hands out"
    ledger = Ledger([node("n1", closed=why), node("n2")])
    assert ledger.closed == {"n1": why}
    for request, placement in ((share(500), place("n1", (0, 1, 1))), (cpu_only(1), place("n1"))):
        with pytest.raises(Oversold, match="takes no new pod"):
            ledger.reserve(pod("p", request), placement)
    assert (ledger.columns.room[0] == -1).all()
    ledger.put_nodes([node("n1")])
    assert ledger.closed == {}
    ledger.reserve(pod("p"), place("n1", (0, 500, 8_000)))


def test_a_node_that_is_closed_for_two_reasons_stays_so_until_both_are_over() -> None:
    ledger, name = Ledger([node("n1", closed="it says so")]), NodeName("n1")
    ledger.close_node(name, "pod x can't be understood")
    ledger.open_node(name)
    assert ledger.closed == {"n1": "it says so"}
    assert ledger.columns.shut.all()
    ledger.drop_node(name)
    assert ledger.closed == {}


def test_confirming_a_reservation_changes_no_number_though_the_pod_is_read_anew() -> None:
    ledger = Ledger([node("n1")])
    asked = pod("p", constraints=only(zone="a"), pinnable=False)
    placed = place("n1", (0, 500, 8_000))
    ledger.reserve(asked, placed, expires=9.0)
    changes = len(ledger.columns.changes)
    bound = replace(asked, constraints=only(), pinnable=True)
    ledger.bind(bound, placed)
    assert len(ledger.columns.changes) == changes
    holding = ledger.holdings[asked.uid]
    assert (holding.pod, holding.bound, holding.expires) == (bound, True, None)
    generation = ledger.generation
    ledger.bind(bound, placed)
    assert ledger.generation == generation


def test_a_pod_that_was_changed_below_us_is_counted_as_it_is_bound() -> None:
    ledger = Ledger([node("n1")])
    ledger.reserve(pod("p", cpu_only(1_000)), Placement(NodeName("n1")))
    ledger.bind(pod("p", cpu_only(2_000)), Placement(NodeName("n1")))
    assert ledger.columns.free_cpu[0] == 62_000
