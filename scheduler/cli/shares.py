"""`equipoise shares FILE`: divide what there is among tenants, exactly, and compare."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import click
from rich.console import Console
from rich.table import Table

from scheduler.core.fairness.division import divide
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName
from scheduler.simulator.scenarios.sharefile import ShareCase, Shares, read_shares

COLUMNS: tuple[tuple[str, Literal["left", "right"]], ...] = (
    ("Case", "left"),
    ("Total", "right"),
    ("Tenant", "left"),
    ("Demand", "right"),
    ("Share", "right"),
    ("KAI", "right"),
    ("", "left"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case and its division; `ok` is None where the file doesn't say what should come out."""

    case: ShareCase
    shares: Shares
    ok: bool | None


@click.command("shares")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, shares as exact rationals.")
@click.pass_context
def shares(context: click.Context, file: Path, as_json: bool) -> None:
    """Divide GPUs among the tenants of FILE, exactly.

    FILE is JSON: cases with a total and tenants (guarantee, weight, limit, priority, demand; for a
    guarantee of "contributed" what they brought). Where a case says what should come out ("exact"),
    the two are compared; exit status 1 if one differs.
    """
    # Deep trees of odd weights give long denominators; the reader has bounded what goes in.
    sys.set_int_max_str_digits(0)
    outcomes = [_divide(case) for case in read_shares(file)]
    if as_json:
        click.echo(json.dumps({"cases": [_as_json(each) for each in outcomes]}, indent=1))
    else:
        _print_table(outcomes)
    if any(each.ok is False for each in outcomes):
        context.exit(1)


def _divide(case: ShareCase) -> Outcome:
    given = divide(case.tree, case.total, case.demand)
    if case.exact is None:
        return Outcome(case, given, None)
    return Outcome(case, given, all(given[name] == due for name, due in case.exact.items()))


def _as_json(outcome: Outcome) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": outcome.case.id,
        "shares": {name: str(share) for name, share in outcome.shares.items()},
    }
    return entry if outcome.ok is None else {**entry, "ok": outcome.ok}


def _print_table(outcomes: list[Outcome]) -> None:
    table = Table(box=None, pad_edge=False)
    for title, justify in COLUMNS:
        table.add_column(title, justify=justify, overflow="fold")
    for outcome in outcomes:
        for row in _rows(outcome):
            table.add_row(*row, style="red" if outcome.ok is False else None)
    # Names come from the file and may look like markup; a pipe has no width to keep to.
    width = None if sys.stdout.isatty() else 120
    console = Console(markup=False, highlight=False, width=width)
    console.print(table)
    console.print(_summary(outcomes))


def _rows(outcome: Outcome) -> Iterator[tuple[str, ...]]:
    case, kai = outcome.case, outcome.case.kai or {}
    title, total = case.id, _number(case.total)
    for name in _from_the_top(case.tree):
        yield (
            title,
            total,
            "  " * case.tree.depth[name] + name,
            _number(case.demand.get(name)),
            _number(outcome.shares[name]),
            _number(kai.get(name)),
            _remark(outcome, name),
        )
        title = total = ""


def _from_the_top(tree: TenantTree) -> Iterator[TenantName]:
    """Yield every tenant with those below it right after it."""
    waiting = list(reversed(tree.children(None)))
    while waiting:
        name = waiting.pop()
        yield name
        waiting.extend(reversed(tree.children(name)))


def _remark(outcome: Outcome, name: TenantName) -> str:
    share, due = outcome.shares[name], (outcome.case.exact or {}).get(name)
    if due is not None and due != share:
        return f"should be {due}"
    return "differs from KAI" if _differs(outcome, name) else ""


def _differs(outcome: Outcome, name: TenantName) -> bool:
    kai = (outcome.case.kai or {}).get(name)
    return kai is not None and kai != outcome.shares[name]


def _number(value: Fraction | None) -> str:
    """Short and exact: a decimal where it ends soon, else p/q; "" for None."""
    if value is None:
        return ""
    if 1000 % value.denominator:
        return str(value)
    whole, rest = divmod(value.numerator * (1000 // value.denominator), 1000)
    return f"{whole}.{rest:03}".rstrip("0").rstrip(".")


def _summary(outcomes: list[Outcome]) -> str:
    checked = [each for each in outcomes if each.ok is not None]
    good = sum(1 for each in checked if each.ok)
    text = f"{len(outcomes)} cases divided; {good} of {len(checked)} equal what they should be"
    other = sum(1 for each in outcomes if any(_differs(each, name) for name in each.shares))
    return text + (f"; KAI-Scheduler divides {other} of them otherwise" if other else "")
