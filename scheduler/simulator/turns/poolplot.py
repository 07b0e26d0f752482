"""Draws what owners get of a pool, beside what their own machines would give. Needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scheduler.simulator.turns.plot import COLOURS, INK, dress
from scheduler.simulator.turns.workloads import HOUR

Point = tuple[float, float, float]
"""Service in the pool ÷ alone, and mean delays alone and in the pool (seconds), of one owner."""


def draw(seeds: Sequence[Sequence[Point]], path: Path) -> None:
    """Draw the owners of each seed into a picture; its ending says which kind."""
    figure = Figure(figsize=(10, 4.6), layout="constrained", facecolor="white")
    service, delays = figure.subplots(1, 2)
    for number, owners in enumerate(seeds):
        colour = COLOURS[number % len(COLOURS)]
        ratios = sorted(ratio for ratio, _, _ in owners)
        # Side by side, or those that are alike would hide each other.
        places = [number + (at - (len(ratios) - 1) / 2) * 0.06 for at in range(len(ratios))]
        service.plot(places, ratios, "o", color=colour, markersize=5)
        alone, pooled = zip(*((one / HOUR, other / HOUR) for _, one, other in owners), strict=True)
        delays.plot(alone, pooled, "o", color=colour, markersize=5, label=f"seed {number + 1}")
    _service(service, len(seeds))
    _delays(delays)
    metadata = {"Software": None} if path.suffix == ".png" else None
    figure.savefig(path, dpi=150, metadata=metadata)


def _service(axes: Axes, seeds: int) -> None:
    axes.axhline(1, color=INK, linewidth=0.9, linestyle=(0, (2, 3)))
    _title(axes, "Work done, in the pool ÷ alone")
    axes.set_xticks(range(seeds), [f"seed {number + 1}" for number in range(seeds)])
    axes.set_xlim(-0.6, seeds - 0.4)
    dress(axes)


def _delays(axes: Axes) -> None:
    _title(axes, "Mean delay of an owner's jobs, hours")
    most = max(*axes.get_xlim(), *axes.get_ylim())
    axes.plot([0, most], [0, most], color=INK, linewidth=0.9, linestyle=(0, (2, 3)))
    axes.set_xlim(0, most)
    axes.set_ylim(0, most)
    axes.set_xlabel("alone", color=INK)
    axes.set_ylabel("in the pool", color=INK)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="upper left")
    dress(axes)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=12, fontweight="bold", color=INK, pad=12)
