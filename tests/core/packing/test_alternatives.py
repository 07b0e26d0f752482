"""Other nodes that a pod is pinned to, should its planned one fail meanwhile."""

import numpy as np

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.ids import NodeName
from scheduler.core.packing.packer import Packer
from tests.support.builders import cpu_only, node, share, whole


def test_others_are_nodes_with_room_and_never_the_planned_one() -> None:
    columns = Columns([node("n1", 1), node("n2", 1), node("n3", 2), node("n4", 2)])
    packer = Packer(columns, "best-fit")
    planned = packer.place(whole(2))
    assert planned is not None
    assert planned.node == "n3"
    assert packer.others(whole(2), planned.node, 2) == ("n4",)


def test_the_best_come_first_and_no_more_than_asked_for() -> None:
    columns = Columns([node(f"n{number}", number) for number in (4, 1, 3, 2)])
    packer = Packer(columns, "best-fit")
    assert packer.others(share(500), NodeName("n1"), 2) == ("n2", "n3")
    assert packer.others(share(500), NodeName("n2"), 2) == ("n1", "n3")
    assert packer.others(share(500), NodeName("n1"), 9) == ("n2", "n3", "n4")


def test_where_nothing_fits_there_are_none() -> None:
    assert Packer(Columns([node("n1", 1)]), "fgd").others(whole(2), NodeName("n1"), 2) == ()
    assert Packer(Columns(), "fgd").others(whole(2), NodeName("n1"), 2) == ()


def test_of_some_rows_only_those_are_named() -> None:
    columns = Columns([node(f"n{number}", number) for number in (4, 1, 3, 2)])
    packer, rows = Packer(columns, "best-fit"), np.array([0, 1, 2])
    assert packer.others(share(500), NodeName("n1"), 9, among=rows) == ("n3", "n4")
    assert packer.others(share(500), NodeName("n1"), 1, among=rows) == ("n3",)
    assert packer.others(whole(4), NodeName("n2"), 1, among=rows[1:]) == ()
    assert packer.others(share(500), NodeName("n2"), 1, among=rows[:0]) == ()


def test_a_node_that_runs_as_many_pods_as_it_may_is_none() -> None:
    columns = Columns([node("n1", 1), node("n2", 1, pods=1)])
    packer = Packer(columns, "best-fit")
    assert packer.others(share(500), NodeName("n1"), 2) == ("n2",)
    columns.take(1, (), cpu_only(0))
    assert packer.others(share(500), NodeName("n1"), 2) == ()


def test_all_nodes_with_room_are_told_with_their_scores() -> None:
    columns = Columns([node(f"n{number}", number) for number in (4, 1, 0, 2)])
    packer = Packer(columns, "best-fit")
    ranked = packer.scored(whole(1))
    assert [name for name, _ in ranked] == ["n1", "n2", "n4"]
    scores = [score for _, score in ranked]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[2]
    assert packer.scored(whole(1), among=np.array([0, 3])) == ranked[1:]
    assert packer.scored(whole(5)) == ()
