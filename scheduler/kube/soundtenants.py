"""Of Tenants as they are stored, those that form a tree, and what is wrong with the others."""

from collections.abc import Iterable, Mapping

from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import TenantName
from scheduler.core.model.stored import mapping
from scheduler.core.model.tenants import Tenant
from scheduler.kube import convert
from scheduler.kube.client import JSON

Tenants = dict[TenantName, Tenant]
Problems = dict[TenantName, str]


def sound(stored: Iterable[JSON], good: Mapping[TenantName, Tenant]) -> tuple[Tenants, Problems]:
    """Return tenants that form a tree, and a sentence for each of which not all is used.

    `good` are those that were used before: a tenant that is broken now counts as it did then. If
    that doesn't help, or there was none, it is left out. A cycle is broken where it was closed.
    """
    chosen, problems = _readable(stored, good)
    while broken := _broken(chosen, good, problems):
        for name, why in broken.items():
            problems.setdefault(name, f'tenant "{name}": {why}')
            if _differs(name, chosen, good):
                chosen[name] = good[name]
            else:
                del chosen[name]
    return chosen, problems


def _readable(
    stored: Iterable[JSON], good: Mapping[TenantName, Tenant]
) -> tuple[Tenants, Problems]:
    chosen: Tenants = {}
    problems: Problems = {}
    for each in stored:
        name = TenantName(str(mapping(each, "metadata").get("name")))
        try:
            chosen[name] = convert.tenant(each)
            if why := convert.defrag_problem(each):
                problems[name] = why
        except InvalidInput as problem:
            problems[name] = str(problem)
            if name in good:
                chosen[name] = good[name]
    return chosen, problems


def _broken(chosen: Tenants, good: Mapping[TenantName, Tenant], problems: Problems) -> Problems:
    """Those that no tree can hold, and why; () once it is one."""
    orphans = {
        name: _orphan(tenant.parent, left_out=tenant.parent in problems)
        for name, tenant in chosen.items()
        if tenant.parent is not None and tenant.parent not in chosen
    }
    if orphans:
        return orphans
    cycle = _cycle(chosen)
    closed_it = [name for name in cycle if _differs(name, chosen, good)]
    steps = " → ".join([*cycle, *cycle[:1]]) if len(cycle) <= 5 else f"{cycle[0]} → … → {cycle[0]}"
    return dict.fromkeys(
        closed_it or cycle, f"it is above itself ({steps}); give one of them another parent"
    )


def _orphan(parent: TenantName, *, left_out: bool) -> str:
    if left_out:
        return f'its parent "{parent}" is left out; correct that one first'
    return f'its parent "{parent}" does not exist; create that one first or correct the name'


def _differs(name: TenantName, chosen: Tenants, good: Mapping[TenantName, Tenant]) -> bool:
    return name in good and good[name] != chosen[name]


def _cycle(chosen: Tenants) -> list[TenantName]:
    """The tenants of one cycle, each followed by its parent; [] if there is none."""
    ends: set[TenantName] = set()
    for start in sorted(chosen):
        path: dict[TenantName, None] = {}
        name: TenantName | None = start
        while name is not None and name not in ends:
            if name in path:
                steps = list(path)
                return steps[steps.index(name) :]
            path[name] = None
            name = chosen[name].parent
        ends.update(path)
    return []
