"""`equipoise scenario FILE`: run scenarios on the live core and tell which ones hold."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from scheduler.core.model.errors import InvalidFile, InvalidInput
from scheduler.core.model.placements import Placement
from scheduler.simulator.scenarios.judgement import differences
from scheduler.simulator.scenarios.runner import Outcome, run
from scheduler.simulator.scenarios.scenariofile import read_scenarios


@dataclass(frozen=True, slots=True)
class Judged:
    """An outcome and how it differs from what the file expects."""

    outcome: Outcome
    differences: tuple[str, ...]

    @property
    def supported(self) -> bool:
        """Whether all that the scenario needs is there."""
        return not self.outcome.needs

    @property
    def ok(self) -> bool:
        """Whether it came out as expected."""
        return self.supported and not self.differences


@click.command("scenario")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON: what happened, pod by pod.")
@click.pass_context
def scenario(context: click.Context, file: Path, as_json: bool) -> None:
    """Run the scenarios of FILE and compare with what it expects.

    FILE is JSON: nodes, tenants, running and pending pods. Scenarios that need what isn't there yet
    are listed as such. Exit status 1 if a supported one comes out otherwise than expected.
    """
    judged = [_judge(file, each) for each in read_scenarios(file)]
    if as_json:
        click.echo(json.dumps({"scenarios": [_as_json(each) for each in judged]}, indent=1))
    else:
        _print_table(judged)
    if any(each.supported and not each.ok for each in judged):
        context.exit(1)


def _judge(file: Path, scenario: Any) -> Judged:
    try:
        outcome = run(scenario)
    except InvalidInput as problem:
        raise InvalidFile(str(file), str(problem)) from None
    return Judged(outcome, differences(outcome))


def _as_json(judged: Judged) -> dict[str, Any]:
    outcome = judged.outcome
    return {
        "id": outcome.scenario.id,
        "supported": judged.supported,
        "ok": judged.ok,
        "differences": list(judged.differences),
        "bound": {pod: _place(place) for pod, place in outcome.bound.items()},
        "still_running": list(outcome.still_running),
        "moved": {pod: _place(place) for pod, place in outcome.moved.items()},
        "evicted": list(outcome.evicted),
        "pending": {pod: verdict.sentence for pod, verdict in outcome.pending.items()},
        "shares": {name: str(share) for name, share in outcome.shares.items()},
        "settled": outcome.settled,
    }


def _place(place: Placement) -> dict[str, Any]:
    return {"node": place.node, "devices": [slot.index for slot in place.slots]}


def _print_table(judged: list[Judged]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("Scenario", "", "What happened"):
        table.add_column(title, overflow="fold")
    for each in judged:
        table.add_row(each.outcome.scenario.id, _word(each), _story(each))
    # Names come from the file and may look like markup; a pipe has no width to keep to.
    width = None if sys.stdout.isatty() else 140
    console = Console(markup=False, highlight=False, width=width)
    console.print(table)
    console.print(_summary(judged))


def _word(judged: Judged) -> str:
    if not judged.supported:
        return "not yet"
    return "ok" if judged.ok else "differs"


def _story(judged: Judged) -> str:
    if judged.differences:
        return "; ".join(judged.differences)
    outcome = judged.outcome
    parts = [f"{pod} → {_device_names(place)}" for pod, place in outcome.bound.items()]
    parts += [f"{pod} is stopped" for pod in outcome.evicted]
    parts += [f"{pod} waits: {verdict.stable}" for pod, verdict in outcome.pending.items()]
    return "\n".join(parts) or "nothing changes"


def _device_names(place: Placement) -> str:
    indices = ",".join(str(slot.index) for slot in place.slots)
    return f"{place.node} GPU {indices}" if indices else place.node


def _summary(judged: list[Judged]) -> str:
    supported = [each for each in judged if each.supported]
    good = sum(1 for each in supported if each.ok)
    later = len(judged) - len(supported)
    text = f"{good} of {len(supported)} supported scenarios came out as expected"
    return text + (f"; {later} need what isn't there yet" if later else "")
