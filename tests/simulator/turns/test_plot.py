"""The picture of service against due."""

import math
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="matplotlib draws; install it with equipoise[plot]")

from matplotlib import rc_context

from scheduler.simulator.turns.groups import Group, Spread
from scheduler.simulator.turns.plot import draw

GROUPS = (
    Group("large", 1, Spread(0.9, 0.9, 0.9), 1.0, 0.0, 0.0),
    Group("small", 10, Spread(0.0, 0.1, 12.34), 1.0, 0.0, 0.0),
    Group("absent", 1, Spread(math.nan, math.nan, math.nan), 0.0, math.nan, 0.0),
)


def test_a_panel_names_its_rules_groups_and_figures_also_those_beyond_its_edge(
    tmp_path: Path,
) -> None:
    with rc_context({"svg.fonttype": "none"}):
        draw({"sixty, 1": [("ours", GROUPS), ("theirs", GROUPS)]}, tmp_path / "one.svg")
    text = (tmp_path / "one.svg").read_text()
    for word in ("sixty, 1", "ours", "theirs", "large", "small", "absent", "12.34", "0.90"):
        assert f">{word}<" in text
    assert ">nan<" not in text


def test_the_same_runs_give_the_same_picture(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        draw({"a": [("ours", GROUPS)], "b": [("ours", GROUPS)]}, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
