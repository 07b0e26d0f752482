"""`equipoise agent`: publishes what GPUs this node has, how they are and what is used of them."""

import json
import math
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from scheduler.cli.agentread import as_data, mock_nodes, read_file, read_machine, show
from scheduler.cli.settingsfile import read_settings
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import NodeName
from scheduler.device.driver import Driver
from scheduler.device.nvml import NvmlDriver
from scheduler.settings import Agent

_DEFAULTS = Agent()


@click.command()
@click.option("--once", is_flag=True, help="Read the devices once, print them and end.")
@click.option("--json", "as_json", is_flag=True, help="With --once: print JSON, no table.")
@click.option(
    "--mock",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read scripted devices from a YAML file instead of real ones.",
)
@click.option(
    "--node", metavar="NAME", help="This node's name (default: NODE_NAME, or the host's name)."
)
@click.option(
    "--at", type=float, metavar="SECONDS", help="With --once: how far into FILE's script."
)
@click.option("--kubeconfig", metavar="FILE", help="As kubectl's; in a pod it needs none.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Settings (YAML). Each can be given as EQUIPOISE_AGENT_NAME in the environment too.",
)
@click.option("--host", help=f"Where metrics and health listen (default: {_DEFAULTS.host}).")
@click.option("--port", type=click.IntRange(0, 65535), help=f"Default: {_DEFAULTS.port}.")
def agent(
    *,
    once: bool,
    as_json: bool,
    mock: Path | None,
    node: str | None,
    at: float | None,
    **running: Any,
) -> None:
    """Keep this node's GPUNode up to date, for ever; with --once only print its GPUs."""
    _check(once=once, as_json=as_json, mock=mock, at=at)
    if not once:
        _publish(mock, node or os.environ.get("NODE_NAME") or socket.gethostname(), **running)
        return
    if mock is None:
        readings = read_machine(NvmlDriver(), node or socket.gethostname())
    else:
        readings = read_file(mock, node=node, at=at or 0.0)
    click.echo(json.dumps(as_data(readings), indent=2)) if as_json else show(readings)


def _publish(
    mock: Path | None,
    node: str,
    *,
    kubeconfig: str | None,
    config: Path | None,
    host: str | None,
    port: int | None,
) -> None:
    # Imported only here: the client of the API server takes a while, and --once needs none.
    from scheduler.cli.agentrun import publish  # noqa: PLC0415

    settings = read_settings(config, os.environ)
    chosen = replace(
        settings.agent,
        host=settings.agent.host if host is None else host,
        port=settings.agent.port if port is None else port,
    )
    publish(
        _opening(mock, node),
        NodeName(node),
        kubeconfig=kubeconfig,
        settings=replace(settings, agent=chosen),
    )


def _check(*, once: bool, as_json: bool, mock: Path | None, at: float | None) -> None:
    if as_json and not once:
        raise InvalidInput("--json prints the devices; add --once or leave --json out")
    if at is not None and not once:
        raise InvalidInput("--at reads one second of a mock; add --once or leave --at out")
    if at is not None and mock is None:
        raise InvalidInput("--at moves a mock's script; add --mock FILE or leave --at out")
    if at is not None and not 0 <= at < math.inf:
        raise InvalidInput("--at must be a number of seconds, 0 or more")


def _opening(mock: Path | None, node: str) -> Callable[[], Driver]:
    """Return what opens the driver: a file is read now, for what is wrong with it stays wrong."""
    if mock is None:
        return NvmlDriver
    (chosen,) = mock_nodes(mock, node)
    return lambda: chosen.driver
