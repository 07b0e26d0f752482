"""Metrics of an agent: gauges made from its latest measurement, counters that live."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from scheduler.telemetry import agentcatalogue as catalogue
from scheduler.telemetry.catalogue import Spec
from scheduler.telemetry.gauges import Row
from scheduler.telemetry.metrics import CONTENT_TYPE as CONTENT_TYPE
from scheduler.telemetry.process import process

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Gpu:
    """A device as it was measured; None for what the driver can't say or nobody knows yet.

    MiB, and load in permille.
    """

    index: int
    uuid: str
    model: str
    healthy: bool
    memory_mib: int
    used_mib: int | None = None
    foreign_mib: int | None = None
    load_permille: int | None = None


@dataclass(frozen=True, slots=True)
class PodMemory:
    """What a pod was promised of a device, and what it holds, in MiB."""

    namespace: str
    pod: str
    uuid: str
    promised_mib: int
    used_mib: int


@dataclass(frozen=True, slots=True)
class Measured:
    """All of one node; `read_at` in seconds since the epoch."""

    node: str
    gpus: tuple[Gpu, ...] = ()
    pods: tuple[PodMemory, ...] = ()
    read_at: float = 0.0


class AgentMetrics:
    """Names are in `agentcatalogue`. The registry is its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._writes = self._counter(catalogue.WRITES)
        self._overuses = self._counter(catalogue.OVERUSES)
        # Prometheus sees a counter rise only from its second value on: the first failure counts.
        for outcome in catalogue.OUTCOMES:
            self._writes.labels(outcome)
        for step in catalogue.STEPS:
            self._overuses.labels(step)

    def count_write(self, outcome: str) -> None:
        """A write of the GPUNode was `written` or `failed`."""
        self._writes.labels(outcome).inc()

    def count_overuse(self, step: str) -> None:
        """A pod's owner was told of its overuse, or it was evicted."""
        self._overuses.labels(step).inc()

    def exposition(self, measured: Measured) -> bytes:
        """Return all metrics as text, gauges from this measurement."""
        return generate_latest(_Scrape(measured, self._registry))

    def _counter(self, spec: Spec) -> Counter:
        return Counter(spec.name, spec.help, spec.labels, registry=self._registry)


@dataclass(frozen=True, slots=True)
class _Scrape(Collector):
    measured: Measured
    live: CollectorRegistry

    def collect(self) -> Iterator[Metric]:
        return chain(_gpus(self.measured), _pods(self.measured), self._others(), process())

    def _others(self) -> Iterator[Metric]:
        yield _family(catalogue.READ, [((self.measured.node,), self.measured.read_at)])
        for metric in self.live.collect():
            kept = Metric(metric.name, metric.documentation, metric.type, metric.unit)
            kept.samples = [s for s in metric.samples if not s.name.endswith("_created")]
            yield kept


def _gpus(measured: Measured) -> Iterator[Metric]:
    labelled = [
        ((measured.node, str(gpu.index), gpu.uuid, gpu.model), gpu) for gpu in measured.gpus
    ]
    yield _family(catalogue.HEALTHY, ((key, float(gpu.healthy)) for key, gpu in labelled))
    yield _family(
        catalogue.UTILIZATION,
        ((key, gpu.load_permille / 1000) for key, gpu in labelled if gpu.load_permille is not None),
    )
    yield _family(catalogue.MEMORY, ((key, gpu.memory_mib * _MIB) for key, gpu in labelled))
    yield _bytes(catalogue.MEMORY_USED, ((key, gpu.used_mib) for key, gpu in labelled))
    yield _bytes(catalogue.MEMORY_FOREIGN, ((key, gpu.foreign_mib) for key, gpu in labelled))


def _pods(measured: Measured) -> Iterator[Metric]:
    labelled = [
        ((measured.node, each.namespace, each.pod, each.uuid), each) for each in measured.pods
    ]
    yield _bytes(catalogue.POD_PROMISED, ((key, each.promised_mib) for key, each in labelled))
    yield _bytes(catalogue.POD_USED, ((key, each.used_mib) for key, each in labelled))


def _bytes(spec: Spec, rows: Iterable[tuple[tuple[str, ...], int | None]]) -> Metric:
    return _family(spec, ((key, mib * _MIB) for key, mib in rows if mib is not None))


def _family(spec: Spec, rows: Iterable[Row]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(spec.name, spec.help, labels=spec.labels)
    for labels, value in rows:
        family.add_metric(labels, float(value))
    return family
