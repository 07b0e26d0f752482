"""`equipoise simulate`: replay a trace by several policies and seeds, and compare.

With `--tenants` its pods are work of tenants that share the nodes: see simulateturns.py.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scheduler.cli import simulateturns
from scheduler.core.model.errors import InvalidFile, InvalidInput
from scheduler.core.packing.policies import POLICIES
from scheduler.simulator.sidebyside import side_by_side
from scheduler.simulator.traces import report
from scheduler.simulator.traces.experiment import Run, Task, execute
from scheduler.simulator.traces.published import read_published
from scheduler.simulator.traces.synthetic import NAME as SYNTHETIC
from scheduler.simulator.traces.synthetic import synthetic_trace
from scheduler.simulator.traces.trace import DEVICE_MEMORY_MIB, Trace
from scheduler.simulator.traces.tracefile import ENVIRONMENT, find_traces, list_traces, read_trace

Given = TypeVar("Given")
Done = TypeVar("Done")

MOST_SEEDS = 1000
ONE_SEED = (42,)
"""Of runs in virtual time, each of which takes minutes, unless more are asked for."""
NO_TRACES = (
    f"no traces found (--traces, {ENVIRONMENT}, ../shared/traces), so what follows is a synthetic "
    "workload of 120 nodes; docs/guides/simulate.md says where to get the openb traces"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asks for, checked."""

    traces: tuple[Trace, ...]
    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    load: int


def _seeds(_ctx: click.Context, _option: click.Parameter, text: str) -> tuple[int, ...]:
    seeds: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", part, re.ASCII)
        if match is None:
            raise click.BadParameter(f'"{part}" is no seed; write "42", "42-51" or "42,44"')
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise click.BadParameter(f'"{part.strip()}" runs backwards; write the smaller first')
        if last - first >= MOST_SEEDS or len(seeds) >= MOST_SEEDS:
            raise click.BadParameter(f"more than {MOST_SEEDS} seeds; ask for fewer")
        seeds.update(dict.fromkeys(range(first, last + 1)))
    return tuple(seeds)


def _policies(_ctx: click.Context, _option: click.Parameter, text: str) -> tuple[str, ...]:
    if text == "all":
        return tuple(POLICIES)
    names = _names(text)
    for name in names:
        if name not in POLICIES:
            known = ", ".join(POLICIES)
            raise click.BadParameter(f'there is no policy "{name}"; choose from {known}, or "all"')
    return names


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise click.BadParameter("it names nothing; leave the option out or give it a name")
    return names


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@click.command()
@click.option("--traces", "folder", metavar="DIR", help="Where nodes.csv and pods_*.csv lie.")
@click.option(
    "--trace",
    "names",
    default="default",
    show_default=True,
    metavar="NAME[,NAME…]",
    help='Traces to replay; "all" for every one there is, "synthetic" for one made up.',
)
@click.option(
    "--policy",
    "policies",
    default="all",
    show_default=True,
    callback=_policies,
    metavar="NAME[,NAME…]",
    help=f"Policies to compare: {', '.join(POLICIES)}.",
)
@click.option(
    "--seeds",
    default="42-51",
    show_default=True,
    callback=_seeds,
    metavar="A-B[,C…]",
    help="Each seed is another order of arrival; with --tenants, another owner of each pod, and "
    "by default only 42.",
)
@click.option(
    "--load",
    default=130,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="How much arrives, in percent of all GPUs.",
)
@click.option(
    "--tenants",
    "shared",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Play the trace in virtual time as work of the tenants of FILE (YAML), by rule.",
)
@click.option(
    "--rule",
    "rules",
    default="all",
    show_default=True,
    callback=simulateturns.rules,
    metavar="NAME[,NAME…]",
    help=f"With --tenants: rules to compare: {', '.join(simulateturns.RULE_NAMES)}.",
)
@click.option("--json", "as_json", is_flag=True, help="Print every run as JSON.")
@click.option("--curve", is_flag=True, help="With --json: allocation and fragmentation by load.")
@click.option(
    "--plot",
    "picture",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw allocation and fragmentation against load, or service against due with --tenants "
    "(.png, .svg, .pdf).",
)
@click.option(
    "--placements",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write where each pod went, as CSV; with several runs one file each, named "
    "FILE-TRACE-POLICY-SEED.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=_cores,
    show_default="cores",
    help="Processes side by side; results don't depend on it.",
)
@click.pass_context
def simulate(
    context: click.Context,
    folder: str | None,
    names: str,
    policies: tuple[str, ...],
    seeds: tuple[int, ...],
    load: int,
    shared: Path | None,
    rules: tuple[str, ...],
    as_json: bool,
    curve: bool,
    picture: Path | None,
    placements: Path | None,
    jobs: int,
) -> None:
    """Replay a trace and compare packing policies.

    Every pod of the trace is tried once, when it arrives, and stays where it is placed; pods go on
    arriving until they have asked for --load percent of the cluster's GPUs. Printed is the part of
    all GPUs that is allocated then, and when 100 % have arrived: mean and spread over the seeds.

    With --tenants pods come and go as in the trace, and wait where there is no room: printed is
    what each size of tenant got of what it was due, and how long it waited, by rule.
    """
    _check_options(context, shared)
    if curve and not as_json:
        raise click.UsageError("--curve adds to the JSON; give --json as well")
    draw = _artist(picture) if picture else None
    if placements:
        _check_folder(placements)
    found = find_traces(folder, os.environ)
    traces = _read(found, _names(names))
    if shared:
        seeds = seeds if _is_given(context, "seeds") else ONE_SEED
        asked = simulateturns.prepare(shared, traces, rules, seeds)
        played = simulateturns.play(asked, lambda *each: _run(*each, jobs=jobs))
        simulateturns.show(asked, played, as_json=as_json)
        if picture:
            simulateturns.draw(played, picture)
        return
    plan = Plan(traces, policies, seeds, load)
    tasks = _tasks(plan, curve=curve or picture is not None, placements=placements is not None)
    told = "{0.trace}, {0.policy}, seed {0.seed}"
    runs = _run(execute, tasks, told.format, jobs=jobs)
    if placements:
        _write_placements(placements, runs)
    if draw and picture:
        draw(runs, picture)
    if as_json:
        click.echo(json.dumps(report.document(runs, _settings(plan), curve=curve), indent=2))
    else:
        click.echo(f"{_heading(plan)}\n")
        click.echo(report.table(report.summarise(runs, read_published(found)), load=load))


