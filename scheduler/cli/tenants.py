"""`equipoise tenants`: who is due what, and who has what."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from scheduler.cli.look import Look, cluster_options, looking
from scheduler.cli.tables import echo_strays, show
from scheduler.core.model.amounts import MILLI, format_gpus
from scheduler.core.model.budgets import HOUR
from scheduler.core.model.standing import BudgetStanding, Standing, TenantStanding, UserStanding


@click.command("tenants")
@cluster_options
def tenants(*, kubeconfig: str | None, context: str | None, as_json: bool) -> None:
    """Show each tenant of a cluster: what it is due, has, wants and is owed."""
    show_tenants(looking(kubeconfig, context), as_json=as_json)


def show_tenants(seen: Look, *, as_json: bool) -> None:
    """Print the tenants of a cluster that was looked at."""
    standing = seen.standing(seen.decide())
    if as_json:
        found = {
            "tenants": [data(each) for each in standing.tenants],
            "users": [user_data(each) for each in standing.users],
            "jain": standing.jain,
            "strays": [asdict(stray) for stray in standing.strays],
        }
        click.echo(json.dumps(found, indent=2))
        return
    show(
        (
            "tenant",
            "guarantee",
            "weight",
            "limit",
            "due",
            "has",
            "wants",
            "owed",
            "waiting",
            "budget",
        ),
        list(rows(standing)),
        closing=_closing(standing),
    )
    echo_strays(standing)


def rows(standing: Standing) -> Iterator[tuple[str, ...]]:
    """Yield each tenant, and its users below it: without guarantee, weight and limit."""
    for tenant in standing.tenants:
        yield _row(tenant)
        for each in standing.users:
            if each.tenant == tenant.name:
                name = f"    {each.name or '(no user)'} (of {each.tenant})"
                yield name, "", "", "", *_amounts(each), ""


def _amounts(each: TenantStanding | UserStanding) -> tuple[str, ...]:
    amounts = (each.fair_share, each.allocated, each.demand)
    held = (format_gpus(amount * 1000) for amount in amounts)
    return *held, f"{each.lag:z.0f}", str(each.pending_pods)


def _row(each: TenantStanding) -> tuple[str, ...]:
    return (
        each.name if each.parent is None else f"  {each.name} (of {each.parent})",
        _guarantee(each),
        f"{float(each.weight):g}",
        "–" if each.limit is None else format_gpus(each.limit * 1000),
        *_amounts(each),
        "–" if each.budget is None else f"{100 * each.budget.part:.0f} % used",
    )


def _guarantee(each: TenantStanding) -> str:
    guarantee = format_gpus(each.guarantee * 1000)
    if not each.contributed:
        return guarantee
    missing = each.brought.all - each.brought.milli
    said = f"{guarantee} of {format_gpus(each.brought.all)}" if missing else guarantee
    return f"{said} brought"


def _closing(standing: Standing) -> str:
    return (
        f"GPUs; owed in GPU-seconds. Free: {format_gpus(standing.free_milli)}, "
        f"of it no use for what people ask: {format_gpus(standing.fragments.milli)}."
    )


def data(each: TenantStanding) -> dict[str, Any]:
    """Return what --json says of a tenant."""
    return {
        "name": each.name,
        "parent": each.parent,
        "guarantee": float(each.guarantee),
        "contributed": each.contributed,
        "brought": {name: milli / MILLI for name, milli in asdict(each.brought).items()},
        "weight": float(each.weight),
        "limit": None if each.limit is None else float(each.limit),
        "priority": each.priority,
        "budget": None if each.budget is None else _budget_data(each.budget),
        **_standing_data(each),
    }


def _budget_data(each: BudgetStanding) -> dict[str, Any]:
    return {
        "gpu_hours": float(each.budget.gpu_hours),
        "period": str(each.budget.period),
        "used_gpu_hours": each.used / HOUR,
        "since": each.since,
        "until": each.until,
    }


def user_data(each: UserStanding) -> dict[str, Any]:
    """Return what --json says of a user."""
    return {"tenant": each.tenant, "name": each.name, **_standing_data(each)}


def _standing_data(each: TenantStanding | UserStanding) -> dict[str, Any]:
    return {
        "due": float(each.fair_share),
        "has": float(each.allocated),
        "wants": float(each.demand),
        "owed_gpu_seconds": each.lag,
        "waiting_pods": each.pending_pods,
        "running_pods": each.running_pods,
    }
