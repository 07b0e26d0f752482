"""Every metric, as one table: the objects and docs/reference/metrics.md are made from it."""

from dataclasses import dataclass
from enum import StrEnum

from scheduler.core.model.verdicts import Reason

PREFIX = "equipoise_"


class Kind(StrEnum):
    """What Prometheus calls the type of a metric."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Spec:
    """One metric. `unit` is "" for a pure number; `buckets` (upper bounds) only for histograms."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    unit: str
    help: str
    buckets: tuple[float, ...] = ()


_TENANT = ("tenant",)
_GPU = ("node", "device", "uuid", "model")


def _gauge(name: str, labels: tuple[str, ...], unit: str, text: str) -> Spec:
    return Spec(PREFIX + name, Kind.GAUGE, labels, unit, text)


FAIR_SHARE = _gauge(
    "tenant_fair_share_gpus", _TENANT, "gpus", "GPUs that the division gives the tenant now."
)
ALLOCATED = _gauge(
    "tenant_allocated_gpus",
    _TENANT,
    "gpus",
    "GPUs that the tenant's pods hold: bound pods, and reservations for pods on their way.",
)
GUARANTEE = _gauge(
    "tenant_guarantee_gpus",
    _TENANT,
    "gpus",
    "GPUs that the tenant is owed before anyone gets surplus.",
)
BROUGHT = _gauge(
    "tenant_brought_gpus",
    ("tenant", "state"),
    "gpus",
    "GPUs of the nodes that the tenant and all below it own: counted = healthy, on a node that "
    "takes pods, and its guarantee if that is contributed; ill = failed; away = on a node that "
    "is cordoned, closed or lost. No series for who owns none.",
)
OWNERLESS = _gauge(
    "ownerless_gpus",
    (),
    "gpus",
    "GPUs of nodes that name an owner who is no tenant, so that they count for nobody.",
)
DEMAND = _gauge(
    "tenant_demand_gpus",
    _TENANT,
    "gpus",
    "GPUs that the tenant could use now: held, and asked for by waiting pods that count.",
)
LIMIT = _gauge(
    "tenant_limit_gpus",
    _TENANT,
    "gpus",
    "The most GPUs that the tenant may hold; no series for a tenant without a limit.",
)
LAG = _gauge(
    "tenant_lag_gpu_seconds",
    _TENANT,
    "gpu_seconds",
    "What the tenant is owed: its fair share of what was delivered less what it held, summed up "
    "over time. Above 0 = served too little; siblings sum to 0 between resets.",
)
BUDGET = _gauge(
    "tenant_budget_gpu_seconds",
    _TENANT,
    "gpu_seconds",
    "What the tenant and all below it may use in a period of its budget; no series without one.",
)
BUDGET_USED = _gauge(
    "tenant_budget_used_gpu_seconds",
    _TENANT,
    "gpu_seconds",
    "What they have used of it since the period began. Above the budget they are served last.",
)
PENDING = _gauge("tenant_pending_pods", _TENANT, "pods", "Pods of the tenant that wait for GPUs.")
WAITING = _gauge(
    "waiting_pods",
    ("tenant", "reason"),
    "pods",
    "Pods that wait now, by tenant and by stable reason; only leaf tenants have them. Released = "
    "its place is reserved and kube-scheduler may bind it, but has not for 5 s.",
)
LONGEST_WAIT = _gauge(
    "tenant_longest_wait_seconds",
    _TENANT,
    "seconds",
    "How long the pod of the tenant that waits longest has waited; no series while none waits.",
)
TENANT = _gauge(
    "tenant_info",
    ("tenant", "parent", "leaf"),
    "",
    'Always 1; says where the tenant stands in the tree. parent is "" at the top, leaf is "true" '
    'or "false".',
)
JAIN = _gauge(
    "fairness_jain_index",
    (),
    "",
    "Jain's index of allocated / fair share over leaf tenants that want something: 1 = all get "
    "the same part of what they are due, 1/n = one of n has everything.",
)
GPU_ALLOCATED = _gauge(
    "gpu_allocated_ratio",
    _GPU,
    "ratio",
    "Part of the GPU that is promised to pods, bound or reserved; above 1 would be a bug.",
)
GPU_UTILIZATION = _gauge(
    "gpu_utilization_ratio",
    _GPU,
    "ratio",
    "Part of the time in which the GPU was measured to run a kernel; 0 where it can't be measured.",
)
GPU_MEMORY_USED = _gauge(
    "gpu_memory_used_ratio",
    _GPU,
    "ratio",
    "Part of the GPU's memory that was measured to be in use, by whoever uses it.",
)
FREE = _gauge(
    "free_gpus", (), "gpus", "Capacity in GPUs that no pod holds, in parts of GPUs summed up."
)
FRAGMENTED = _gauge(
    "fragmented_gpus",
    ("cause",),
    "gpus",
    "Free capacity that can't serve what people ask for, as FGD defines it: expected over the mix "
    "of requests. Causes: devices (too little of each, or too few of a node, is free), cpu (too "
    "few cores beside them), model (another is asked for), none (no GPU is asked for).",
)
OVERSOLD = _gauge(
    "oversold_gpus", (), "gpus", "Promised above capacity, in GPUs. Always 0; alert on more."
)
UNPLACEABLE = _gauge(
    "unplaceable_gpus",
    ("reason", "models", "cards"),
    "gpus",
    "Waiting work that no present node can take, by what a node needs to take it: at least so many "
    'cards, of one of these models ("A|B"; "any"). NoRoom = such nodes are full, counted as far as '
    "the tenant's fair share goes; NeverFits = there is none, counted as far as its limit goes. An "
    "autoscaler should add this.",
)
WAIT = Spec(
    PREFIX + "tenant_wait_seconds",
    Kind.HISTOGRAM,
    _TENANT,
    "seconds",
    "How long pods waited from their creation until they were bound.",
    (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400),
)
TURN = Spec(
    PREFIX + "tenant_turn_seconds",
    Kind.HISTOGRAM,
    _TENANT,
    "seconds",
    "How long pods waited as the next of their tenant until they were bound: without the time "
    "behind pods of their own tenant, which is not the scheduler's doing.",
    WAIT.buckets,
)
DECISIONS = Spec(
    PREFIX + "decisions_total",
    Kind.COUNTER,
    ("outcome", "reason"),
    "",
    "Decisions taken about pods, by outcome and by stable reason; an outcome that needs no reason "
    'has "" there.',
)
EVICTIONS = Spec(
    PREFIX + "evictions_total",
    Kind.COUNTER,
    ("reason",),
    "",
    "Pods that were told to end, by stable reason: Reclaimed for another tenant, Preempted for a "
    "pod of their own, MaxRuntime because their time was over, GangBroken as members were missing, "
    "Moved to another node, Stuck and MakesWay so that their owner makes them again.",
)
LOST = Spec(
    PREFIX + "evicted_gpu_seconds_total",
    Kind.COUNTER,
    _TENANT,
    "gpu_seconds",
    "GPU-seconds that the tenant's pods had run for when they were stopped for others: what it "
    "lost by reclaim and preemption, unless its jobs go on where they were. Leaf tenants only.",
)
HOLD = Spec(
    PREFIX + "hold_seconds_total",
    Kind.COUNTER,
    ("reason",),
    "seconds",
    "Time that pods were held, summed over pods, by stable reason: its rate is how many wait.",
)
REQUEST = Spec(
    PREFIX + "extender_request_seconds",
    Kind.HISTOGRAM,
    ("verb",),
    "seconds",
    "Time that a call of kube-scheduler took inside the extender; verb is filter, prioritize, "
    "preempt or bind.",
    (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
CYCLE = Spec(
    PREFIX + "cycle_seconds",
    Kind.HISTOGRAM,
    ("phase",),
    "seconds",
    "Time that a phase of a round of decisions took.",
    (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
ADMISSION = Spec(
    PREFIX + "webhook_request_seconds",
    Kind.HISTOGRAM,
    ("verb",),
    "seconds",
    "Time that a call of the API server took inside the webhook; verb is mutate or validate.",
    REQUEST.buckets,
)
LOOP = Spec(
    PREFIX + "event_loop_lag_seconds",
    Kind.HISTOGRAM,
    (),
    "seconds",
    "How much later than asked for the event loop got round to something, looked at ten times a "
    "second: for so long everything else had to wait.",
    (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
ACTS = Spec(
    PREFIX + "acts",
    Kind.GAUGE,
    (),
    "",
    "1 if this replica is the one that decides and writes, else 0. Alert on a sum other than 1 "
    "that lasts for longer than a take-over, about 20 s.",
)

VERBS = ("filter", "prioritize", "preempt", "bind")
ADMISSION_VERBS = ("mutate", "validate")

EVICTED = (
    *(Reason.RECLAIMED, Reason.PREEMPTED, Reason.MAX_RUNTIME),
    *(Reason.STUCK, Reason.MAKES_WAY, Reason.GANG_BROKEN, Reason.MOVED),
)
_RARE = dict.fromkeys(EVICTED, "evict") | {Reason.DEVICE_LOST: "warn"}
DECIDED = (("admit", ""), *((_RARE.get(reason, "hold"), str(reason)) for reason in Reason))
"""Outcomes and reasons that are counted from the start, at 0."""

CATALOGUE: tuple[Spec, ...] = (
    FAIR_SHARE,
    ALLOCATED,
    GUARANTEE,
    BROUGHT,
    DEMAND,
    LIMIT,
    BUDGET,
    BUDGET_USED,
    LAG,
    PENDING,
    WAITING,
    LONGEST_WAIT,
    WAIT,
    TURN,
    TENANT,
    JAIN,
    FREE,
    FRAGMENTED,
    OVERSOLD,
    UNPLACEABLE,
    OWNERLESS,
    GPU_ALLOCATED,
    GPU_UTILIZATION,
    GPU_MEMORY_USED,
    DECISIONS,
    EVICTIONS,
    LOST,
    HOLD,
    REQUEST,
    ADMISSION,
    CYCLE,
    LOOP,
    ACTS,
)
"""All of them, in the order of the reference page."""
