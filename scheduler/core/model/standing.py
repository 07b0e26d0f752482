"""How everybody stands at one moment: what the page, the metrics and the report are drawn from."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from scheduler.core.model.budgets import Budget
from scheduler.core.model.fragments import Fragments
from scheduler.core.model.ids import DeviceUUID, NodeName, PodUID, TenantName
from scheduler.core.model.names import OWNER_LABEL
from scheduler.core.model.plans import Lack
from scheduler.core.model.tenants import Brought
from scheduler.core.model.verdicts import Verdict

FEW_NODES = 3
"""Of many nodes so many are named."""


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """What may be used from `since` until `until`, and what is used of it, in GPU-seconds."""

    budget: Budget
    used: float
    since: float
    until: float

    @property
    def part(self) -> float:
        """The part of it that is used; more than 1 once it is used up."""
        return self.used / self.budget.gpu_seconds


@dataclass(frozen=True, slots=True)
class TenantStanding:
    """One tenant. Amounts in GPUs, exact; `lag` in GPU-seconds, above 0 = served too little.

    `brought` are the machines of it and of all below it, `contributed`: they are its guarantee.
    `budget`: None where there is none. `spent`: it, or one above it, has used up its budget.
    """

    name: TenantName
    parent: TenantName | None
    leaf: bool
    guarantee: Fraction
    weight: Fraction
    limit: Fraction | None
    priority: int
    fair_share: Fraction
    allocated: Fraction
    demand: Fraction
    lag: float
    pending_pods: int
    running_pods: int
    contributed: bool = False
    brought: Brought = field(default_factory=Brought)
    budget: BudgetStanding | None = None
    spent: bool = False


@dataclass(frozen=True, slots=True)
class UserStanding:
    """One user of a tenant that is shared by user, `name` "" for pods that name none. As above."""

    tenant: TenantName
    name: str
    fair_share: Fraction
    allocated: Fraction
    demand: Fraction
    lag: float
    pending_pods: int
    running_pods: int


@dataclass(frozen=True, slots=True)
class Slice:
    """What one pod holds of one device; not `bound` means reserved for it.

    `user` is set where the tenant is shared by user, here and below.
    """

    uid: PodUID
    pod: str
    tenant: TenantName
    milli: int
    memory_mib: int
    bound: bool
    user: str = ""


@dataclass(frozen=True, slots=True)
class DeviceStanding:
    """One device and who is on it. `milli` is its capacity, `owner` whoever brought its node.

    Measured: `load` in permille, `used_mib` memory in use, `foreign_mib` what strangers hold of it.
    """

    node: NodeName
    index: int
    uuid: DeviceUUID
    model: str
    milli: int
    memory_mib: int
    healthy: bool
    foreign_mib: int
    load: int
    used_mib: int
    slices: tuple[Slice, ...]
    owner: TenantName | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pod that waits, since when (seconds since the epoch), for what and why."""

    uid: PodUID
    pod: str
    tenant: TenantName
    request: str
    since: float
    verdict: Verdict
    user: str = ""


@dataclass(frozen=True, slots=True)
class Stray:
    """A node that names an owner who is no tenant."""

    node: NodeName
    owner: TenantName


def told_of(strays: Iterable[Stray]) -> Iterator[str]:
    """Say of each such owner what is wrong, and what to change: once, with a few of its nodes."""
    nodes = dict[TenantName, list[NodeName]]()
    for stray in strays:
        nodes.setdefault(stray.owner, []).append(stray.node)
    for owner, named in nodes.items():
        what, it = f"node {named[0]} names", "it counts"
        if len(named) > 1:
            few = ", ".join(named[:FEW_NODES])
            more = " and others" if len(named) > FEW_NODES else ""
            what, it = f"{len(named):,} nodes ({few}{more}) name", "they count"
        yield (
            f'{what} the owner "{owner}", which is no tenant, so {it} for nobody: create the '
            f"Tenant, or correct the label {OWNER_LABEL}"
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """The whole picture at time `at` (seconds since the epoch).

    `jain` is Jain's index of allocated ÷ fair share over leaves that want something (1 = all get
    the same part of their due; 1 too when nobody wants anything). `fragments` is free
    capacity that can't serve what people ask for, `oversold_milli` what is
    promised above capacity: always 0, or a bug. `lacks` is the work that no present node can take,
    `strays` are nodes whose owner is no tenant.
    `users` are those of tenants that are shared by user; `tenants` has no row for them, and of
    such a tenant says that it is a leaf.
    """

    at: float
    tenants: tuple[TenantStanding, ...] = ()
    devices: tuple[DeviceStanding, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    jain: float = 1.0
    free_milli: int = 0
    fragments: Fragments = field(default_factory=Fragments)
    oversold_milli: int = 0
    lacks: tuple[Lack, ...] = ()
    strays: tuple[Stray, ...] = ()
    users: tuple[UserStanding, ...] = ()
