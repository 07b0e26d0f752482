"""What the process itself takes: CPU, memory and files, by the names that every exporter has."""

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector

_COLLECTOR = ProcessCollector(registry=None)


def process() -> Iterable[Metric]:
    """Return `process_*` as of now; nothing where there is no /proc."""
    return _COLLECTOR.collect()
