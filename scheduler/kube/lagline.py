"""Lag in a Tenant's status: a line through one moment, so that time alone writes nothing."""

from collections.abc import Iterable, Mapping

from scheduler.core.fairness.lag import slopes
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName
from scheduler.core.model.standing import Standing
from scheduler.core.model.stored import Stored, mapping, objects
from scheduler.core.model.tenants import Tenant, user_leaf
from scheduler.kube.client import JSON
from scheduler.kube.times import micro_stamp, seconds

REWRITE_SECONDS = 60.0
"""A line is written anew at most so often."""

APART = 1.0
"""GPU-seconds that lag may be off its line before that counts as another line."""

MOST_USERS = 100
"""Of so many users of a tenant lag is told: an object must not grow without end."""

LONGEST = 3600.0
"""Seconds for which a line is believed: longer ago, nobody knows what happened since."""


def slopes_of(standing: Standing) -> Mapping[TenantName, float]:
    """Return how fast the lag of each tenant, and of each user's leaf, grows now, in GPUs."""
    tenants, users = standing.tenants, standing.users
    leaves = {user_leaf(each.tenant, each.name): each for each in users}
    tree = TenantTree(
        (
            *(Tenant(each.name, each.parent) for each in tenants),
            *(Tenant(leaf, each.tenant, user=True) for leaf, each in leaves.items()),
        )
    )
    shared = {each.tenant for each in users}
    # What those over budget hold is charged to nobody above them.
    spent = {each.name for each in tenants if each.spent}
    held = {
        each.name: each.allocated
        for each in tenants
        if each.leaf and each.name not in shared and each.name not in spent
    }
    return slopes(
        tree,
        shares={each.name: each.fair_share for each in tenants}
        | {leaf: each.fair_share for leaf, each in leaves.items()},
        held=held
        | {leaf: each.allocated for leaf, each in leaves.items() if each.tenant not in spent},
    )


def line(value: float, slope: float, at: float) -> JSON:
    """Return the line through `value` GPU-seconds at time `at`; `slope` in GPUs."""
    return {"gpuSeconds": round(value, 3), "slope": round(slope, 6), "at": micro_stamp(at)}


def with_users(tenant: JSON, users: Iterable[tuple[str, JSON]]) -> JSON:
    """Return a tenant's line with those of its users, by name: the MOST_USERS that matter most.

    One that is owed nothing, nor owes, needs none. All begin at the tenant's moment.
    """
    moving = [(name, each) for name, each in users if each["gpuSeconds"] or each["slope"]]
    moving.sort(key=lambda user: (-abs(user[1]["gpuSeconds"]), user[0]))
    listed = [
        {"name": name, "gpuSeconds": each["gpuSeconds"], "slope": each["slope"]}
        for name, each in sorted(moving[:MOST_USERS], key=lambda user: user[0])
    ]
    return {**tenant, "users": listed} if listed else tenant


def same_line(before: Stored, now: Stored) -> bool:
    """Whether the line before still goes through where lag is now, and as steeply.

    With those of users: each of them has to.
    """
    known, told = _parts(before), _parts(now)
    return known.keys() == told.keys() and all(_same(known[name], told[name]) for name in told)


def _same(before: Stored, now: Stored) -> bool:
    foreseen = _at(before, seconds(now.get("at")) or 0.0)
    if foreseen is None or before.get("slope") != now.get("slope"):
        return False
    return abs(foreseen - float(now["gpuSeconds"])) <= APART


def _parts(stored: Stored) -> dict[str | None, Stored]:
    """The line of a tenant (None), and those of its users by name."""
    at = stored.get("at")
    parts: dict[str | None, Stored] = {None: stored} if stored else {}
    for each in objects(stored, "users"):
        parts[str(each.get("name"))] = {**each, "at": at}
    return parts


def too_soon(before: Stored, at: float) -> bool:
    """Whether the line was written less than a minute before `at`."""
    began = seconds(before.get("at"))
    return began is not None and 0 <= at - began < REWRITE_SECONDS


def lags_of(tenants: Iterable[Stored], now: float) -> dict[TenantName, float]:
    """Return the lag (GPU-seconds) at `now` of each Tenant that tells one, and of its users.

    All lines are followed to the same moment, so that they still sum to zero: `now`, but at most
    LONGEST seconds after the last of them was written.
    """
    lines = dict[TenantName, Stored]()
    for each in tenants:
        tenant = TenantName(str(mapping(each, "metadata").get("name")))
        for user, part in _parts(mapping(mapping(each, "status"), "lag")).items():
            lines[tenant if user is None else user_leaf(tenant, user)] = part
    began = [at for each in lines.values() if (at := seconds(each.get("at"))) is not None]
    until = min(now, max(began, default=now) + LONGEST)
    found = {name: _at(each, until) for name, each in lines.items()}
    return {name: value for name, value in found.items() if value is not None}


def _at(stored: Stored, at: float) -> float | None:
    """The line's value at a time; before it begins it has the value at its beginning."""
    began, value, slope = (seconds(stored.get("at")), stored.get("gpuSeconds"), stored.get("slope"))
    if began is None or not isinstance(value, int | float) or not isinstance(slope, int | float):
        return None
    return value + slope * max(0.0, at - began)
