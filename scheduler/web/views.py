"""How everybody stands, as the JSON of /api/v1/state. A pure function; the page draws only this.

Amounts of GPUs are decimal numbers of cards (0.25 = a quarter), exact wherever a double can be:
every multiple of a milli-GPU reads as it is written, a third is rounded to 9 places. Memory is in
MiB, times are seconds since the epoch, `lag` is in GPU-seconds (above 0 = owed).
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TypedDict

from scheduler.core.model.amounts import MILLI
from scheduler.core.model.budgets import HOUR
from scheduler.core.model.standing import (
    BudgetStanding,
    DeviceStanding,
    Slice,
    Standing,
    TenantStanding,
    UserStanding,
    Waiting,
    told_of,
)

GROUPS = 50
"""The most groups of waiting pods that are listed."""

USERS = 20
"""The most users that a tenant lists."""

EXAMPLES = 3
"""The most pods that a group names."""


class Fragments(TypedDict):
    """Free GPUs that can't serve what people ask for, by cause; see core/model/fragments.py."""

    devices: float
    cpu: float
    model: float
    none: float


class Cluster(TypedDict):
    """The whole cluster; `gpus` is its capacity, `allocated` what bound and expected pods hold.

    `fragmented` is the sum of `fragments`.
    """

    gpus: float
    devices: int
    allocated: float
    free: float
    fragmented: float
    fragments: Fragments
    oversold: float
    jain: float
    running_pods: int
    pending_pods: int


class User(TypedDict):
    """One user of a tenant that is shared by user; `name` "" for pods that name none."""

    name: str
    fair_share: float
    allocated: float
    demand: float
    ratio: float | None
    lag: float
    pending_pods: int
    running_pods: int


class Budget(TypedDict):
    """GPU-hours of a period, how many are used, and until when it lasts."""

    gpu_hours: float
    used_gpu_hours: float
    until: float


class Tenant(TypedDict):
    """One tenant; `ratio` is allocated ÷ fair share, null where nothing is due.

    `contributed`: its guarantee is what it `brought` less what of that is `missing` now.
    `users` are those who hold or are owed most, USERS at most. `budget`: null where there is none.
    """

    name: str
    parent: str | None
    leaf: bool
    guarantee: float
    contributed: bool
    brought: float
    missing: float
    weight: float
    limit: float | None
    priority: int
    fair_share: float
    allocated: float
    demand: float
    ratio: float | None
    lag: float
    pending_pods: int
    running_pods: int
    users: list[User]
    more_users: int
    budget: Budget | None


class Part(TypedDict):
    """What one pod holds of one GPU; not `bound` means reserved for it. `user`: whose, or ""."""

    pod: str
    tenant: str
    user: str
    gpus: float
    memory_mib: int
    bound: bool


class Gpu(TypedDict):
    """One GPU; `load` is the measured part of time in which it worked, 0 to 1."""

    index: int
    uuid: str
    model: str
    capacity: float
    allocated: float
    memory_mib: int
    foreign_mib: int
    healthy: bool
    load: float
    slices: list[Part]


class Node(TypedDict):
    """A machine and its GPUs, by index."""

    name: str
    gpus: list[Gpu]


class Group(TypedDict):
    """Pods of one tenant that ask for the same and wait for the same reason, the oldest since."""

    tenant: str
    request: str
    reason: str
    sentence: str
    since: float
    pods: int
    examples: list[str]


class Queue(TypedDict):
    """Groups, the longest waiting first, and how many groups and pods are not listed."""

    pods: int
    groups: list[Group]
    more_groups: int
    more_pods: int


class State(TypedDict):
    """All of it, at the time `at`."""

    at: float
    title: str
    facts: list[str]
    cluster: Cluster
    tenants: list[Tenant]
    nodes: list[Node]
    waiting: Queue


def state(standing: Standing, *, title: str = "", facts: Sequence[str] = ()) -> State:
    """Return the picture as what JSON knows. Tenants and nodes keep the order they come in."""
    return State(
        at=standing.at,
        title=title,
        facts=[*facts, *told_of(standing.strays)],
        cluster=_cluster(standing),
        tenants=_tenants(standing),
        nodes=_nodes(standing.devices),
        waiting=_queue(standing.waiting),
    )


def gpus(amount: Fraction) -> float:
    """Return an exact amount as the decimal that JSON can hold."""
    return round(float(amount), 9)


def _cluster(standing: Standing) -> Cluster:
    held = sum(part.milli for device in standing.devices for part in device.slices)
    return Cluster(
        gpus=sum(device.milli for device in standing.devices) / MILLI,
        devices=len(standing.devices),
        allocated=held / MILLI,
        free=standing.free_milli / MILLI,
        fragmented=standing.fragments.milli / MILLI,
        fragments=_fragments(standing),
        oversold=standing.oversold_milli / MILLI,
        jain=standing.jain,
        running_pods=sum(t.running_pods for t in standing.tenants if t.leaf),
        pending_pods=sum(t.pending_pods for t in standing.tenants if t.leaf),
    )


