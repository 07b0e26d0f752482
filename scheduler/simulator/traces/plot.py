"""Draws allocation and fragmentation against the load that has arrived. Needs matplotlib."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scheduler.simulator.traces.experiment import Run

Floats = npt.NDArray[np.float64]

COLOURS = {
    "bid-price": "#0b6e4f",
    "fgd": "#2f9a96",
    "best-fit": "#3b6fb6",
    "gpu-packing": "#8e5ea2",
    "gpu-clustering": "#c2571a",
    "dot-product": "#b8912b",
    "random": "#7a7a7a",
    "spread": "#b5476b",
}
MAIN = "bid-price"
"""Its line is drawn thicker, and its name bold."""

INK, FAINT = "#2b2b2b", "#d9d9d9"
FROM_LOAD = 70
"""Below this load all policies place everything, and their lines lie upon each other."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Median and quartiles over seeds, by load [L]."""

    load: Floats
    low: Floats
    median: Floats
    high: Floats


def endings() -> list[str]:
    """Name the kinds of picture that can be drawn, such as "png" and "svg"."""
    return sorted(Figure().canvas.get_supported_filetypes())


def draw(runs: Sequence[Run], path: Path) -> None:
    """Draw runs that have a curve into a picture; its ending says which kind."""
    traces = list(dict.fromkeys(run.trace for run in runs))
    figure = Figure(figsize=(12.5, 5.4 * len(traces)), layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.12)  # type: ignore[union-attr, call-arg]
    rows = figure.subplots(len(traces), 2, squeeze=False)
    for (left, right), trace in zip(rows, traces, strict=True):
        here = [run for run in runs if run.trace == trace]
        seeds = len({run.seed for run in here})
        _panel(left, here, column=1, start=_start(here))
        left.set_title(f"Allocated, % of all GPUs – trace {trace}", **_TITLE)
        _panel(right, here, column=2, start=0)
        right.set_title("Free but of no use to the usual pods, % of all GPUs", **_TITLE)
        right.set_ylim(bottom=0)
        band = f"median and quartiles of {seeds} seeds" if seeds > 1 else "one seed"
        left.set_xlabel(f"Arrived load, % of all GPUs ({band})", color=INK)
        right.set_xlabel("Arrived load, % of all GPUs", color=INK)
    # No date and no version, so that the same runs give the same file.
    metadata = {"Software": None} if path.suffix == ".png" else None
    figure.savefig(path, dpi=150, metadata=metadata)


_TITLE = {"loc": "left", "fontsize": 12, "fontweight": "bold", "color": INK, "pad": 12}


def band(runs: Sequence[Run], *, column: int) -> Band:
    """Gather one column of the curves (1 allocation, 2 fragmentation) over seeds."""
    loads = sorted({point[0] for run in runs for point in run.curve})
    at = {load: index for index, load in enumerate(loads)}
    values = np.full((len(runs), len(loads)), np.nan)
    for row, run in enumerate(runs):
        for point in run.curve:
            values[row, at[point[0]]] = point[column]
    low, median, high = np.nanpercentile(values, (25, 50, 75), axis=0)
    return Band(np.array(loads, dtype=np.float64), low, median, high)


def _start(runs: Sequence[Run]) -> int:
    last = max((run.curve[-1][0] for run in runs if run.curve), default=0)
    return FROM_LOAD if last > FROM_LOAD + 10 else 0


def _panel(axes: Axes, runs: Sequence[Run], *, column: int, start: int) -> None:
    ends: list[tuple[float, str]] = []
    lowest, last = 100.0, 0.0
    for policy in dict.fromkeys(run.policy for run in runs):
        lines = band([run for run in runs if run.policy == policy], column=column)
        shown = lines.load >= start
        colour, main = COLOURS.get(policy, INK), policy == MAIN
        load = lines.load[shown]
        axes.fill_between(
            load, lines.low[shown], lines.high[shown], color=colour, alpha=0.16, linewidth=0
        )
        axes.plot(load, lines.median[shown], color=colour, linewidth=2.4 if main else 1.6)
        ends.append((float(lines.median[-1]), policy))
        lowest, last = min(lowest, float(lines.median[shown].min())), max(last, float(load[-1]))
    if column == 1:
        axes.plot([start, 100], [start, 100], color=INK, linewidth=0.9, linestyle=(0, (2, 3)))
        axes.annotate(
            "everything placed", (98.5, 99.3), ha="right", va="center", fontsize=9, color=INK
        )
        axes.set_ylim(max(0.0, min(lowest, start) - 1), 101)
    _dress(axes, start, last)
    _label(axes, ends, last)


def _dress(axes: Axes, start: float, last: float) -> None:
    axes.set_xlim(start, max(last, start + 1))
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(colors=INK, length=0, labelsize=10)


def _label(axes: Axes, ends: Sequence[tuple[float, str]], last: float) -> None:
    """Write each policy's name and figure at the end of its line, none upon another."""
    ordered = sorted(ends)
    bottom, top = axes.get_ylim()
    heights = spaced([value for value, _ in ordered], gap=(top - bottom) * 0.047)
    for height, (value, policy) in zip(heights, ordered, strict=True):
        axes.annotate(
            f"{policy}  {value:.1f}",
            (last, value),
            xytext=(last + (last - axes.get_xlim()[0]) * 0.015, height),
            color=COLOURS.get(policy, INK),
            fontsize=10,
            fontweight="bold" if policy == MAIN else "normal",
            va="center",
            annotation_clip=False,
        )


def spaced(heights: Sequence[float], *, gap: float) -> list[float]:
    """Move sorted heights apart to at least `gap`, each group staying around its middle."""
    groups: list[list[float]] = []
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and _low(groups[-1], gap) < _high(groups[-2], gap) + gap:
            last = groups.pop()
            groups[-1] += last
    return [_low(group, gap) + gap * place for group in groups for place in range(len(group))]


def _low(group: Sequence[float], gap: float) -> float:
    return sum(group) / len(group) - gap * (len(group) - 1) / 2


def _high(group: Sequence[float], gap: float) -> float:
    return _low(group, gap) + gap * (len(group) - 1)
