"""Plain tables for commands that look at a cluster."""

import sys
from collections.abc import Iterable, Sequence

import click
from rich import box
from rich.console import Console
from rich.table import Table

from scheduler.core.model.standing import Standing, told_of

NAMES = ("tenant", "node", "model", "pods", "who", "moves", "from", "to", "fits", "where")
"""Columns of words; all others hold numbers."""


def show(columns: Sequence[str], rows: Iterable[Sequence[str]], *, closing: str = "") -> None:
    """Print a table, and a line below it."""
    # A pipe has no width of its own; 80 columns would cut names short.
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="left" if name in NAMES else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if closing:
        console.print(closing)


def echo_strays(standing: Standing) -> None:
    """Print a line for each owner of nodes that is no tenant."""
    for sentence in told_of(standing.strays):
        click.echo(f"{sentence[0].upper()}{sentence[1:]}.")
