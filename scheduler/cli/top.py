"""`equipoise top`: every GPU of a cluster, what is promised of it and who is on it."""

import json
from dataclasses import asdict
from typing import Any

import click

from scheduler.cli.look import Look, cluster_options, looking
from scheduler.cli.tables import echo_strays, show
from scheduler.core.model.amounts import format_gpus
from scheduler.core.model.standing import DeviceStanding, Slice, Standing

CAUSES = {
    "devices": "too broken up",
    "cpu": "with too few cores beside them",
    "model": "where other models are asked for",
    "none": "as some ask for no GPU",
}
"""What is said of each cause of fragments."""

SHOWN = 4
"""Pods named for each GPU."""


@click.command("top")
@cluster_options
def top(*, kubeconfig: str | None, context: str | None, as_json: bool) -> None:
    """Show each GPU of a cluster: promised, measured, and who is on it."""
    show_top(looking(kubeconfig, context), as_json=as_json)


def show_top(seen: Look, *, as_json: bool) -> None:
    """Print the GPUs of a cluster that was looked at."""
    standing, closed = seen.standing(seen.decide()), seen.parts.ledger.closed
    if as_json:
        devices: list[dict[str, Any]] = [asdict(device) for device in standing.devices]
        click.echo(
            json.dumps(
                {
                    "devices": devices,
                    "fragments": asdict(standing.fragments),
                    "closed": dict(closed),
                },
                indent=2,
            )
        )
        return
    show(
        ("node", "GPU", "model", "promised", "load", "MiB used", "pods"),
        [_row(each) for each in standing.devices],
        closing=_closing(standing),
    )
    for node, why in sorted(closed.items()):
        click.echo(f"{node} takes no new pod: {why}")
    echo_strays(standing)


def _row(each: DeviceStanding) -> tuple[str, ...]:
    promised = sum(piece.milli for piece in each.slices)
    names = [f"{piece.pod}{_of(piece)} {format_gpus(piece.milli)}" for piece in each.slices]
    more = f", {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (
        f"{each.node} ({each.owner}'s)" if each.owner else each.node,
        str(each.index),
        each.model if each.healthy else f"{each.model} (broken)",
        f"{format_gpus(promised)}/{format_gpus(each.milli)}",
        f"{each.load / 10:.0f} %",
        f"{each.used_mib}/{each.memory_mib}",
        ", ".join(names[:SHOWN]) + more,
    )


def _of(piece: Slice) -> str:
    return f" ({piece.user})" if piece.user else ""


def _closing(standing: Standing) -> str:
    oversold = f" Oversold: {format_gpus(standing.oversold_milli)}!" * bool(standing.oversold_milli)
    return (
        f"{len(standing.devices)} GPUs, {format_gpus(standing.free_milli)} free, of it "
        f"{format_gpus(standing.fragments.milli)} no use for what people ask{_why(standing)}."
        f"{oversold}"
    )


def _why(standing: Standing) -> str:
    causes = [
        f"{format_gpus(milli)} {CAUSES[cause]}"
        for cause, milli in asdict(standing.fragments).items()
        if milli
    ]
    return f" ({', '.join(causes)})" if causes else ""
