"""Other nodes that a pod is pinned to, should its planned one fail meanwhile."""

import numpy as np
import pytest

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.ids import NodeName
from scheduler.core.model.requests import MAX_DEVICES
from scheduler.core.packing.mix import Mix
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


def test_where_nearly_all_rows_are_asked_about_the_answer_is_that_of_a_look_at_all() -> None:
    nodes = [node(f"n{number}", 1 + number % 3) for number in range(200)]
    columns = Columns(nodes)
    packer = Packer(columns, "best-fit")
    for left_out in ([0], [1, 4, 7], list(range(0, 99))):
        rows = np.array([at for at in range(200) if at not in left_out])
        best = [name for name, _ in packer.scored(share(500)) if columns.row[name] in rows]
        assert list(packer.ranked(share(500), 5, among=rows)) == best[:5]
        found = packer.place(share(500), among=rows)
        assert found is not None
        assert found.node == best[0]
        # An array that is another one by now, though it may lie where the first one was.
        del rows
    assert packer.ranked(share(500), 0, among=np.arange(3)) == ()
    assert packer.ranked(share(500), 300, among=np.arange(1, 200)) == tuple(
        name for name, _ in packer.scored(share(500), among=np.arange(1, 200))
    )


@pytest.mark.parametrize("policy", ["best-fit", "fgd", "bid-price"])
def test_the_largest_node_that_may_be_is_filled_by_one_pod(policy: str) -> None:
    columns = Columns([node("n1", MAX_DEVICES)])
    found = Packer(columns, policy, mix=Mix([(whole(1), 1)])).place(whole(MAX_DEVICES))
    assert found is not None
    assert len(found.slots) == MAX_DEVICES


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
