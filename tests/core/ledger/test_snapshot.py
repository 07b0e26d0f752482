"""A snapshot stands still, and a trial takes back exactly what it did."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.ledger.columns import CHANGES_KEPT, Columns
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.ledger.snapshot import Held, Snapshot, Trial
from scheduler.core.model.nodes import Node
from scheduler.core.model.requests import Request
from scheduler.core.packing.packer import Packer
from tests.support import builders
from tests.support.builders import described, node, place, pod, share, tenant

ARRAYS = (
    *("free", "room", "free_mib", "room_mib", "free_cpu", "free_ram", "free_pods"),
    *("hosted", "shut", "load"),
)


def ledger() -> Ledger:
    return Ledger([node("n1"), node("n2")])


@pytest.mark.parametrize("name", ARRAYS)
def test_nobody_can_write_to_a_snapshot(name: str) -> None:
    array = getattr(ledger().snapshot().columns, name)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_a_snapshot_does_not_see_what_comes_later() -> None:
    live = ledger()
    lags = {tenant("a").name: 3.0}
    live.bind(pod("p"), place("n1", (0, 500, 8_000)))
    snapshot = live.snapshot(tenants=[tenant("a")], lags=lags)
    before = described(snapshot.columns)
    lags.clear()
    live.release(pod("p").uid)
    live.bind(pod("q", 700), place("n1", (0, 700, 11_200)))
    live.put_nodes([node("n3", devices=5), node("n2", devices=1)])
    assert described(snapshot.columns) == before
    assert snapshot.held == {"a": Held(500, 0, 1)}
    assert snapshot.lags == {"a": 3.0}
    assert snapshot.generation < live.generation


def test_a_trial_leaves_its_snapshot_alone() -> None:
    snapshot = ledger().snapshot()
    before = described(snapshot.columns)
    trial = snapshot.trial()
    trial.take(place("n1", (0, 500, 8_000)), share(500))
    assert trial.columns.free[0, 0] == 500
    assert described(snapshot.columns) == before


def test_what_an_attempt_keeps_stands() -> None:
    trial = ledger().snapshot().trial()
    with trial.attempt() as attempt:
        trial.take(place("n1", (0, 500, 8_000)), share(500))
        attempt.keep()
    assert trial.columns.free[0, 0] == 500


def test_what_is_kept_inside_goes_with_what_is_around_it() -> None:
    trial = ledger().snapshot().trial()
    before = trial.columns.copy()
    with trial.attempt():
        trial.take(place("n1", (0, 500, 8_000)), share(500))
        with trial.attempt() as inner:
            trial.take(place("n1", (1, 250, 4_000)), share(250))
            inner.keep()
        assert trial.columns.free[0].tolist() == [500, 750]
    assert trial.columns.same_as(before)


def test_what_is_not_kept_inside_leaves_what_is_around_it() -> None:
    trial = ledger().snapshot().trial()
    with trial.attempt() as outer:
        trial.take(place("n1", (0, 500, 8_000)), share(500))
        with trial.attempt():
            trial.give(place("n1", (0, 500, 8_000)), share(500))
            assert trial.columns.free[0, 0] == 1000
        outer.keep()
    assert trial.columns.free[0, 0] == 500


def test_an_exception_rolls_back_and_goes_on() -> None:
    trial = ledger().snapshot().trial()
    before = trial.columns.copy()

    def stumble() -> Iterator[None]:
        with trial.attempt():
            trial.take(place("n1", (0, 500, 8_000)), share(500))
            raise LookupError

    with pytest.raises(LookupError):
        stumble()
    assert trial.columns.same_as(before)


Step = tuple[Request, int, bool]


@given(
    cluster=builders.clusters(most=3),
    steps=st.lists(st.tuples(builders.requests(), st.integers(0, 3), st.booleans()), max_size=12),
)
def test_any_attempts_in_one_another_roll_back_exactly(
    cluster: list[Node], steps: list[Step]
) -> None:
    trial = Ledger(cluster).snapshot().trial()
    before = trial.columns.copy()
    with trial.attempt():
        nest(trial, steps)
    assert trial.columns.same_as(before)


def nest(trial: Trial, steps: list[Step]) -> None:
    """Take places, each inside an attempt of its own that holds the next ones."""
    if not steps:
        return
    request, seed, keep = steps[0]
    mark = trial.columns.copy()
    with trial.attempt() as attempt:
        found = Packer(trial.columns, "random").place(request, seed=seed)
        if found is not None:
            trial.take(found, request)
        nest(trial, steps[1:])
        if keep:
            attempt.keep()
    assert keep or trial.columns.same_as(mark)


def test_columns_grow_with_nodes_and_devices() -> None:
    columns = Columns([node("n1", devices=2)])
    columns.take(0, place("n1", (1, 500, 8_000)).slots, share(500))
    columns.add([node(f"m{number}", devices=number % 9) for number in range(300)])
    assert columns.free.shape == (301, 8)
    assert columns.free[0].tolist() == [1000, 500, 0, 0, 0, 0, 0, 0]
    assert columns.room[0].tolist() == [1000, 500, -1, -1, -1, -1, -1, -1]
    columns.reset(0, node("n1", devices=12))
    assert columns.width == 12
    assert columns.free[0].tolist() == [1000] * 12
    assert columns.room[columns.row[node("m8").name]].tolist() == [1000] * 8 + [-1] * 4


def test_columns_without_nodes_have_room_for_nothing() -> None:
    snapshot = Snapshot(Columns())
    assert Packer(snapshot.columns, "fgd").place(share(500)) is None
    assert Packer(Columns([node("n1", devices=0)]), "best-fit").place(share(1)) is None


def test_the_list_of_changes_starts_again_before_it_grows_without_end() -> None:
    columns = Columns([node("n1"), node("n2")])
    packer, slots = Packer(columns, "best-fit"), place("n1", (0, 500, 8_000)).slots
    assert packer.place(share(600)) == place("n1", (0, 600, 9_600))
    epoch = columns.epoch
    for _ in range(CHANGES_KEPT // 2):
        columns.take(0, slots, share(500))
        columns.give(0, slots, share(500))
    columns.take(0, place("n1", (0, 1000, 16_000)).slots, share(1000))
    assert columns.epoch > epoch
    assert len(columns.changes) < CHANGES_KEPT
    assert packer.place(share(600)) == Packer(columns, "best-fit").place(share(600))
    assert packer.place(share(600)) == place("n1", (1, 600, 9_600))
