"""Draws service ÷ due by rule and size of tenant. Needs matplotlib."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scheduler.simulator.turns.groups import Group

Rows = Sequence[tuple[str, Sequence[Group]]]
"""Rules, each with how its groups of tenants were served."""

COLOURS = ("#3b6fb6", "#c2571a", "#0b6e4f", "#8e5ea2", "#b8912b", "#7a7a7a")
INK, FAINT = "#2b2b2b", "#d9d9d9"
TOP = 2.0
"""What is above stands at the edge, with its figure: everything else would lie on one line."""

_TITLE = {"loc": "left", "fontsize": 12, "fontweight": "bold", "color": INK, "pad": 12}


def draw(panels: Mapping[str, Rows], path: Path) -> None:
    """Draw a panel for each workload into a picture; its ending says which kind."""
    figure = Figure(figsize=(4.2 * len(panels) + 1, 4.6), layout="constrained", facecolor="white")
    axes_of = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axes, (title, rows) in zip(axes_of, panels.items(), strict=True):
        _panel(axes, rows)
        axes.set_title(title, **_TITLE)
    axes_of[0].set_ylabel("Service ÷ due: least, median, most of the tenants", color=INK)
    # No date and no version, so that the same runs give the same file.
    metadata = {"Software": None} if path.suffix == ".png" else None
    figure.savefig(path, dpi=150, metadata=metadata)


def _panel(axes: Axes, rows: Rows) -> None:
    names = list(dict.fromkeys(group.name for _, groups in rows for group in groups))
    width = 0.7 / len(names)
    axes.axhline(1, color=INK, linewidth=0.9, linestyle=(0, (2, 3)))
    for at, (_, groups) in enumerate(rows):
        for group in groups:
            number = names.index(group.name)
            x = at + (number - (len(names) - 1) / 2) * width
            _bar(axes, x, group, COLOURS[number % len(COLOURS)])
    for number, name in enumerate(names):
        axes.plot([], [], color=COLOURS[number % len(COLOURS)], marker="o", label=name)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="upper left", ncols=2)
    axes.set_xticks(range(len(rows)), [rule for rule, _ in rows])
    axes.set_xlim(-0.6, len(rows) - 0.4)
    axes.set_ylim(-TOP * 0.09, TOP * 1.24)
    dress(axes)


def _bar(axes: Axes, x: float, group: Group, colour: str) -> None:
    served = group.served
    if math.isnan(served.middle):
        return
    low, middle, high = (min(value, TOP) for value in (served.least, served.middle, served.most))
    axes.plot([x, x], [low, high], color=colour, linewidth=5, alpha=0.35, solid_capstyle="round")
    axes.plot([x], [middle], color=colour, marker="o", markersize=6)
    axes.annotate(
        f"{served.most:.2f}", (x, high), xytext=(0, 6), textcoords="offset points",
        ha="center", fontsize=8, color=colour,
    )  # fmt: skip
    if served.most - served.least >= 0.05:
        axes.annotate(
            f"{served.least:.2f}", (x, low), xytext=(0, -6), textcoords="offset points",
            ha="center", va="top", fontsize=8, color=colour,
        )  # fmt: skip


def dress(axes: Axes) -> None:
    """Draw a quiet grid, and no frame."""
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(colors=INK, length=0, labelsize=9)
