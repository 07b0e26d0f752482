"""Print docs/reference/metrics.md: `python -m scheduler.telemetry.reference`."""

from collections.abc import Iterable

from scheduler.telemetry.agentcatalogue import AGENT_CATALOGUE
from scheduler.telemetry.catalogue import CATALOGUE, Spec

_INTRODUCTION = """\
# Metrics

<!-- Written by `make docs` from scheduler/telemetry/*catalogue.py; change it there. -->

Equipoise serves these on `/metrics`, on the port of the status page (8800 by default), in
Prometheus' text format. Gauges are built afresh for each scrape from one picture of the cluster:
they agree with each other, and a tenant or GPU that is gone leaves no series behind. Counters and
histograms count from the start of the process.

GPUs are counted in parts of a card: half a card is 0.5. A MIG slice counts as its part of the
compute of its card. Tenant gauges exist at every level of the tenant tree, and a parent contains
its children, so sum over leaves only:

```promql
sum(equipoise_tenant_allocated_gpus
    * on (tenant) group_left equipoise_tenant_info{leaf="true"})
```

Each replica serves all of them, but only the one that acts divides: where there are two, add
`and on (instance) equipoise_acts == 1` to gauges. Beside these there are the usual `process_*`.
"""

_AGENT = """\
## Of the agents

Each agent serves these on `/metrics` of its own node, on port 8802 by default. They are what was
measured there, every few seconds, and so finer than what the agent publishes to the cluster.
`device` is the card's place on the node, as nvidia-smi counts; `uuid` is the same as
dcgm-exporter's `UUID`, to join with what that exports.
"""

_QUESTIONS = (
    ("Is a GPU sold twice? (alert, at once)", "equipoise_oversold_gpus > 0"),
    (
        "Who gets less than 80 % of the due?",
        "equipoise_tenant_allocated_gpus < 0.8 * equipoise_tenant_fair_share_gpus",
    ),
    ("Who is owed most?", "topk(5, equipoise_tenant_lag_gpu_seconds)"),
    (
        "How long does each tenant wait (median)?",
        "histogram_quantile(0.5, "
        "sum by (tenant, le) (rate(equipoise_tenant_wait_seconds_bucket[1h])))",
    ),
    (
        "Why did pods begin to wait?",
        'sum by (reason) (rate(equipoise_decisions_total{reason!=""}[10m]))',
    ),
    (
        "Why do pods wait now?",
        "sum by (reason) (equipoise_waiting_pods and on (instance) equipoise_acts == 1)",
    ),
    (
        "What should an autoscaler add?",
        "sum by (reason, models, cards) "
        "(equipoise_unplaceable_gpus and on (instance) equipoise_acts == 1)",
    ),
    (
        "Which GPUs are promised, but idle?",
        "equipoise_gpu_allocated_ratio > 0 and equipoise_gpu_utilization_ratio < 0.05",
    ),
    (
        "Which pods hold more memory than they asked for?",
        "equipoise_agent_pod_memory_used_bytes > equipoise_agent_pod_memory_promised_bytes",
    ),
    (
        "Which GPUs are broken, and whose driver is silent?",
        "equipoise_agent_gpu_healthy == 0 "
        "or time() - equipoise_agent_driver_read_timestamp_seconds > 120",
    ),
    (
        "Is the extender slow?",
        "histogram_quantile(0.99, "
        "sum by (verb, le) (rate(equipoise_extender_request_seconds_bucket[5m])))",
    ),
)


def page() -> str:
    """Return the page as Markdown."""
    parts = (
        ["## All of them", "", *_table(CATALOGUE)],
        _buckets(CATALOGUE),
        [*_AGENT.splitlines(), "", *_table(AGENT_CATALOGUE)],
        _questions(),
    )
    return _INTRODUCTION + "".join("\n" + "\n".join(lines) + "\n" for lines in parts)


def _table(specs: Iterable[Spec]) -> list[str]:
    return [
        "| name | type | labels | unit | what it says |",
        "| --- | --- | --- | --- | --- |",
        *(_row(spec) for spec in specs),
    ]


def _row(spec: Spec) -> str:
    labels = ", ".join(f"`{label}`" for label in spec.labels) or "–"
    unit = spec.unit.replace("gpus", "GPUs").replace("gpu_seconds", "GPU-seconds") or "–"
    return f"| `{spec.name}` | {spec.kind} | {labels} | {unit} | {spec.help} |"


def _buckets(specs: Iterable[Spec]) -> list[str]:
    lines = [
        f"| `{spec.name}` | {', '.join(f'{bound:g}' for bound in spec.buckets)} |"
        for spec in specs
        if spec.buckets
    ]
    return ["| histogram | upper bounds of its buckets |", "| --- | --- |", *lines]


def _questions() -> list[str]:
    lines = [f"| {question} | `{query}` |" for question, query in _QUESTIONS]
    return [
        "## Questions, and how to ask them",
        "",
        "| question | PromQL |",
        "| --- | --- |",
        *lines,
    ]


if __name__ == "__main__":
    print(page(), end="")
