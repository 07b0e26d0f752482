"""The picture: bands over seeds, and labels that don't lie upon each other."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("matplotlib", reason="matplotlib draws; install it with equipoise[plot]")

from scheduler.simulator.traces import plot
from scheduler.simulator.traces.experiment import Run, Task, execute
from scheduler.simulator.traces.synthetic import synthetic_trace


def run(seed: int, *points: tuple[int, float, float]) -> Run:
    return Run("t", "fgd", seed, {}, 1, 1, 1.0, curve=points)


def test_a_band_is_median_and_quartiles_over_the_seeds_that_saw_the_load() -> None:
    runs = [run(1, (0, 1.0, 5.0), (1, 2.0, 6.0)), run(2, (1, 4.0, 8.0)), run(3, (1, 9.0, 9.0))]
    band = plot.band(runs, column=1)
    assert band.load.tolist() == [0, 1]
    assert band.median.tolist() == [1.0, 4.0]
    assert (band.low[1], band.high[1]) == (3.0, 6.5)
    assert plot.band(runs, column=2).median.tolist() == [5.0, 8.0]


@given(st.lists(st.floats(0, 100), max_size=9).map(sorted), st.floats(0.5, 5))
def test_labels_keep_their_distance_and_their_order(heights: list[float], gap: float) -> None:
    spaced = plot.spaced(heights, gap=gap)
    assert len(spaced) == len(heights)
    assert all(above - below >= gap - 1e-6 for below, above in pairwise(spaced))


def test_labels_with_room_stay_where_they_are() -> None:
    assert plot.spaced([1.0, 10.0, 20.0], gap=5.0) == [1.0, 10.0, 20.0]


@pytest.mark.parametrize("load", [130, 20])
def test_the_same_runs_give_the_same_picture(tmp_path: Path, load: int) -> None:
    trace = synthetic_trace()
    runs = [
        execute(Task(trace, policy, seed, load, curve=True))
        for policy in ("fgd", "random")
        for seed in (1, 2)
    ]
    for name in ("one.png", "two.png"):
        plot.draw(runs, tmp_path / name)
    picture = (tmp_path / "one.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert picture == (tmp_path / "two.png").read_bytes()
