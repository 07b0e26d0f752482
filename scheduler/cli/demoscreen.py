"""Where the demo is shown: a terminal, a pipe, or JSON."""

import json
import sys
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from scheduler.cli import demoview
from scheduler.core.model.standing import Standing
from scheduler.simulator.demoreport import Report

LINE_SECONDS = 2.0


class Screen:
    """A live view on a terminal, a plain line now and then elsewhere, nothing if quiet."""

    def __init__(self, seconds: float, *, quiet: bool) -> None:
        self._seconds, self._quiet = seconds, quiet
        self._url, self._last = "", -LINE_SECONDS
        console = Console(highlight=False)
        alive = console.is_terminal and not quiet
        self._live = Live(console=console, auto_refresh=False, transient=True) if alive else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def note(self, text: str) -> None:
        """Tell what is done before there is anything to show."""
        if self._live:
            self._live.update(Text(text), refresh=True)
        elif not self._quiet:
            click.echo(text)

    def page(self, url: str) -> None:
        """Tell where the page is."""
        self._url = url
        if not self._quiet and not self._live:
            click.echo(f"status page: {url}")

    def show(self, standing: Standing, passed: float) -> None:
        """Show the moment."""
        if self._live:
            view = demoview.live(standing, passed, self._seconds, url=self._url)
            self._live.update(view, refresh=True)
        elif not self._quiet and passed - self._last >= LINE_SECONDS:
            self._last = passed
            click.echo(demoview.line(standing, passed))


def tell(report: Report, *, as_json: bool) -> None:
    """Print the report."""
    if as_json:
        click.echo(json.dumps(_as_json(report), indent=1))
        return
    # A pipe has no width to keep to.
    width = None if sys.stdout.isatty() else 120
    Console(width=width, highlight=False).print(demoview.report(report))


def _as_json(report: Report) -> dict[str, Any]:
    shown: dict[str, Any] = asdict(report)
    for line, shown_line in zip(report.tenants, shown["tenants"], strict=True):
        shown_line["ratio"] = line.ratio
    if report.audit is None:
        del shown["audit"]
    return shown
