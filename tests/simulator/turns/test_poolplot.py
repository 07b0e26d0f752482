"""The picture of a pool."""

from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="matplotlib draws; install it with equipoise[plot]")

from matplotlib import rc_context

from scheduler.simulator.turns.poolplot import draw

SEEDS = [[(1.0, 3_600.0, 600.0), (1.25, 7_200.0, 900.0)], [(0.5, 0.0, 0.0)]]


def test_each_seed_stands_in_both_panels(tmp_path: Path) -> None:
    with rc_context({"svg.fonttype": "none"}):
        draw(SEEDS, tmp_path / "one.svg")
    text = (tmp_path / "one.svg").read_text()
    for word in ("Work done, in the pool ÷ alone", "alone", "in the pool"):
        assert f">{word}<" in text
    assert text.count(">seed 1<") == text.count(">seed 2<") == 2


def test_the_same_outcomes_give_the_same_picture(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        draw(SEEDS, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
