"""Asks a Prometheus everything that dashboards and rules ask, and reports what gets no answer.

    python -m hack.dashboards.check http://127.0.0.1:9090 [--minutes 15] [--strict]

Exit status 1 if a query fails, or returns nothing although the panel doesn't say when that is
right; with --strict if any returns nothing.
"""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

from hack.dashboards.__main__ import BOARDS
from hack.dashboards.prometheus import Prometheus, Unanswered, Window

RULES = Path(__file__).resolve().parents[2] / "charts" / "equipoise" / "rules" / "equipoise.yaml"
POINTS = 60
LEAST_STEP = 1.0

SITUATIONAL = {
    "equipoise_unplaceable_gpus": "every pod that is due has a place",
    "equipoise_waiting_pods": "nobody waits",
    "apiserver_admission_webhook_rejection_count": "no call of the webhook failed",
}
"""Metrics of rules that may have no series, and why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one query. `problem` is "" where it returned something."""

    where: str
    series: int
    problem: str = ""
    right: str = ""


def window(minutes: float, at: float) -> Window:
    """Return the time up to `at` in as many points as a dashboard would show."""
    return Window(at - 60 * minutes, at, max(60 * minutes / POINTS, LEAST_STEP))


def of_panels(server: Prometheus, during: Window) -> Iterator[Finding]:
    """Ask every query of every panel as Grafana would."""
    for board in BOARDS:
        for panel in board.panels:
            for number, query in enumerate(panel.queries, start=1):
                name = query.legend or query.expr[:40]
                where = f"{board.title} / {panel.title} / {number}: {name}"
                yield _ask(server, during, where, query.expr, now=panel.now, right=query.empty)


def of_rules(server: Prometheus, during: Window) -> Iterator[Finding]:
    """Ask every rule: what is recorded has to be there, and what alerts has to have input."""
    for rule in rules():
        if "record" in rule:
            yield _ask(server, during, f"rule {rule['record']}", rule["expr"], now=True)
            continue
        try:
            server.now(rule["expr"], during.end)
        except Unanswered as problem:
            yield Finding(f"alert {rule['alert']}", 0, str(problem))
        for metric in sorted(set(metrics_of(rule["expr"]))):
            where, right = f"alert {rule['alert']} / {metric}", SITUATIONAL.get(metric, "")
            yield _ask(server, during, where, f'{{__name__="{metric}"}}', right=right)


def rules() -> list[dict[str, Any]]:
    """Return all rules of the chart."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def metrics_of(expr: str) -> list[str]:
    """Return the metrics that an expression names."""
    bare = re.sub(r'"[^"]*"', "", expr)
    return re.findall(r"\b(?:[a-z]+:)?(?:equipoise|apiserver|process)_[a-z0-9_]+(?::\w+)?", bare)


def _ask(
    server: Prometheus, during: Window, where: str, expr: str, *, now: bool = False, right: str = ""
) -> Finding:
    filled = during.fill(expr)
    try:
        found = server.now(filled, during.end) if now else server.over(filled, during)
    except Unanswered as problem:
        return Finding(where, 0, str(problem))
    return Finding(where, len(found), "" if found else "returns nothing", right)


def report(findings: Sequence[Finding], *, strict: bool) -> bool:
    """Print what came of it; whether all is well."""
    bad = [each for each in findings if each.problem and (strict or not each.right)]
    for each in findings:
        if each.problem:
            why = f", which is right if {each.right}" if each.right else ""
            click.echo(f"{each.where}: {each.problem}{why}")
    silent = sum(bool(each.problem) for each in findings)
    click.echo(f"{len(findings)} queries, {silent} without an answer, {len(bad)} of them wrongly")
    return not bad


@click.command()
@click.argument("url")
@click.option("--minutes", type=click.FloatRange(1), default=15.0, show_default=True)
@click.option("--at", type=float, default=None, help="Seconds since the epoch; default: now.")
@click.option("--strict", is_flag=True, help="Nothing may come back empty.")
def main(url: str, minutes: float, at: float | None, *, strict: bool) -> None:
    """Ask the Prometheus at URL everything that dashboards and rules ask."""
    server, during = Prometheus(url), window(minutes, at or time.time())
    findings = [*of_panels(server, during), *of_rules(server, during)]
    server.close()
    if not report(findings, strict=strict):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
