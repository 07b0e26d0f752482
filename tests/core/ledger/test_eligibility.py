"""Which rows constraints leave: the same as node by node, and worked out once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.ledger.eligibility import KINDS_KEPT, Eligibility
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.constraints import NO_CONSTRAINTS, Constraints, Taint, Toleration
from scheduler.core.model.ids import NodeName
from scheduler.core.model.nodes import Node
from tests.support import builders
from tests.support.builders import device, node, only, place, pod

NOT_READY = Taint("node.kubernetes.io/not-ready")


def rows(found: np.ndarray[tuple[int, ...], np.dtype[np.int64]] | None, of: int) -> list[int]:
    return list(range(of)) if found is None else found.tolist()


@given(builders.labelled_clusters(), st.lists(builders.constraints(), max_size=4))
def test_by_column_comes_out_what_comes_out_node_by_node(
    nodes: list[Node], asked: list[Constraints]
) -> None:
    eligibility = Ledger(nodes).eligibility
    for constraints in [*asked, *asked, NO_CONSTRAINTS]:
        one_by_one = [row for row, node in enumerate(nodes) if constraints.allow(node)]
        assert rows(eligibility.now(constraints), len(nodes)) == one_by_one
        objections = [constraints.objection(each, passing=False) for each in nodes]
        ever = [row for row, objection in enumerate(objections) if not objection]
        assert rows(eligibility.ever(constraints), len(nodes)) == ever
        assert set(one_by_one) <= set(ever)


def test_where_nothing_is_excluded_there_is_nothing_to_look_at() -> None:
    ledger = Ledger([node("n1", labels={"zone": "a"}), node("n2", labels={"zone": "a"})])
    assert ledger.eligibility.now(NO_CONSTRAINTS) is None
    assert ledger.eligibility.now(only(zone="a")) is None
    assert Eligibility().now(only(zone="a")) is None


def test_states_of_the_moment_keep_pods_off_now_but_not_for_ever() -> None:
    ledger = Ledger([node("n1", taints=(NOT_READY,)), node("n2", taints=(Taint("gpu"),))])
    assert rows(ledger.eligibility.now(NO_CONSTRAINTS), 2) == []
    assert rows(ledger.eligibility.ever(NO_CONSTRAINTS), 2) == [0]
    everything = only(tolerations=[Toleration("", "Exists")])
    assert ledger.eligibility.now(everything) is None


def test_only_labels_taints_and_nodes_that_come_or_go_make_it_look_again() -> None:
    ledger = Ledger([node("n1"), node("n2")])
    before = ledger.eligibility
    ledger.put_nodes([node("n1", [device("n1/0", load=900, foreign_mib=5)], pods=7, open=False)])
    ledger.put_nodes([node("n2", closed="it advertises nvidia.com/gpu")])
    ledger.close_node(NodeName("n1"), "somebody can't be understood")
    ledger.bind(pod("p"), place("n2", (0, 500, 8_000)))
    assert ledger.eligibility is before
    ledger.put_nodes([node("n1", labels={"zone": "a"})])
    assert ledger.eligibility is not before
    assert rows(ledger.eligibility.now(only(zone="a")), 2) == [0]
    ledger.put_nodes([node("n2", labels={"zone": "a"}), node("n3")])
    assert rows(ledger.eligibility.now(only(zone="a")), 3) == [0, 1]
    ledger.put_nodes([node("n1", labels={"zone": "a"}, taints=(Taint("gpu"),))])
    assert rows(ledger.eligibility.now(only(zone="a")), 3) == [1]


def test_a_node_that_is_gone_is_in_nobodys_way_and_may_come_back_as_another() -> None:
    ledger = Ledger([node("n1", taints=(Taint("gpu"),)), node("n2")])
    assert rows(ledger.eligibility.now(NO_CONSTRAINTS), 2) == [1]
    ledger.drop_node(NodeName("n1"))
    assert ledger.eligibility.now(NO_CONSTRAINTS) is None
    ledger.put_nodes([node("n1", taints=(Taint("team"),))])
    assert rows(ledger.eligibility.now(NO_CONSTRAINTS), 2) == [1]


def test_a_snapshot_keeps_what_held_when_it_was_taken() -> None:
    ledger = Ledger([node("n1", labels={"zone": "a"}), node("n2")])
    snapshot = ledger.snapshot()
    ledger.put_nodes([node("n1", labels={"zone": "b"}), node("n2", labels={"zone": "a"})])
    assert rows(snapshot.eligibility.now(only(zone="a")), 2) == [0]
    assert rows(ledger.snapshot().eligibility.now(only(zone="a")), 2) == [1]


def test_past_the_kinds_that_it_remembers_it_begins_anew() -> None:
    eligibility = Ledger([node("n1", labels={"zone": "3"}), node("n2")]).eligibility
    for number in range(KINDS_KEPT + 5):
        eligibility.now(only(zone=str(number)))
        eligibility.ever(only(zone=str(number)))
    assert rows(eligibility.now(only(zone="3")), 2) == [0]
    assert rows(eligibility.ever(only(zone="4")), 2) == []
