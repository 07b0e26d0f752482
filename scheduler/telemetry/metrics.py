"""Metrics of one process: counters and histograms that live, gauges made for each scrape."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from scheduler.core.model.ids import TenantName
from scheduler.core.model.pods import Pod
from scheduler.core.model.standing import Standing
from scheduler.core.model.tenants import tenant_part
from scheduler.telemetry import catalogue
from scheduler.telemetry.catalogue import Spec
from scheduler.telemetry.gauges import gauges
from scheduler.telemetry.process import process

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""Of what `Metrics.exposition` returns: Prometheus' text format, which every version reads."""


class Metrics:
    """Names are in `catalogue`. The registry is its own, so two of them in one process don't meet.

    Observing is cheap and safe from every thread.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._wait = self._histogram(catalogue.WAIT)
        self._turn = self._histogram(catalogue.TURN)
        self._request = self._histogram(catalogue.REQUEST)
        self._admission = self._histogram(catalogue.ADMISSION)
        self._cycle = self._histogram(catalogue.CYCLE)
        self._loop = self._histogram(catalogue.LOOP)
        self._acts = Gauge(catalogue.ACTS.name, catalogue.ACTS.help, registry=self._registry)
        self._decisions = self._counter(catalogue.DECISIONS)
        self._evictions = self._counter(catalogue.EVICTIONS)
        self._lost, self._hold = self._counter(catalogue.LOST), self._counter(catalogue.HOLD)
        self._waited: set[TenantName] = set()
        self._losers: set[TenantName] = set()
        self._begin_at_zero()

    def observe_wait(self, tenant: TenantName, seconds: float, *, turn: float) -> None:
        """A pod was bound `seconds` after it was made, `turn` after it was its tenant's next."""
        self._waited.add(tenant)
        self._wait.labels(tenant).observe(max(0.0, seconds))
        self._turn.labels(tenant).observe(max(0.0, turn))

    def count_decision(self, outcome: str, reason: str = "", *, by: int = 1) -> None:
        """`by` decisions were taken. `reason` is a stable word: never a text with numbers."""
        self._decisions.labels(outcome, reason).inc(by)
        if outcome == "evict":
            self._evictions.labels(reason).inc(by)

    def observe_loss(self, pod: Pod, gpu_seconds: float) -> None:
        """A pod was stopped for another one, after so much work."""
        tenant = tenant_part(pod.tenant)
        self._losers.add(tenant)
        self._lost.labels(tenant).inc(max(0.0, gpu_seconds))

    def observe_hold(self, reason: str, pod_seconds: float) -> None:
        """Pods waited for that reason, for so long in all."""
        self._hold.labels(reason).inc(max(0.0, pod_seconds))

    def observe_request(self, verb: str, seconds: float) -> None:
        """A call of kube-scheduler was answered in so many seconds."""
        self._request.labels(verb).observe(max(0.0, seconds))

    def observe_admission(self, verb: str, seconds: float) -> None:
        """A call of the API server was answered in so many seconds."""
        self._admission.labels(verb).observe(max(0.0, seconds))

    def observe_lag(self, seconds: float) -> None:
        """The event loop was so much late."""
        self._loop.observe(max(0.0, seconds))

    def set_acts(self, *, acts: bool) -> None:
        """Whether the replica is the one that decides and writes."""
        self._acts.set(acts)

    def observe_cycle(self, phase: str, seconds: float) -> None:
        """A phase of a round took so many seconds."""
        self._cycle.labels(phase).observe(max(0.0, seconds))

    def exposition(self, standing: Standing) -> bytes:
        """Return all metrics as text; gauges from `standing`, which also says which tenants exist.

        Takes tens of milliseconds for thousands of GPUs, and may be called from another thread.
        """
        self._keep({tenant.name for tenant in standing.tenants if tenant.leaf})
        return generate_latest(_Scrape(standing, self._registry))

    def _begin_at_zero(self) -> None:
        # Prometheus sees a counter rise only from its second value on: the first failure counts.
        for outcome, reason in catalogue.DECIDED:
            self._decisions.labels(outcome, reason)
            if outcome == "evict":
                self._evictions.labels(reason)
        for verb in catalogue.VERBS:
            self._request.labels(verb)
        for verb in catalogue.ADMISSION_VERBS:
            self._admission.labels(verb)

    def _keep(self, leaves: set[TenantName]) -> None:
        """Keep the series of these tenants, and drop those of others."""
        for tenant in self._waited - leaves:
            self._wait.remove(tenant)
            self._turn.remove(tenant)
        for tenant in self._losers - leaves:
            self._lost.remove(tenant)
        for tenant in leaves - self._losers:
            self._lost.labels(tenant)
        self._waited &= leaves
        self._losers = leaves

    def _counter(self, spec: Spec) -> Counter:
        return Counter(spec.name, spec.help, spec.labels, registry=self._registry)

    def _histogram(self, spec: Spec) -> Histogram:
        return Histogram(
            spec.name, spec.help, spec.labels, buckets=spec.buckets, registry=self._registry
        )


@dataclass(frozen=True, slots=True)
class _Scrape(Collector):
    standing: Standing
    live: CollectorRegistry

    def collect(self) -> Iterator[Metric]:
        live = map(_without_created, self.live.collect())
        return chain(gauges(self.standing), live, process())


def _without_created(metric: Metric) -> Metric:
    # The library adds the time at which each series began, and can be told not to only globally.
    kept = Metric(metric.name, metric.documentation, metric.type, metric.unit)
    kept.samples = [s for s in metric.samples if not s.name.endswith("_created")]
    return kept
