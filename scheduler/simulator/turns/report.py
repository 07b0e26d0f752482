"""Runs of tenants' work for people and for machines: a table, and a document for JSON."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scheduler.simulator.turns.groups import Group, Spread
from scheduler.simulator.turns.tracerun import TurnsRun

TITLES = (
    "rule",
    "tenants",
    "service ÷ due",
    "median wait",
    "worst wait",
    "Jain: least, median",
    "idle",
    "stopped",
    "work lost",
)


def table(runs: Sequence[TurnsRun]) -> str:
    """Lay runs of one trace and seed out as text: a line for each rule and size of tenant."""
    lines = [list(TITLES), *(line for run in runs for line in _lines(run))]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    rows = []
    for line in lines:
        words = [cell.ljust(width) for cell, width in zip(line[:2], widths[:2], strict=True)]
        numbers = [cell.rjust(width) for cell, width in zip(line[2:], widths[2:], strict=True)]
        rows.append("  " + "   ".join((*words, *numbers)).rstrip())
    return "\n".join(rows)


def document(runs: Sequence[TurnsRun], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `--json` prints; null stands where there was nothing to measure."""
    return {"runs": [_entry(run) for run in runs], "settings": dict(settings)}


def duration(seconds: float) -> str:
    """Seconds for people: "45 s", "12 min", "3.5 h"."""
    if math.isnan(seconds):
        return "–"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _lines(run: TurnsRun) -> Iterator[list[str]]:
    whole = [
        f"{_figure(run.jain.least)}, {_figure(run.jain.middle)}",
        f"{100 * run.idle:.1f} %",
        f"{run.evictions:,}",
        f"{100 * run.evicted_part:.2f} %",
    ]
    for at, group in enumerate(run.groups):
        yield [
            "" if at else run.rule,
            group.name if group.tenants == 1 else f"{group.name} ({group.tenants})",
            _range(group),
            duration(group.median_wait),
            duration(group.worst_wait),
            *(("",) * len(whole) if at else whole),
        ]


def _range(group: Group) -> str:
    served = group.served
    if group.tenants == 1:
        return _figure(served.middle)
    return f"{_figure(served.least)}–{_figure(served.most)}, median {_figure(served.middle)}"


def _figure(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _entry(run: TurnsRun) -> dict[str, Any]:
    return {
        "trace": run.trace,
        "rule": run.rule,
        "seed": run.seed,
        "tenants": {group.name: _group(group) for group in run.groups},
        "jain": {**_spread(run.jain), "windows": run.windows},
        "idle": round(run.idle, 6),
        "evictions": run.evictions,
        "lost_gpu_seconds": round(run.lost, 1),
        "lost_part": round(run.evicted_part, 6),
        "started": run.starts,
        "waiting_at_end": run.waiting,
        "seconds": round(run.seconds, 3),
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "tenants": group.tenants,
        "service_by_due": _spread(group.served),
        "gpu_seconds": round(group.got, 1),
        "median_wait_seconds": _known(group.median_wait),
        "worst_wait_seconds": _known(group.worst_wait),
    }


def _spread(spread: Spread) -> dict[str, float | None]:
    return {
        "least": _known(spread.least),
        "median": _known(spread.middle),
        "most": _known(spread.most),
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
