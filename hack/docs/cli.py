"""The page of commands: what `--help` says of each, from the commands themselves."""

import click

from hack.docs.markdown import written_by
from scheduler.cli.main import COMMANDS, command

_INTRODUCTION = f"""\
# Commands

{written_by("scheduler/cli")}

`equipoise COMMAND`, or `kubectl equipoise COMMAND`. Those that look at a cluster find it as kubectl
does. Exit status: 0 good, 1 the answer is no, 2 bad input, with one line on stderr that says what
to change.
"""

WIDTH = 100


def page() -> str:
    """Return the page as Markdown."""
    root = command(COMMANDS)
    above = click.Context(root, info_name="equipoise", **root.context_settings)
    return "\n".join([_INTRODUCTION, *(_command(name, above) for name in COMMANDS)])


def _command(name: str, above: click.Context) -> str:
    found = COMMANDS[name].load()
    context = click.Context(
        found,
        info_name=name,
        parent=above,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
    )
    return f"## {name}\n\n```text\n{found.get_help(context)}\n```\n"
