"""`equipoise`: finds the command, and turns every way to fail into one line and an exit status.

0 good; 1 the answer is no (a command calls `ctx.exit(1)`); 2 bad input; 130 interrupted;
141 the reader of our output went away.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from io import TextIOWrapper
from typing import Any, NoReturn

import click

from scheduler.core.model.errors import EquipoiseError

DEBUG = "EQUIPOISE_DEBUG"
"""Environment: an internal error keeps its traceback."""

GOOD, BAD_INPUT, INTERRUPTED, READER_GONE = 0, 2, 130, 141


@dataclass(frozen=True, slots=True)
class Entry:
    """A command that is imported only when it is called: `target` is "module:attribute"."""

    target: str
    help: str

    @property
    def module(self) -> str:
        """The module that holds the command."""
        return self.target.partition(":")[0]

    def load(self) -> click.Command:
        """Import the command."""
        command = getattr(import_module(self.module), self.target.partition(":")[2])
        assert isinstance(command, click.Command), f"{self.target} is no click command"
        return command


COMMANDS = {
    "demo": Entry(
        "scheduler.cli.demo:demo", "Watch an embedded cluster share its GPUs between tenants."
    ),
    "simulate": Entry(
        "scheduler.cli.simulate:simulate", "Replay a trace and compare packing policies."
    ),
    "scenario": Entry("scheduler.cli.scenario:scenario", "Run scenarios and tell which ones hold."),
    "shares": Entry(
        "scheduler.cli.shares:shares", "Divide a cluster's GPUs between tenants, exactly."
    ),
    "serve": Entry("scheduler.cli.serve:serve", "Share a Kubernetes cluster's GPUs."),
    "tenants": Entry(
        "scheduler.cli.tenants:tenants", "Show who is due what in a cluster, and who has what."
    ),
    "top": Entry("scheduler.cli.top:top", "Show each GPU of a cluster and who is on it."),
    "explain": Entry(
        "scheduler.cli.explain:explain", "Say why a pod waits, or why it is where it is."
    ),
    "whatif": Entry(
        "scheduler.cli.whatif:whatif", "Say whether a pod could start now, and what it lacks."
    ),
    "defrag": Entry(
        "scheduler.cli.defrag:defrag", "Move pods together, so that some of those that wait fit."
    ),
    "replay": Entry(
        "scheduler.cli.replay:command", "Decide again about a journal's rounds, and compare."
    ),
    "agent": Entry("scheduler.cli.agent:agent", "Publish this node's GPUs and what uses them."),
}


class CommandTable(click.Group):
    """A group that knows its commands by name and imports only the one that is called.

    So `--help` costs neither numpy nor FastAPI. A module that isn't installed isn't listed.
    """

    def __init__(self, entries: Mapping[str, Entry], **settings: Any) -> None:
        super().__init__(invoke_without_command=True, **settings)
        self.entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the table."""
        return [name for name, entry in self.entries.items() if find_spec(entry.module)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None if there is none of that name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        return self.entries[cmd_name].load()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with the help of the table, without importing them."""
        rows = [(name, self.entries[name].help) for name in self.list_commands(ctx)]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a reader that went away ends it without a word."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Caught here because click would call it 1, which means "no".
            ctx.exit(READER_GONE)


def _show_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    try:
        click.echo(f"equipoise {metadata.version('equipoise')}")
    except metadata.PackageNotFoundError:
        click.echo("equipoise, run from a checkout that isn't installed")
    ctx.exit()


@click.pass_context
def _show_help(ctx: click.Context, /, **_options: Any) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def command(entries: Mapping[str, Entry]) -> CommandTable:
    """Make the `equipoise` command over a table of subcommands."""
    version = click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_version,
        help="Show the version and exit.",
    )
    return CommandTable(
        entries,
        name="equipoise",
        callback=_show_help,
        params=[version],
        help="Equipoise shares GPUs in fractions, fairly between large and small tenants.",
        epilog="Exit status: 0 good, 1 the answer is no, 2 bad input.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def run(arguments: Sequence[str], entries: Mapping[str, Entry] = COMMANDS) -> int:
    """Run one command line and return its exit status; whatever was wrong is told on stderr."""
    try:
        status = command(entries).main(
            list(arguments), prog_name="equipoise", standalone_mode=False
        )
        sys.stdout.flush()
    except click.Abort:
        return INTERRUPTED
    except BrokenPipeError:
        status = READER_GONE
    except (click.ClickException, EquipoiseError, OSError) as problem:
        _complain(_sentence(problem))
        return BAD_INPUT
    except Exception as problem:
        if DEBUG in os.environ:
            raise
        what = f"{type(problem).__name__}: {problem}"
        _complain(f"internal error, please report it ({what}); with {DEBUG}=1 it tells where")
        return BAD_INPUT
    if status == READER_GONE:
        _drop_output()
    return status if isinstance(status, int) else GOOD


def main() -> NoReturn:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that can't show a character must not cost the answer.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def _sentence(problem: Exception) -> str:
    if isinstance(problem, click.UsageError):
        path = problem.ctx.command_path if problem.ctx else "equipoise"
        return f'{problem.format_message().rstrip(".")}; see "{path} --help"'
    if isinstance(problem, click.ClickException):
        return problem.format_message()
    if isinstance(problem, OSError) and problem.filename is not None:
        return f"{problem.filename}: {problem.strerror}"
    return str(problem)


def _complain(text: str) -> None:
    # A message of several lines (YAML's, for one) becomes the one line that was promised.
    click.echo(f"equipoise: {' '.join(text.split())}", err=True)


def _drop_output() -> None:
    # What is still buffered would be flushed at exit, and fail once more, with a traceback.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
