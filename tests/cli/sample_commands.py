"""Commands that end in every way a command can end."""

import click

from scheduler.core.model.errors import InvalidFile


@click.command()
@click.option("--count", type=int, default=1)
def fine(count: int) -> None:
    click.echo("word\n" * count)


@click.command()
@click.pass_context
def refuse(ctx: click.Context) -> None:
    ctx.exit(1)


@click.command()
def stumble() -> None:
    raise InvalidFile("cluster.yaml", "a node has no name;\n  give it one", 3)


@click.command()
def unreadable() -> None:
    raise FileNotFoundError(2, "No such file or directory", "gone.yaml")


@click.command()
def interrupted() -> None:
    raise KeyboardInterrupt


@click.command()
def broken() -> None:
    raise ZeroDivisionError("nothing to divide by")
