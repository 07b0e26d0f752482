"""A tenant as scenario and share files write it: amounts in GPUs, null = unlimited.

A guarantee of "contributed" is what the tenant brought, which the file says elsewhere.
"""

from fractions import Fraction

from scheduler.core.model.ids import TenantName
from scheduler.core.model.names import CONTRIBUTED
from scheduler.core.model.tenants import Tenant
from scheduler.simulator.scenarios import jsonfile
from scheduler.simulator.scenarios.jsonfile import Entry


def read_tenant(entry: Entry, where: str, age: int, *, total: Fraction) -> Tenant:
    """Read the tenant that is the `age`th of its file; raise InvalidInput.

    An unlimited guarantee is one of all there is, `total` GPUs.
    """
    name = jsonfile.text(entry, "name", f"{where}, tenant {age + 1}")
    where = f'{where}, tenant "{name}"'
    parent = jsonfile.parent(entry, where)
    contributed = entry.get("guarantee") == CONTRIBUTED
    guarantee = Fraction(0) if contributed else _amount_or_none(entry, "guarantee", where)
    return Tenant(
        name=TenantName(name),
        parent=None if parent is None else TenantName(parent),
        guarantee=total if guarantee is None else guarantee,
        weight=jsonfile.amount(entry, "weight", where),
        limit=_amount_or_none(entry, "limit", where),
        priority=jsonfile.whole(entry, "priority", where),
        created=float(age),
        contributed=contributed,
    )


def _amount_or_none(entry: Entry, key: str, where: str) -> Fraction | None:
    if jsonfile.value(entry, key, where) is None:
        return None
    return jsonfile.amount(entry, key, where)
