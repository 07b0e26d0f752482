"""How each kind of panel is drawn with matplotlib."""

import math
import re
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FuncFormatter, PercentFormatter

from hack.dashboards.panels import Panel, Query
from hack.dashboards.prometheus import Series

Answer = tuple[Query, Sequence[Series]]

COLORS = [colormaps["tab10"](at) for at in range(10)]
SCHEMES = {"continuous-BlPu": "BuPu", "continuous-GrYlRd": "YlOrRd"}


def curves(axes: Axes, panel: Panel, answers: list[Answer], start: float) -> None:
    """Draw curves, or areas on top of each other."""
    named = sorted(
        (
            (_name(query.legend, each), each)
            for query, found in answers
            for each in found
            if not all(math.isnan(value) for _, value in each.points)
        ),
        key=lambda pair: pair[0],
    )
    custom = panel.shape["defaults"]["custom"]
    if custom["stacking"]["mode"] == "normal":
        _areas(axes, named, start)
    else:
        for at, (name, series) in enumerate(named):
            xs, ys = _points(series, start, panel.unit)
            axes.plot(xs, ys, label=name, color=COLORS[at % len(COLORS)], linewidth=1.4)
    if "thresholdsStyle" in custom:
        level = panel.shape["defaults"]["thresholds"]["steps"][-1]["value"]
        axes.axhline(level, color="grey", linestyle="--", linewidth=0.8)
    _dress(axes, panel, legend=bool(named))


def buckets(axes: Axes, panel: Panel, answers: list[Answer], start: float) -> None:
    """Draw a heat map of a histogram over time: counts come cumulated by upper bound."""
    found = [series for _, listed in answers for series in listed]
    bounds = sorted({float(each.labels["le"]) for each in found})
    times = sorted({at for each in found for at, _ in each.points})
    counts = np.zeros((len(bounds), len(times)))
    for each in found:
        row = bounds.index(float(each.labels["le"]))
        for at, value in each.points:
            counts[row, times.index(at)] = value
    apart = np.maximum(np.diff(counts, axis=0, prepend=0), 0)
    axes.imshow(
        np.where(apart > 0, np.sqrt(apart), np.nan),
        aspect="auto",
        origin="lower",
        cmap="Oranges",
        extent=(times[0] - start, times[-1] - start, -0.5, len(bounds) - 0.5),
    )
    seconds = EngFormatter("s")
    labels = [f"≤ {seconds(bound)}" if math.isfinite(bound) else "more" for bound in bounds]
    axes.set_yticks(range(len(bounds)), labels, fontsize=8)
    axes.set_xlabel("seconds", fontsize=8)


def cards(axes: Axes, panel: Panel, answers: list[Answer], start: float) -> None:
    """Draw a cell for each card, a row for each node."""
    found = [series for _, listed in answers for series in listed]
    nodes = sorted({each.labels["node"] for each in found})
    devices = sorted({int(each.labels["device"]) for each in found})
    cells = np.full((len(nodes), len(devices)), np.nan)
    for each in found:
        cells[nodes.index(each.labels["node"]), devices.index(int(each.labels["device"]))] = (
            each.last
        )
    scheme = SCHEMES[panel.shape["defaults"]["color"]["mode"]]
    axes.imshow(cells, aspect="auto", cmap=scheme, vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(cells):
        if math.isnan(value):
            continue
        color = "white" if value > 0.6 else "black"
        axes.text(column, row, f"{value:.0%}", ha="center", va="center", color=color, fontsize=9)
    axes.set_yticks(range(len(nodes)), nodes, fontsize=8)
    axes.set_xticks(range(len(devices)), [f"card {device}" for device in devices], fontsize=8)


def _areas(axes: Axes, named: Sequence[tuple[str, Series]], start: float) -> None:
    times = sorted({at for _, series in named for at, _ in series.points})
    known = [dict(series.points) for _, series in named]
    heights = [[values.get(at, 0.0) for at in times] for values in known]
    axes.stackplot(
        [at - start for at in times],
        heights,
        labels=[name for name, _ in named],
        colors=COLORS,
        alpha=0.75,
    )


def _points(series: Series, start: float, unit: str) -> tuple[list[float], list[float]]:
    # Marks on an axis are round numbers of what is drawn: so GiB, not bytes.
    of = 2**30 if unit == "bytes" else 1
    return [at - start for at, _ in series.points], [value / of for _, value in series.points]


def _name(legend: str, series: Series) -> str:
    return re.sub(r"{{(\w+)}}", lambda found: series.labels.get(found[1], ""), legend)


def _dress(axes: Axes, panel: Panel, *, legend: bool) -> None:
    defaults = panel.shape["defaults"]
    if "min" in defaults:
        axes.set_ylim(bottom=defaults["min"])
    if "max" in defaults:
        axes.set_ylim(top=defaults["max"] * 1.02)
    axes.yaxis.set_major_formatter(_formatter(panel.unit))
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.margins(x=0)
    axes.set_xlabel("seconds", fontsize=8)
    if legend:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)


def _formatter(unit: str) -> FuncFormatter | EngFormatter | PercentFormatter:
    if unit == "percentunit":
        return PercentFormatter(1.0, decimals=0)
    if unit == "bytes":
        return FuncFormatter(lambda value, _: f"{value:g} GiB")
    if unit == "s":
        return EngFormatter("s")
    suffix = unit.removeprefix("suffix:") if unit.startswith("suffix:") else ""
    words = {"reqps": "/s", "ops": "/s"}
    return FuncFormatter(lambda value, _: f"{value:g}{words.get(unit, suffix)}")
