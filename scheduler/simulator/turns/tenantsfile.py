"""Reads what `simulate --tenants` plays: who the tenants are, and which part of the work is whose.

Every function raises InvalidInput, and `read_plan` InvalidFile, with what to change.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from scheduler.core.model.amounts import quoted
from scheduler.core.model.errors import InvalidFile, InvalidInput
from scheduler.core.model.ids import TenantName
from scheduler.core.model.names import CONTRIBUTED
from scheduler.core.model.tenants import Tenant

MOST_TENANTS = 1000
NEARLY = 1e-6


@dataclass(frozen=True, slots=True)
class Size:
    """Some tenants that are alike: each has this weight and guarantee (GPUs), and submits `work`.

    `work` is a part of all GPU-seconds that are asked for, `owns` the part of the nodes that each
    of them brings. `contributed`: the guarantee is what these come to.
    """

    name: str
    work: float
    count: int = 1
    weight: float = 1.0
    guarantee: float = 0.0
    owns: float = 0.0
    contributed: bool = False

    @property
    def tenants(self) -> tuple[TenantName, ...]:
        """Return their names; several are numbered."""
        if self.count == 1:
            return (TenantName(self.name),)
        return tuple(TenantName(f"{self.name}-{number}") for number in range(self.count))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is played, and on what.

    `load`: GPU-seconds that arrive, by those there are. `nodes`: the part of the trace's nodes.
    `skip`: the part of its pods, the first ones, that is left out. `longest_hours`: jobs end then
    at the latest. `days`: for so long the trace is played, again and again. `window_hours`: service
    is held against due in windows so long.
    """

    sizes: tuple[Size, ...]
    load: float = 1.0
    nodes: float = 1.0
    skip: float = 0.0
    longest_hours: float = 24.0
    days: float = 1.0
    window_hours: float = 24.0

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        """Return all of them; those that stand first in the file are the older ones."""
        each = [(size, name) for size in self.sizes for name in size.tenants]
        return tuple(
            Tenant(
                name,
                weight=Fraction(str(size.weight)),
                guarantee=Fraction(str(size.guarantee)),
                contributed=size.contributed,
                created=float(age),
            )
            for age, (size, name) in enumerate(each)
        )


_LIMITS = {
    # least, most, whether the least itself is too little
    "work": (0, 1, True),
    "count": (1, MOST_TENANTS, False),
    "weight": (0, 1e9, False),
    "guarantee": (0, 1e9, False),
    "owns": (0, 1, True),
    "load": (0, 100, True),
    "nodes": (0, 1, True),
    "skip": (0, 0.99, False),
    "longest_hours": (0, 1e6, True),
    "days": (0, 3650, True),
    "window_hours": (0, 1e6, True),
}


def read_plan(path: Path) -> Plan:
    """Read the file; raise InvalidFile."""
    try:
        return _plan(_load(path))
    except InvalidFile:
        raise
    except InvalidInput as problem:
        raise InvalidFile(str(path), str(problem)) from None


def _load(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        why = getattr(problem, "strerror", None) or "this is not text in UTF-8"
        raise InvalidFile(str(path), f"can't be read ({why}); name a YAML file") from None
    except (yaml.YAMLError, RecursionError) as problem:
        mark = getattr(problem, "problem_mark", None)
        line = None if mark is None else mark.line + 1
        raise InvalidFile(str(path), "is no YAML; see the line", line) from None


def _plan(document: Any) -> Plan:
    known = ["tenants", *(field.name for field in fields(Plan)[1:])]
    table = dict(_table(document, "the file", known))
    entries = table.pop("tenants", None)
    if not isinstance(entries, list) or not entries:
        raise InvalidInput("tenants must be a list of at least one, each with name and work")
    sizes = tuple(_size(entry, at) for at, entry in enumerate(entries, start=1))
    _check(sizes)
    return Plan(sizes, **{key: _number(value, key, key) for key, value in table.items()})


def _size(entry: Any, at: int) -> Size:
    where = f"tenants, entry {at}"
    known = [field.name for field in fields(Size) if field.name != "contributed"]
    table = dict(_table(entry, where, known))
    name = table.pop("name", None)
    if not isinstance(name, str) or not name or not name.isprintable():
        raise InvalidInput(f"{where}: name must be a text that is not empty")
    if "work" not in table:
        raise InvalidInput(f'tenant "{name}": work is missing; say which part of the work is its')
    contributed = table.get("guarantee") == CONTRIBUTED
    if contributed and "owns" not in table:
        raise InvalidInput(f'tenant "{name}": owns is missing; say which part of the nodes it owns')
    if contributed:
        del table["guarantee"]
    numbers = {key: _number(value, key, f'tenant "{name}": {key}') for key, value in table.items()}
    count = numbers.pop("count", 1)
    if count != int(count):
        raise InvalidInput(f'tenant "{name}": count must be a whole number')
    return Size(name=name, count=int(count), contributed=contributed, **numbers)


def _check(sizes: tuple[Size, ...]) -> None:
    names = [name for size in sizes for name in {size.name, *size.tenants}]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f'tenant "{twice}" is there twice; give each its own name')
    if sum(size.count for size in sizes) > MOST_TENANTS:
        raise InvalidInput(f"more than {MOST_TENANTS} tenants; lower a count")
    total = math.fsum(size.work * size.count for size in sizes)
    if abs(total - 1) > NEARLY:
        raise InvalidInput(f"the parts of the work add up to {total:g}; they must make 1")
    owned = math.fsum(size.owns * size.count for size in sizes)
    if owned > 1 + NEARLY:
        raise InvalidInput(f"the parts of the nodes add up to {owned:g}; they must make 1 at most")
    if not any(size.weight or size.guarantee or size.contributed for size in sizes):
        raise InvalidInput("no tenant has weight or guarantee, so none is due anything; give one")


def _table(value: Any, where: str, known: list[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} must hold names and values, such as `load: 1.1`")
    for key in value:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            hint = f"do you mean {close[0]}?" if close else f"known are {', '.join(known)}"
            raise InvalidInput(f"{where}: there is no {quoted(str(key))}; {hint}")
    return value


def _number(value: Any, key: str, where: str) -> float:
    least, most, open_below = _LIMITS[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInput(f"{where} is {quoted(str(value))}; write a number")
    if not least <= value <= most or (open_below and value == least):
        above = f"above {least:g}" if open_below else f"at least {least:g}"
        raise InvalidInput(f"{where} is {value:g}; it must be {above} and at most {most:g}")
    return float(value)