def _tasks(plan: Plan, *, curve: bool, placements: bool) -> list[Task]:
    return [
        Task(trace, policy, seed, plan.load, curve=curve, placements=placements)
        for trace in plan.traces
        for policy in plan.policies
        for seed in plan.seeds
    ]


def _read(folder: Path | None, names: Sequence[str]) -> tuple[Trace, ...]:
    if folder is None:
        if tuple(names) != (SYNTHETIC,):
            click.echo(f"equipoise: {NO_TRACES}", err=True)
        return (synthetic_trace(),)
    wanted = list_traces(folder) if tuple(names) == ("all",) else names
    return tuple(
        synthetic_trace() if name == SYNTHETIC else read_trace(folder, name) for name in wanted
    )


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _check_options(context: click.Context, shared: Path | None) -> None:
    """Refuse options that would be read by nobody."""
    if shared is None:
        if _is_given(context, "rules"):
            raise click.UsageError("--rule compares rules between tenants; give --tenants as well")
        return
    for name in ("policies", "load", "curve", "placements"):
        if _is_given(context, name):
            option = next(each.opts[0] for each in context.command.params if each.name == name)
            raise click.UsageError(f"{option} has no meaning with --tenants; leave it out")


def _run(
    execute: Callable[[Given], Done],
    tasks: Sequence[Given],
    describe: Callable[[Done], str],
    *,
    jobs: int,
) -> list[Done]:
    runs: dict[int, Done] = {}
    with Progress(
        TextColumn("replaying"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as progress:
        bar = progress.add_task("", total=len(tasks))
        for number, run in side_by_side(execute, tasks, jobs=jobs):
            runs[number] = run
            progress.update(bar, advance=1, description=describe(run))
    return [runs[number] for number in range(len(tasks))]


def _check_folder(path: Path) -> None:
    if not path.name:
        raise InvalidInput("a file to write to has no name; give it one")
    if not path.parent.is_dir():
        raise InvalidFile(str(path), "its folder does not exist; make it first")


def _artist(path: Path) -> Callable[[Sequence[Run], Path], None]:
    """Return what draws; raise before anything is replayed if it could not."""
    if find_spec("matplotlib") is None:
        raise InvalidInput(
            "--plot needs matplotlib; install it with: pip install 'equipoise[plot]'"
        )
    plot = import_module("scheduler.simulator.traces.plot")
    if path.suffix.removeprefix(".") not in plot.endings():
        raise InvalidFile(str(path), "pictures end in .png, .svg or .pdf; name it so")
    _check_folder(path)
    draw: Callable[[Sequence[Run], Path], None] = plot.draw
    return draw


def _write_placements(path: Path, runs: Sequence[Run]) -> None:
    for run in runs:
        name = f"{path.stem}-{run.trace}-{run.policy}-{run.seed}{path.suffix}"
        target = path if len(runs) == 1 else path.with_name(name)
        target.write_text(run.placements, encoding="utf-8", newline="")


def _settings(plan: Plan) -> dict[str, Any]:
    return {
        "traces": {
            trace.name: {
                "folder": trace.folder,
                "synthetic": trace.folder is None,
                "nodes": len(trace.nodes),
                "gpus": trace.capacity / 1000,
                "pods": len(trace.pods),
            }
            for trace in plan.traces
        },
        "policies": list(plan.policies),
        "seeds": list(plan.seeds),
        "load": plan.load,
        "device_memory_mib": DEVICE_MEMORY_MIB,
        "synthetic": any(trace.folder is None for trace in plan.traces),
    }


def _heading(plan: Plan) -> str:
    seeds = f"{len(plan.seeds)} seeds" if len(plan.seeds) > 1 else f"seed {plan.seeds[0]}"
    lines = [
        f"{trace.name}: {len(trace.nodes)} nodes, {trace.capacity / 1000:,.0f} GPUs, "
        f"{len(trace.pods):,} pods"
        + (" (synthetic: invented, no trace)" if not trace.folder else "")
        for trace in plan.traces
    ]
    spread = ", mean ± standard deviation" if len(plan.seeds) > 1 else ""
    return "\n".join([*lines, f"Allocated in % of all GPUs by arrived load; {seeds}{spread}."])
