"""`equipoise demo`: an embedded cluster shares its GPUs between one large tenant and six small.

Nothing is stubbed but Kubernetes itself: the extender, the controller and the page are the real
ones, and every pod goes through filter and bind over HTTP.
"""

import gc
import json
import math
import sys
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from scheduler import http
from scheduler.cli import demoview
from scheduler.cli.demorun import Options, run, with_limit
from scheduler.clock import SystemClock
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.standing import Standing
from scheduler.simulator import virtualtime
from scheduler.simulator.demoreport import Report

LONGEST_SECONDS = 3600.0
LINE_SECONDS = 2.0


@click.command("demo")
@click.option("--seconds", type=click.FloatRange(1, LONGEST_SECONDS), default=40, show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8800, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the page listens.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the workload.")
@click.option("--no-web", is_flag=True, help="Without the status page.")
@click.option("--fast", is_flag=True, help="In virtual time: as fast as it goes, without the page.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, nothing else.")
@click.pass_context
def demo(context: click.Context, /, as_json: bool, fast: bool, **choices: Any) -> None:
    """Share 20 mocked GPUs between one large tenant and six small ones that come later.

    Ends by itself with a report; exit status 1 if a GPU was sold twice.
    """
    if math.isnan(choices["seconds"]):
        raise InvalidInput("--seconds must be a number of seconds, such as 40")
    port = None if choices["no_web"] or fast else choices["port"]
    options = Options(choices["seconds"], choices["seed"], choices["host"], port, sockets=not fast)
    report = _run(options, fast=fast, quiet=as_json)
    if as_json:
        click.echo(json.dumps(_as_json(report), indent=1))
    else:
        # A pipe has no width to keep to.
        Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(
            demoview.report(report)
        )
    if report.oversold_gpus:
        context.exit(1)


def _run(options: Options, *, fast: bool, quiet: bool) -> Report:
    screen = _Screen(options.seconds, quiet=quiet)
    with screen:
        if fast:
            clock = virtualtime.LoopClock()
            return virtualtime.run(run(options, clock, show=screen.show, listening=screen.page))
        # What was imported stays: the collector needn't look at it in the middle of a call.
        gc.freeze()
        work = run(options, SystemClock(), show=screen.show, listening=screen.page)
        return http.run(with_limit(work, options.seconds + 30))


class _Screen:
    """A live view on a terminal, a plain line now and then elsewhere, nothing if quiet."""

    def __init__(self, seconds: float, *, quiet: bool) -> None:
        self._seconds, self._quiet = seconds, quiet
        self._url, self._last = "", -LINE_SECONDS
        console = Console(highlight=False)
        alive = console.is_terminal and not quiet
        self._live = Live(console=console, auto_refresh=False, transient=True) if alive else None

    def __enter__(self) -> "_Screen":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

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


def _as_json(report: Report) -> dict[str, Any]:
    shown: dict[str, Any] = asdict(report)
    for line, shown_line in zip(report.tenants, shown["tenants"], strict=True):
        shown_line["ratio"] = line.ratio
    return shown
