"""Runs for people and for machines: a table of means over seeds, and a document for JSON."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from scheduler.simulator.traces.experiment import Run, loads_reported
from scheduler.simulator.traces.published import Published


@dataclass(frozen=True, slots=True)
class Summary:
    """One policy on one trace, over its seeds.

    `allocation`: mean in percent and standard deviation over seeds (None for one seed), by load;
    `published`: the published mean, where there is one.
    """

    trace: str
    policy: str
    allocation: Mapping[int, tuple[float, float | None] | None]
    published: Mapping[int, float]
    failed_pods: float
    placements_per_second: float


def summarise(runs: Iterable[Run], published: Published) -> list[Summary]:
    """Sum up runs by trace and policy; in a trace the policy that places most comes first."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.trace, run.policy), []).append(run)
    traces = list(dict.fromkeys(trace for trace, _ in groups))
    return sorted(
        (_summary(group, published.get(key, {})) for key, group in groups.items()),
        key=lambda summary: (traces.index(summary.trace), *_order(summary)),
    )


def table(summaries: Sequence[Summary], *, load: int) -> str:
    """Lay the summaries out as text, a block for each trace, with a heading."""
    blocks = []
    for trace in dict.fromkeys(summary.trace for summary in summaries):
        of_trace = [summary for summary in summaries if summary.trace == trace]
        blocks.append(f"{trace}\n{_aligned(list(_cells(of_trace, loads_reported(load))))}")
    return "\n\n".join(blocks)


def document(runs: Iterable[Run], settings: Mapping[str, Any], *, curve: bool) -> dict[str, Any]:
    """Return what `--json` prints. Loads are text, as keys of JSON are."""
    return {"runs": [_entry(run, curve=curve) for run in runs], "settings": dict(settings)}


def _summary(runs: Sequence[Run], published: Mapping[int, float]) -> Summary:
    return Summary(
        trace=runs[0].trace,
        policy=runs[0].policy,
        allocation={
            load: _mean([run.allocation[load] for run in runs]) for load in runs[0].allocation
        },
        published=published,
        failed_pods=fmean(run.failed_pods for run in runs),
        placements_per_second=fmean(run.placements_per_second for run in runs),
    )


def _mean(values: Iterable[float | None]) -> tuple[float, float | None] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return fmean(known), stdev(known) if len(known) > 1 else None


def _order(summary: Summary) -> tuple[float, str]:
    first = next(iter(summary.allocation.values()))
    return (-first[0] if first else 0.0, summary.policy)


def _cells(summaries: Sequence[Summary], loads: Sequence[int]) -> Iterator[list[str]]:
    compared = [load for load in loads if any(load in each.published for each in summaries)]
    heading = ["policy"]
    for load in loads:
        heading += [f"at {load} %", *(["published"] if load in compared else [])]
    yield [*heading, "failed pods", "placements/s"]
    for summary in summaries:
        line = [summary.policy]
        for load in loads:
            line.append(_figure(summary.allocation[load]))
            if load in compared:
                known = summary.published.get(load)
                line.append("–" if known is None else f"{known:.2f}")
        yield [*line, f"{summary.failed_pods:,.0f}", f"{summary.placements_per_second:,.0f}"]


def _figure(figure: tuple[float, float | None] | None) -> str:
    if figure is None:
        return "–"
    mean, spread = figure
    return f"{mean:.2f}" if spread is None else f"{mean:.2f} ± {spread:.2f}"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    rows = []
    for first, *others in lines:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        rows.append("   ".join(("  " + first.ljust(widths[0]), *cells)))
    return "\n".join(rows)


def _entry(run: Run, *, curve: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "trace": run.trace,
        "policy": run.policy,
        "seed": run.seed,
        "allocation": {str(load): value for load, value in run.allocation.items()},
        "arrived_pods": run.arrived_pods,
        "placed_pods": run.placed_pods,
        "failed_pods": run.failed_pods,
        "seconds": round(run.seconds, 4),
        "placements_per_second": round(run.placements_per_second, 1),
    }
    if curve:
        entry["curve"] = [list(point) for point in run.curve]
    return entry
