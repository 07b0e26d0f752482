"""Pictures of the dashboards' main figures, drawn from what Prometheus answers.

    python -m hack.dashboards.pictures http://127.0.0.1:9090 [--minutes 15] [--folder docs/images]

The queries are those of the panels. matplotlib draws instead of Grafana, in much the same way.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from hack.dashboards import check, figures
from hack.dashboards.__main__ import BOARDS
from hack.dashboards.boards import Board
from hack.dashboards.panels import Panel
from hack.dashboards.prometheus import Prometheus, Window

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"
COLUMNS = 2

SHOWN: Mapping[str, tuple[str, ...]] = {
    "equipoise-fairness": (
        "Due",
        "Got",
        "Got less due: over and under",
        "Lag: what tenants are owed",
        "Why pods wait",
        "Who waits",
        "Turns, by tenant (95 %)",
        "Jain's index over time",
    ),
    "equipoise-gpus": (
        "Allocated, by card",
        "Load, by card",
        "Allocated against used",
        "Allocated and busy, by model",
        "Free and fragmented",
        "Promised and idle",
        "Promise against measured memory",
        "Memory of strangers, by card",
    ),
    "equipoise-itself": (
        "Extender: time to answer (99 %)",
        "Webhook: time to answer (99 %)",
        "Event loop: how late it was",
        "Rounds of decisions",
        "Decisions",
        "Memory of serve",
    ),
}
"""Titles of the panels that are drawn, by dashboard."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Where answers come from, and of what time."""

    server: Prometheus
    during: Window

    def draw(self, panel: Panel, axes: Axes) -> None:
        """Draw one panel."""
        how = _DRAWN[panel.kind]
        axes.set_title(panel.title, loc="left", fontsize=10, fontweight="bold")
        answers: list[figures.Answer] = [
            (query, self.server.now(self.during.fill(query.expr), self.during.end))
            if panel.now
            else (query, self.server.over(self.during.fill(query.expr), self.during))
            for query in panel.queries
        ]
        how(axes, panel, answers, self.during.start)


_DRAWN: Mapping[str, Callable[[Axes, Panel, list[figures.Answer], float], None]] = {
    "timeseries": figures.curves,
    "heatmap": figures.buckets,
    "table": figures.cards,
}


def draw_all(server: Prometheus, during: Window, folder: Path) -> None:
    """Draw a picture of each dashboard into the folder."""
    mpl.use("svg" if folder.suffix == ".svg" else "agg")
    folder.mkdir(parents=True, exist_ok=True)
    for board in BOARDS:
        name = board.uid.removeprefix("equipoise-")
        _draw(board, Sheet(server, during), folder / f"dashboard-{name}.png")


def _draw(board: Board, sheet: Sheet, path: Path) -> None:
    by_title = {panel.title: panel for panel in board.panels}
    panels = [by_title[title] for title in SHOWN[board.uid]]
    rows = -(-len(panels) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(13, 3 * rows), layout="constrained")
    figure.suptitle(board.title, fontsize=13, fontweight="bold")
    for panel, place in zip(panels, axes.flat, strict=True):
        sheet.draw(panel, place)
    figure.savefig(path, dpi=100)
    plt.close(figure)


@click.command()
@click.argument("url")
@click.option("--minutes", type=click.FloatRange(1), default=15.0, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), default=FOLDER)
def main(url: str, minutes: float, folder: Path) -> None:
    """Draw the dashboards from what the Prometheus at URL knows."""
    server = Prometheus(url)
    draw_all(server, check.window(minutes, time.time()), folder)
    server.close()


if __name__ == "__main__":
    main()
