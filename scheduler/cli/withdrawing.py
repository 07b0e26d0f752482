"""Whom it hits when nodes are taken away, as text and as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from scheduler.cli.look import Look
from scheduler.core.cycle.withdrawal import Withdrawal
from scheduler.core.model.amounts import MILLI, format_gpus
from scheduler.core.model.ids import NodeName, TenantName
from scheduler.core.model.pods import Pod
from scheduler.core.model.tenants import sharer, tenant_part, user_part


def show_withdrawal(seen: Look, names: Sequence[NodeName], *, as_json: bool) -> bool:
    """Print whom it hits to take these nodes away; return whether that is anybody."""
    found = seen.without(names)
    owners = {name: seen.parts.ledger.nodes[name].owner for name in names}
    says = list(withdrawn(found, owners))
    if as_json:
        click.echo(json.dumps(_withdrawal_data(found, owners, says), indent=2))
    else:
        click.echo("\n".join(says))
    return bool(found.ended or found.stopped or found.guarantees)


def withdrawn(found: Withdrawal, owners: Mapping[NodeName, TenantName | None]) -> Iterator[str]:
    """Say whom it hits, the pods on the nodes first."""
    named = ", ".join(f"{name} (of {owner})" if owner else name for name, owner in owners.items())
    yield f"Without {named}:"
    for name, (before, after) in found.guarantees.items():
        gpus = [format_gpus(amount * MILLI) for amount in (before, after)]
        yield f"The guarantee of {name} would go from {gpus[0]} to {gpus[1]} GPUs."
    for pod in found.ended:
        yield f"{_described(pod)} would end there: {_what_then(pod, found)}."
    for evict in found.stopped:
        taker = "" if evict.taker is None else f", for {_described(evict.taker)}"
        yield f"{_described(evict.pod)} would be stopped elsewhere{taker}."
    if not (found.ended or found.stopped or found.guarantees):
        yield "Nobody is hit: no pod holds a GPU there, and no guarantee rests on it."


def _described(pod: Pod) -> str:
    return f"{pod.key} ({pod.request.describe()}, {sharer(pod.tenant)})"


def _named(pod: Pod) -> dict[str, str]:
    leaf = pod.tenant
    return {"pod": pod.key, "tenant": tenant_part(leaf), "user": user_part(leaf)}


def _what_then(pod: Pod, found: Withdrawal) -> str:
    if not pod.owner:
        return "nothing would make it again"
    if pod in found.placed:
        return "made again, it would have another place at once"
    if any(evict.taker is not None and evict.taker.uid == pod.uid for evict in found.stopped):
        return "made again, it would have another place once others are stopped for it"
    return "made again, it would wait"


def _withdrawal_data(
    found: Withdrawal, owners: Mapping[NodeName, TenantName | None], says: list[str]
) -> dict[str, Any]:
    return {
        "without": dict(owners),
        "guarantees": {
            name: {"before": float(before), "after": float(after)}
            for name, (before, after) in found.guarantees.items()
        },
        "end": [{**_named(pod), "then": _what_then(pod, found)} for pod in found.ended],
        "stopped": [
            {**_named(evict.pod), "for": None if evict.taker is None else evict.taker.key}
            for evict in found.stopped
        ],
        "says": says,
    }
