"""Classes: rows are in one class as long as they are in one state, and none is forgotten."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.requests import Request
from scheduler.core.packing.classes import SPARE, Classes
from tests.support.builders import cpu_only, node, share


def made(columns: Columns, rank: list[int] | None = None) -> Classes:
    order = np.array(rank if rank is not None else range(len(columns.names)))
    return Classes(columns, order, hosted=False)


def agrees(classes: Classes, columns: Columns) -> None:
    rows = range(len(columns.names))
    states = [columns.state(row) for row in rows]
    for row in rows:
        number = int(classes.of[row])
        alike = [each for each in rows if states[each] == states[row]]
        in_order = sorted(alike, key=lambda each: int(classes.order[each]))
        assert classes.by_order[classes.places(number, len(rows))].tolist() == in_order
        assert classes.first[number] == classes.order[in_order[0]]
        assert classes.row_of(np.array([number])).tolist() == in_order[:1]
    empty = set(range(classes.used)) - set(classes.of.tolist())
    assert all(classes.first[number] == len(columns.names) for number in empty)


CHANGES = st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(1, 3)), max_size=30)


@settings(deadline=None)
@given(changes=CHANGES, rank=st.permutations(range(5)))
def test_they_follow_every_change(changes: list[tuple[bool, int, int]], rank: list[int]) -> None:
    columns = Columns([node(f"n{number}", 1) for number in range(5)])
    classes = made(columns, rank)
    agrees(classes, columns)
    for taking, row, cpu in changes:
        (columns.take if taking else columns.give)(row, (), cpu_only(cpu))
        classes.update(columns)
        agrees(classes, columns)


def test_numbers_of_states_that_are_long_gone_come_to_mean_others() -> None:
    columns = Columns([node(f"n{number}", 1, cpu_milli=10**6) for number in range(3)])
    classes = made(columns)
    before = classes.version[int(classes.of[0])]
    for _ in range(2 * SPARE):
        columns.take(0, (), cpu_only(1))
        classes.update(columns)
    agrees(classes, columns)
    assert classes.used <= SPARE + 3
    assert max(classes.version) > before


def test_who_knows_a_class_is_told_of_it_only_once_it_is_another() -> None:
    columns = Columns([node("n1", 1), node("n2", 1)])
    classes = made(columns)
    assert classes.news(0, [0]) == [0]
    assert classes.news(0, classes.version) == []
    columns.take(1, (), cpu_only(1))
    classes.update(columns)
    known = [*classes.version[:1], 0]
    assert classes.news(1, known) == [1]
    # The rows are alike again: nothing is new, and the class without a row isn't told of.
    columns.give(1, (), cpu_only(1))
    classes.update(columns)
    assert classes.news(1, known) == []


def test_load_and_hosted_pods_make_no_difference_unless_they_are_asked_for() -> None:
    columns = Columns([node("n1", 1), node("n2", 1)])
    columns.take(0, (), Request())
    columns.hosted[0, 1] = 1
    columns.load[0, 0] = 5
    assert len(set(made(columns).of.tolist())) == 1
    assert len(set(Classes(columns, np.arange(2), hosted=True).of.tolist())) == 2
    columns.take(0, (), share(0, cpu_milli=1))
    assert len(set(made(columns).of.tolist())) == 2
