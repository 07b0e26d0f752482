"""What a status should say, and whether it says so already."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scheduler.core.model.standing import Standing, TenantStanding
from scheduler.core.model.stored import Stored, mapping
from scheduler.core.model.tenants import user_leaf
from scheduler.kube import budgetline, gpunodestatus, lagline, tenantstatus
from scheduler.kube.client import JSON
from scheduler.kube.conditions import find, same
from scheduler.kube.lagline import same_line
from scheduler.kube.resources import GPUNODES, TENANTS, Resource

FIELDS = {TENANTS: tenantstatus.FIELDS, GPUNODES: gpunodestatus.FIELDS}
CONDITIONS = {
    TENANTS: (tenantstatus.VALID, tenantstatus.SERVED, budgetline.WITHIN),
    GPUNODES: (gpunodestatus.TAKES_PODS,),
}
"""What of a status is ours to write."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The status that a stored object should have, as far as it is ours.

    `early`: there is more to say, but it is too early for that.
    """

    resource: Resource
    stored: Stored
    status: JSON
    early: bool = False

    @property
    def name(self) -> str:
        """Name of the object."""
        return str(mapping(self.stored, "metadata").get("name"))

    @property
    def body(self) -> JSON:
        """What is to be applied."""
        return {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": {"name": self.name},
            "status": self.status,
        }

    def granted(self, status: Stored) -> bool:
        """Whether that status says the same, whenever its conditions began."""
        fields = FIELDS[self.resource]
        if any(self.status.get(field) != status.get(field) for field in fields):
            return False
        listed = (find({"status": status}, kind) for kind in CONDITIONS[self.resource])
        return same((each for each in listed if each is not None), self.status["conditions"])


def tenant_wish(
    stored: Stored,
    standing: TenantStanding | None,
    *,
    problem: str,
    line: Stored | None,
    before: Stored,
    at: float,
) -> Wish:
    """Return the wish for a Tenant; `line`: its lag now, `before`: the status that was written.

    The line of its lag changes only where lag has left it, and not within a minute.
    """
    lag, early = _kept(mapping(before, "lag") or None, line, at, same_line)
    use = None if standing is None else budgetline.budget_line(standing, at)
    told = mapping(before, "budget") or None
    budget, also_early = _kept(told, use, at, budgetline.same_budget_line)
    status = tenantstatus.tenant_status(
        stored, standing, problem=problem, lag=lag, budget=budget, at=at
    )
    return Wish(TENANTS, stored, status, early or also_early)


def lines(standing: Standing) -> Mapping[str, Stored]:
    """Return the line of each tenant's lag as things stand, with those of its users."""
    steep, at = lagline.slopes_of(standing), standing.at
    users = defaultdict[str, list[tuple[str, JSON]]](list)
    for each in standing.users:
        slope = steep[user_leaf(each.tenant, each.name)]
        users[each.tenant].append((each.name, lagline.line(each.lag, slope, at)))
    return {
        each.name: lagline.with_users(
            lagline.line(each.lag, steep[each.name], at), users[each.name]
        )
        for each in standing.tenants
    }


def _kept(
    before: Stored | None,
    line: Stored | None,
    at: float,
    same: Callable[[Stored, Stored], bool],
) -> tuple[Stored | None, bool]:
    """The line to write, and whether another one has to wait."""
    if line is None:
        return None, False
    if before is None:
        # Nobody needs to be told that nothing was ever owed.
        told = line["gpuSeconds"] or line["slope"] or "users" in line
        return (line if told else None), False
    if same(before, line):
        return before, False
    return (before, True) if lagline.too_soon(before, at) else (line, False)
