"""A real node without a container engine: `python -m hack.node up`, or `… run COMMAND`.

What `make node` and `make test-node` call once everything is built.
"""

import sys

import click

from scheduler.cli.main import Entry, run
from tests.support.node import enclosure

COMMAND = Entry("hack.node.__main__:command", "Run a control plane and a real node.")


@click.group("node")
def command() -> None:
    """Run a control plane and one real node in namespaces of their own."""


@command.command("up")
@click.pass_context
def up(context: click.Context, /) -> None:
    """Start the node, install Equipoise on it, and keep both until Ctrl-C."""
    context.exit(enclosure.run([sys.executable, "-m", "hack.node.session"]))


@command.command("run", context_settings={"ignore_unknown_options": True})
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def run_inside(context: click.Context, /, argv: tuple[str, ...]) -> None:
    """Run a command where a node can be started, such as pytest."""
    context.exit(enclosure.run(argv))


if __name__ == "__main__":
    # `run COMMAND --flag`: what follows belongs to the command.
    sys.exit(run(["node", *sys.argv[1:]], {"node": COMMAND}))