def _fragments(standing: Standing) -> Fragments:
    causes = standing.fragments
    return Fragments(
        devices=causes.devices / MILLI,
        cpu=causes.cpu / MILLI,
        model=causes.model / MILLI,
        none=causes.none / MILLI,
    )


def _tenants(standing: Standing) -> list[Tenant]:
    users: dict[str, list[UserStanding]] = {}
    for each in standing.users:
        users.setdefault(each.tenant, []).append(each)
    return [_tenant(tenant, users.get(tenant.name, ())) for tenant in standing.tenants]


def _tenant(tenant: TenantStanding, users: Sequence[UserStanding]) -> Tenant:
    due, got = tenant.fair_share, tenant.allocated
    return Tenant(
        name=tenant.name,
        parent=tenant.parent,
        leaf=tenant.leaf,
        guarantee=gpus(tenant.guarantee),
        contributed=tenant.contributed,
        brought=tenant.brought.all / MILLI,
        missing=(tenant.brought.all - tenant.brought.milli) / MILLI,
        weight=gpus(tenant.weight),
        limit=None if tenant.limit is None else gpus(tenant.limit),
        priority=tenant.priority,
        fair_share=gpus(due),
        allocated=gpus(got),
        demand=gpus(tenant.demand),
        ratio=gpus(got / due) if due else None,
        lag=round(tenant.lag, 3),
        pending_pods=tenant.pending_pods,
        running_pods=tenant.running_pods,
        users=[_user(user) for user in sorted(users, key=_weightiest_first)[:USERS]],
        more_users=max(0, len(users) - USERS),
        budget=None if tenant.budget is None else _budget(tenant.budget),
    )


def _budget(budget: BudgetStanding) -> Budget:
    return Budget(
        gpu_hours=gpus(budget.budget.gpu_hours),
        used_gpu_hours=round(budget.used / HOUR, 3),
        until=budget.until,
    )


def _user(user: UserStanding) -> User:
    due, got = user.fair_share, user.allocated
    return User(
        name=user.name,
        fair_share=gpus(due),
        allocated=gpus(got),
        demand=gpus(user.demand),
        ratio=gpus(got / due) if due else None,
        lag=round(user.lag, 3),
        pending_pods=user.pending_pods,
        running_pods=user.running_pods,
    )


def _weightiest_first(user: UserStanding) -> tuple[Fraction, float, str]:
    return -user.demand, -abs(user.lag), user.name


def _nodes(devices: Iterable[DeviceStanding]) -> list[Node]:
    found: dict[str, Node] = {}
    for device in devices:
        found.setdefault(device.node, Node(name=device.node, gpus=[]))["gpus"].append(_gpu(device))
    return list(found.values())


def _gpu(device: DeviceStanding) -> Gpu:
    return Gpu(
        index=device.index,
        uuid=device.uuid,
        model=device.model,
        capacity=device.milli / MILLI,
        allocated=sum(part.milli for part in device.slices) / MILLI,
        memory_mib=device.memory_mib,
        foreign_mib=device.foreign_mib,
        healthy=device.healthy,
        load=device.load / 1000,
        slices=[_part(part) for part in device.slices],
    )


def _part(part: Slice) -> Part:
    return Part(
        pod=part.pod,
        tenant=part.tenant,
        user=part.user,
        gpus=part.milli / MILLI,
        memory_mib=part.memory_mib,
        bound=part.bound,
    )


def _queue(waiting: Sequence[Waiting]) -> Queue:
    groups: dict[tuple[str, str, str], list[Waiting]] = {}
    for entry in waiting:
        key = (entry.tenant, entry.request, entry.verdict.sentence)
        groups.setdefault(key, []).append(entry)
    listed = sorted((_group(pods) for pods in groups.values()), key=_longest_first)[:GROUPS]
    return Queue(
        pods=len(waiting),
        groups=listed,
        more_groups=len(groups) - len(listed),
        more_pods=len(waiting) - sum(group["pods"] for group in listed),
    )


def _group(pods: list[Waiting]) -> Group:
    pods.sort(key=lambda pod: (pod.since, pod.pod))
    oldest = pods[0]
    return Group(
        tenant=oldest.tenant,
        request=oldest.request,
        reason=oldest.verdict.reason,
        sentence=oldest.verdict.sentence,
        since=oldest.since,
        pods=len(pods),
        examples=[pod.pod for pod in pods[:EXAMPLES]],
    )


def _longest_first(group: Group) -> tuple[float, str, str, str]:
    return (group["since"], group["tenant"], group["request"], group["sentence"])
