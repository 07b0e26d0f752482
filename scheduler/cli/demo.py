"""`equipoise demo`: an embedded cluster shares its GPUs between one large tenant and six small.

Nothing is stubbed but Kubernetes itself: the extender, the controller and the page are the real
ones, and every pod goes through filter and bind over HTTP.
"""

import gc
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from scheduler import http
from scheduler.cli.demoplay import Options, with_limit
from scheduler.cli.demorun import run
from scheduler.cli.demoscreen import Screen, tell
from scheduler.cli.journaling import writing
from scheduler.clock import Clock, SystemClock
from scheduler.controller.ports import Journal
from scheduler.core.model.errors import InvalidInput
from scheduler.simulator import virtualtime
from scheduler.simulator.demoreport import Report

LONGEST_SECONDS = 3600.0

Command = TypeVar("Command", bound=Callable[..., Any])

_CHOICES = (
    click.option(
        "--seconds", type=click.FloatRange(1, LONGEST_SECONDS), default=40, show_default=True
    ),
    click.option("--port", type=click.IntRange(0, 65535), default=8800, show_default=True),
    click.option("--host", default="127.0.0.1", show_default=True, help="Where the page listens."),
    click.option("--seed", type=int, default=1, show_default=True, help="Of the workload."),
    click.option("--no-web", is_flag=True, help="Without the status page."),
    click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, nothing else."),
)


def choices(command: Command) -> Command:
    """Give a command the options that every demo has."""
    for choice in reversed(_CHOICES):
        command = choice(command)
    return command


def chosen(*, seconds: float, seed: int, host: str, port: int, no_web: bool) -> Options:
    """Return what was chosen; raise InvalidInput."""
    if math.isnan(seconds):
        raise InvalidInput("--seconds must be a number of seconds, such as 40")
    return Options(seconds, seed, host, None if no_web else port)


@click.command("demo")
@choices
@click.option("--fast", is_flag=True, help="In virtual time: as fast as it goes, without the page.")
@click.option(
    "--journal",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write what rounds saw and decided there, for `equipoise replay`.",
)
@click.pass_context
def demo(
    context: click.Context,
    /,
    as_json: bool,
    fast: bool,
    no_web: bool,
    journal: Path | None,
    **options: Any,
) -> None:
    """Share 20 mocked GPUs between one large tenant and six small ones that come later.

    Ends by itself with a report; exit status 1 if a GPU was sold twice.
    """
    wanted = chosen(no_web=no_web or fast, **options)
    with writing(journal) as kept:
        report = _run(wanted, kept, fast=fast, quiet=as_json)
    tell(report, as_json=as_json)
    if not report.sound:
        context.exit(1)


def _run(options: Options, journal: Journal | None, *, fast: bool, quiet: bool) -> Report:
    with Screen(options.seconds, quiet=quiet) as screen:
        if fast:
            options, clock = replace(options, sockets=False), virtualtime.LoopClock()
            return virtualtime.run(_work(options, clock, screen, journal))
        # What was imported stays: the collector needn't look at it in the middle of a call.
        gc.freeze()
        work = _work(options, SystemClock(), screen, journal)
        return http.run(with_limit(work, options.seconds + 30))


async def _work(options: Options, clock: Clock, screen: Screen, journal: Journal | None) -> Report:
    return await run(options, clock, show=screen.show, listening=screen.page, journal=journal)
