"""Reader of a file of division cases: who wants how much of what, and what should come out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from scheduler.core.fairness.guarantees import guaranteed
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.errors import InvalidFile, InvalidInput, InvalidTenants
from scheduler.core.model.ids import TenantName
from scheduler.core.model.tenants import Brought
from scheduler.simulator.scenarios import jsonfile
from scheduler.simulator.scenarios.jsonfile import Entry
from scheduler.simulator.scenarios.tenantentry import read_tenant

Shares = Mapping[TenantName, Fraction]

RATIONAL = re.compile(r"[0-9]+(\.[0-9]+|/0*[1-9][0-9]*)?", re.ASCII)
LONGEST_RATIONAL = 4000


@dataclass(frozen=True, slots=True)
class ShareCase:
    """One division. Amounts are exact, in GPUs; None where the file says nothing.

    `exact` is what should come out, `kai` what KAI-Scheduler makes of it.
    """

    id: str
    tree: TenantTree
    total: Fraction
    demand: Shares
    exact: Shares | None = None
    kai: Shares | None = None


def read_shares(path: Path) -> tuple[ShareCase, ...]:
    """Read the cases of a file; raise InvalidFile with one sentence that says what to change."""
    document = jsonfile.read_document(path)
    try:
        cases = jsonfile.listing(jsonfile.as_object(document, "the file"), "cases", "the file")
        read = tuple(_case(entry, f"case {number}") for number, entry in enumerate(cases, start=1))
        _refuse_twice(read)
    except InvalidInput as problem:
        raise InvalidFile(str(path), str(problem)) from None
    return read


def _case(entry: object, where: str) -> ShareCase:
    case = jsonfile.as_object(entry, where)
    name = jsonfile.text(case, "id", where)
    where = f'case "{name}"'
    total = jsonfile.amount(case, "total", where)
    tenants = jsonfile.objects(case, "tenants", where)
    try:
        tree = TenantTree(
            read_tenant(each, where, age, total=total) for age, each in enumerate(tenants)
        )
        tree = guaranteed(tree, _brought(tenants, where))
    except InvalidTenants as problem:
        raise InvalidInput(f"{where}: {problem}") from None
    # An inner tenant's demand is its children's, so the file may leave it out.
    demand = {
        TenantName(each["name"]): jsonfile.amount(
            each, "demand", f'{where}, tenant "{each["name"]}"'
        )
        for each in tenants
        if "demand" in each or tree.is_leaf(TenantName(each["name"]))
    }
    return ShareCase(
        id=name,
        tree=tree,
        total=total,
        demand=demand,
        exact=_shares(case, "exact", where, tree),
        kai=_shares(case, "kai", where, tree),
    )


def _brought(tenants: Sequence[Entry], where: str) -> dict[TenantName, Brought]:
    """Read what tenants brought themselves; GPUs, in steps of 0.001 as devices are counted."""
    found = {}
    for each in tenants:
        if "brought" in each:
            name = each["name"]
            milli = jsonfile.amount(each, "brought", f'{where}, tenant "{name}"') * MILLI
            if milli.denominator != 1:
                raise InvalidInput(f'{where}, tenant "{name}": "brought" must be in steps of 0.001')
            found[TenantName(name)] = Brought(milli.numerator)
    return found


def _shares(case: Entry, key: str, where: str, tree: TenantTree) -> Shares | None:
    if case.get(key) is None:
        return None
    shares: dict[TenantName, Fraction] = {}
    for name, value in jsonfile.as_object(case[key], f'{where}, "{key}"').items():
        if name not in tree:
            raise InvalidInput(f'{where}: "{key}" names "{name}", which is no tenant of it')
        shares[TenantName(name)] = _rational(value, f'{where}: "{key}" of "{name}"')
    return shares


def _rational(value: object, what: str) -> Fraction:
    if isinstance(value, Fraction):
        return value
    if not isinstance(value, str):
        raise InvalidInput(f'{what} must be a number, such as "9/10"')
    # Long on purpose: what comes out can have far more digits than what went in.
    if len(value) > LONGEST_RATIONAL or not RATIONAL.fullmatch(value):
        raise InvalidInput(f'{what}: "{value[:40]}" is not a number such as "9/10"')
    return Fraction(value)


def _refuse_twice(cases: tuple[ShareCase, ...]) -> None:
    seen: set[str] = set()
    for case in cases:
        if case.id in seen:
            raise InvalidInput(f'case "{case.id}" is there twice; give each its own id')
        seen.add(case.id)
