"""What the demo draws in a terminal: every GPU as a bar, every tenant against its due."""

import math
from collections.abc import Iterator
from fractions import Fraction

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import TenantName
from scheduler.core.model.standing import DeviceStanding, Standing, TenantStanding
from scheduler.simulator.demoreport import Audit, Latency, Report, TenantLine

COLOURS = ("blue", "orange1", "green3", "magenta", "cyan", "yellow3", "red3", "grey70")
CELLS = 20
GPUS_A_LINE = 4
COLUMNS = (
    ("tenant", ""),
    ("weight", ""),
    ("due", "GPU·s"),
    ("got", "GPU·s"),
    ("got/due", ""),
    ("lost", "GPU·s"),
    ("pods", "started"),
    ("wait", "median s"),
    ("worst", "s"),
    ("waiting", "at the end"),
)
"""Of the report, each with its unit."""

PROBLEMS = 10
"""Of those that an auditor found, so many are printed; --json has all."""


def live(standing: Standing, passed: float, seconds: float, *, url: str) -> RenderableType:
    """Draw the moment."""
    colours = _colours(standing)
    head = Text(f"Equipoise demo  {passed:4.0f} of {seconds:.0f} s   ", style="bold")
    head.append(f"Jain index {standing.jain:.3f}   ", style="none")
    head.append(f"{standing.free_milli / MILLI:.1f} GPUs free   ", style="none")
    oversold = standing.oversold_milli / MILLI
    head.append(f"oversold {oversold:g}", style="red" if oversold else "green")
    if url:
        head.append(f"   {url}", style="underline")
    return Group(head, Text(), _gpus(standing, colours), Text(), _tenants(standing, colours))


def line(standing: Standing, passed: float) -> str:
    """Tell the moment in one line, for where there is no terminal."""
    parts = [
        f"{each.name} {float(each.allocated):.2f}/{float(each.fair_share):.2f}"
        for each in standing.tenants
        if each.leaf
    ]
    return f"{passed:5.1f} s  GPUs held/due: {'  '.join(parts)}  waiting {len(standing.waiting)}"


def report(result: Report) -> RenderableType:
    """Draw the report."""
    table = Table(box=None, pad_edge=False, title="What everybody was due and got", title_style="")
    for title, _ in COLUMNS:
        table.add_column(title, justify="left" if title == "tenant" else "right")
    table.add_row(*(unit for _, unit in COLUMNS), style="dim")
    for each in result.tenants:
        table.add_row(*_cells(each))
    return Group(Text(), table, Text(), *map(Text, _closing(result)))


def _cells(each: TenantLine) -> tuple[Text | str, ...]:
    return (
        # As Text: in a plain string, rich would take brackets for markup.
        Text(each.tenant),
        f"{each.weight:g}",
        f"{each.due:.1f}",
        f"{each.got:.1f}",
        _number(each.ratio),
        f"{each.lost:.1f}",
        str(each.started),
        _number(each.wait_median),
        _number(each.wait_worst),
        str(each.waiting),
    )


def _closing(result: Report) -> Iterator[str]:
    yield "wait                   from being the next of its tenant until it is bound"
    yield f"Jain index of got/due  {result.jain:.3f}  (1 = everybody got the same part of its due)"
    yield (
        f"GPUs                   {result.gpus:g}, on average {result.allocated_mean:.1f} held and "
        f"{result.fragmented_gpus:.2f} free but useless to what people ask for"
    )
    for verb, latency in result.latencies.items():
        yield f"{verb + ' over HTTP':<22} {_latency(latency)}"
    pods = f"{result.created} created, {result.bound} bound, the others still wait"
    yield f"pods                   {pods}"
    if result.stopped:
        yield from _stopped(result)
    if result.errors:
        yield f"errors                 {result.errors} pods were refused, or not scheduled at once"
    verdict = "no GPU was ever sold twice" if not result.oversold_gpus else "THIS IS A BUG"
    yield f"oversold GPUs          {result.oversold_gpus:g}  ({verdict})"
    if result.audit is not None:
        yield from _audit(result.audit)


def _stopped(result: Report) -> Iterator[str]:
    lost = math.fsum(each.lost for each in result.tenants)
    got = math.fsum(each.got for each in result.tenants)
    yield (
        f"stopped for others     {result.stopped} pods, made again by their owners; with them "
        f"{lost:.1f} GPU·s of work were lost, {100 * lost / max(got, 1.0):.1f} % of all"
    )


def _audit(audit: Audit) -> Iterator[str]:
    yield (
        f"auditor                saw {audit.pods} pods placed, as the API server stored them, and "
        f"{len(audit.problems) or 'no'} {'problem' if len(audit.problems) == 1 else 'problems'}"
    )
    yield "                       it shares no code with the ledger; the worse of both counts"
    for problem in audit.problems[:PROBLEMS]:
        yield f"  PROBLEM              {problem}"


def _latency(latency: Latency) -> str:
    if latency.p50 is None or latency.p99 is None:
        return "no calls"
    return f"{latency.calls} calls, p50 {latency.p50:.2f} ms, p99 {latency.p99:.2f} ms"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _colours(standing: Standing) -> dict[TenantName, str]:
    leaves = [each.name for each in standing.tenants if each.leaf]
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(leaves)}


def _gpus(standing: Standing, colours: dict[TenantName, str]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    nodes: dict[str, list[DeviceStanding]] = {}
    for device in standing.devices:
        nodes.setdefault(device.node, []).append(device)
    for name, devices in nodes.items():
        for first in range(0, len(devices), GPUS_A_LINE):
            row = devices[first : first + GPUS_A_LINE]
            table.add_row(Text("" if first else name), *(_bar(device, colours) for device in row))
    return table


def _bar(device: DeviceStanding, colours: dict[TenantName, str]) -> Text:
    """Draw one GPU: a run of cells for each slice, dark ones for memory that strangers hold."""
    bar, used = Text(), 0
    for each in sorted(device.slices, key=lambda piece: (piece.tenant, piece.pod)):
        cells = max(1, round(each.milli * CELLS / max(device.milli, 1)))
        bar.append(("█" if each.bound else "▒") * cells, style=colours.get(each.tenant, "white"))
        used += cells
    strangers = round(device.foreign_mib * CELLS / max(device.memory_mib, 1))
    strangers = min(strangers, max(0, CELLS - used))
    bar.append("·" * max(0, CELLS - used - strangers), style="dim")
    bar.append("x" * strangers, style="dim")
    return bar


def _tenants(standing: Standing, colours: dict[TenantName, str]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("tenant", "holds", "due", "", "lag GPU·s", "running", "waiting"):
        table.add_column(title, justify="left" if title in ("tenant", "") else "right")
    leaves = [each for each in standing.tenants if each.leaf]
    most = max([max(each.allocated, each.fair_share) for each in leaves], default=Fraction(0))
    for each in leaves:
        table.add_row(*_tenant(each, colours[each.name], most or Fraction(1)))
    return table


def _tenant(each: TenantStanding, colour: str, most: Fraction) -> tuple[Text | str, ...]:
    held = round(each.allocated * 30 / most)
    due = round(each.fair_share * 30 / most)
    bar = Text("█" * held, style=colour)
    bar.append(" " * max(0, due - held))
    bar.append("│ due" if held <= due else "", style="bold")
    return (
        Text(each.name, style=colour),
        f"{float(each.allocated):.2f}",
        f"{float(each.fair_share):.2f}",
        bar,
        f"{each.lag:+z.1f}",
        str(each.running_pods),
        str(each.pending_pods),
    )
