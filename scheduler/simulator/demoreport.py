"""The demo's report: who was due what and got it, how long people waited, what it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from statistics import median

from scheduler.core.cycle.standing import jain_index
from scheduler.core.model.ids import TenantName

MILLISECONDS = 1000


@dataclass(frozen=True, slots=True)
class TenantLine:
    """One tenant over the whole run. GPU-seconds due and got; waits in seconds.

    A wait runs from the moment a pod is its tenant's next to the moment it is bound: what it waits
    behind pods of its own tenant is that tenant's own doing. None where nothing was bound.
    `lost`: GPU-seconds that its pods had run for when they were stopped for others.
    """

    tenant: TenantName
    weight: float
    due: float
    got: float
    started: int
    waiting: int
    wait_median: float | None
    wait_worst: float | None
    lost: float = 0.0

    @property
    def ratio(self) -> float | None:
        """Got ÷ due; None where nothing was due."""
        return self.got / self.due if self.due else None


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of one verb of the extender, on the server's side; None without a call."""

    calls: int
    p50: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Audit:
    """What somebody saw who reads only what pods are stored with, and shares no code with us.

    `pods`: how many it saw placed; `oversold_gpus`: the most of one device at any moment, in
    compute or memory; `problems`: everything that was ever wrong, one sentence each.
    """

    pods: int
    oversold_gpus: float
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """All of it. `oversold_gpus` is the most at any moment, `fragmented_gpus` the mean.

    `stopped`: how many pods were stopped for others, and made again by their owners.
    `audit`: None where nobody but the ledger itself counted.
    """

    seconds: float
    gpus: float
    tenants: tuple[TenantLine, ...]
    jain: float
    allocated_mean: float
    fragmented_gpus: float
    oversold_gpus: float
    created: int
    bound: int
    errors: int
    latencies: Mapping[str, Latency]
    audit: Audit | None = None
    stopped: int = 0

    @property
    def sound(self) -> bool:
        """Whether no GPU was ever sold twice, whoever counted, and nothing else was found."""
        return not self.oversold_gpus and not (self.audit and self.audit.problems)

    def audited(self, audit: Audit) -> "Report":
        """Return the report with what the auditor saw; the worse of two counts is what counts."""
        worst = max(self.oversold_gpus, audit.oversold_gpus)
        return replace(self, oversold_gpus=worst, audit=audit)


@dataclass(frozen=True, slots=True)
class Loss:
    """A pod (namespace/name) that was stopped for another one after so many GPU-seconds."""

    tenant: TenantName
    pod: str
    gpu_seconds: float


@dataclass(slots=True)
class Recorder:
    """Collects what the report needs while it happens. Waits and latencies in seconds."""

    waits: dict[TenantName, list[float]] = field(default_factory=dict)
    requests: dict[str, list[float]] = field(default_factory=dict)
    allocated: list[float] = field(default_factory=list)
    fragmented: list[float] = field(default_factory=list)
    oversold: float = 0.0
    losses: list[Loss] = field(default_factory=list)

    def loss(self, tenant: TenantName, pod: str, gpu_seconds: float) -> None:
        """A pod was stopped."""
        self.losses.append(Loss(tenant, pod, gpu_seconds))

    def wait(self, tenant: TenantName, seconds: float) -> None:
        """A pod was bound."""
        self.waits.setdefault(tenant, []).append(seconds)

    def request(self, verb: str, seconds: float) -> None:
        """A call was answered."""
        self.requests.setdefault(verb, []).append(seconds)

    def sample(self, *, allocated: float, fragmented: float, oversold: float) -> None:
        """Note a moment, in GPUs."""
        self.allocated.append(allocated)
        self.fragmented.append(fragmented)
        self.oversold = max(self.oversold, oversold)

    def latency(self, verb: str) -> Latency:
        """Return median and 99th percentile of a verb, in milliseconds."""
        sorted_ = sorted(self.requests.get(verb, ()))
        return Latency(len(sorted_), _at(sorted_, 0.5), _at(sorted_, 0.99))


def jain_of_service(lines: Sequence[TenantLine]) -> float:
    """Jain's index of got ÷ due over the tenants that were due something."""
    return jain_index([Fraction(line.ratio) for line in lines if line.ratio is not None])


def mean(values: Sequence[float]) -> float:
    """Mean; 0 for none."""
    return sum(values) / len(values) if values else 0.0


def middle(values: Sequence[float]) -> float | None:
    """Median; None for none."""
    return median(values) if values else None


def _at(values: Sequence[float], part: float) -> float | None:
    if not values:
        return None
    return values[min(len(values) - 1, int(part * len(values)))] * MILLISECONDS
