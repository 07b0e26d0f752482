"""`equipoise simulate --tenants FILE`: a trace as work of tenants, in virtual time, by rule."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from scheduler.simulator.traces.lives import lives_of
from scheduler.simulator.traces.trace import Trace
from scheduler.simulator.turns import report
from scheduler.simulator.turns.rules import RULES
from scheduler.simulator.turns.tenantsfile import Plan, read_plan
from scheduler.simulator.turns.tracerun import TurnsRun, TurnsTask, execute
from scheduler.simulator.turns.tracework import Pass, one_pass

Player = Callable[
    [Callable[[TurnsTask], TurnsRun], Sequence[TurnsTask], Callable[[TurnsRun], str]],
    list[TurnsRun],
]
"""Executes tasks and shows how far it is, by what is said of each run."""

RULE_NAMES = tuple(rule.replace(" ", "-") for rule in RULES)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is played: traces, each as a pass, by which rules and seeds."""

    plan: Plan
    passes: tuple[tuple[Trace, Pass], ...]
    rules: tuple[str, ...]
    seeds: tuple[int, ...]


def prepare(
    file: Path, traces: Sequence[Trace], rules: tuple[str, ...], seeds: tuple[int, ...]
) -> Asked:
    """Read everything; raise InvalidInput before anything is played."""
    plan = read_plan(file)
    passes = tuple((trace, one_pass(trace, lives_of(trace), plan)) for trace in traces)
    return Asked(plan, passes, rules, seeds)


def play(asked: Asked, player: Player) -> list[TurnsRun]:
    """Play all of it."""
    tasks = [
        TurnsTask(trace.name, played, asked.plan, rule, seed)
        for trace, played in asked.passes
        for seed in asked.seeds
        for rule in asked.rules
    ]
    return player(execute, tasks, lambda run: f"{run.trace}, {run.rule}, seed {run.seed}")


def rules(_ctx: click.Context, _option: click.Parameter, text: str) -> tuple[str, ...]:
    """Read --rule."""
    if text == "all":
        return tuple(RULES)
    known = dict(zip(RULE_NAMES, RULES, strict=True))
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in known:
            raise click.BadParameter(
                f'there is no rule "{name}"; choose from {", ".join(known)}, or "all"'
            )
    return tuple(known[name] for name in names)


def show(asked: Asked, runs: Sequence[TurnsRun], *, as_json: bool) -> None:
    """Print what came out."""
    if as_json:
        click.echo(json.dumps(report.document(runs, _settings(asked)), indent=2))
        return
    plan = asked.plan
    for trace, played in asked.passes:
        click.echo(
            f"{trace.name}: {len(played.nodes)} nodes, {played.gpus} GPUs; a pass of "
            f"{len(played.pieces):,} pods takes {report.duration(played.seconds)}, "
            f"{played.left_out:,} others are left out; {plan.days:g} days at load {plan.load:g}"
        )
        for seed in asked.seeds:
            here = [run for run in runs if (run.trace, run.seed) == (trace.name, seed)]
            click.echo(f"\nSeed {seed}; waits are those of each tenant's next one.\n")
            click.echo(report.table(here))


def draw(runs: Sequence[TurnsRun], path: Path) -> None:
    """Draw service ÷ due into a picture."""
    plot: Any = import_module("scheduler.simulator.turns.plot")
    panels: dict[str, list[Any]] = {}
    for run in runs:
        panels.setdefault(f"{run.trace}, seed {run.seed}", []).append((run.rule, run.groups))
    plot.draw(panels, path)


def _settings(asked: Asked) -> dict[str, Any]:
    return {
        "plan": asdict(asked.plan),
        "traces": {
            trace.name: {
                "folder": trace.folder,
                "synthetic": trace.folder is None,
                "nodes": len(played.nodes),
                "gpus": played.gpus,
                "pods": len(played.pieces),
                "left_out": played.left_out,
                "pass_seconds": round(played.seconds, 3),
            }
            for trace, played in asked.passes
        },
        "rules": list(asked.rules),
        "seeds": list(asked.seeds),
    }
