"""The dashboard *Equipoise itself*: whether it acts, how fast it answers, and what it takes."""

from hack.dashboards.boards import TOP, Board, Row
from hack.dashboards.panels import GOOD_BELOW_ONE, Query, heat, lines, stat, states, steps
from hack.dashboards.promql import quantile, rate

UID = "equipoise-itself"
EXTENDER, WEBHOOK = "equipoise_extender_request_seconds", "equipoise_webhook_request_seconds"
LOOP, CYCLE = "equipoise_event_loop_lag_seconds", "equipoise_cycle_seconds"
QUIET = "kube-scheduler asked nothing in that time"
NO_ADMISSION = "the API server asked nothing in that time"
NO_API = "the API server's metrics are not scraped, or no call of the webhook failed"
NO_AGENT = "no agent is scraped"
SLOW = steps((None, "green"), (0.1, "orange"), (1, "red"))


def _serve(metric: str) -> str:
    """A metric of processes that have no name of ours: those of `serve`, told by its own gauge."""
    return f"{metric} and on (instance) equipoise_acts"


def _agents(metric: str) -> str:
    # Only agents say when the driver answered, and on which node.
    node = "max by (instance, node) (equipoise_agent_driver_read_timestamp_seconds > bool 0)"
    return f"topk($top, {metric} * on (instance) group_left (node) {node})"


NOW = (
    stat(
        "Replicas that act",
        "1 = as it should be. 0 for about 20 s while another replica takes over.",
        Query("sum(equipoise_acts)"),
        thresholds=steps((None, "red"), (1, "green"), (2, "red")),
    ),
    stat(
        "Filter (99 %)",
        "In 99 of 100 cases kube-scheduler's filter was answered within this time.",
        Query(quantile(0.99, EXTENDER, where='verb="filter"'), empty=QUIET),
        unit="s",
        thresholds=SLOW,
    ),
    stat(
        "Bind (99 %)",
        "The same for bind, which waits for the API server.",
        Query(quantile(0.99, EXTENDER, where='verb="bind"'), empty=QUIET),
        unit="s",
        thresholds=SLOW,
    ),
    stat(
        "Webhook (99 %)",
        "In 99 of 100 cases the webhook answered the API server within this time.",
        Query(quantile(0.99, WEBHOOK), empty=NO_ADMISSION),
        unit="s",
        thresholds=SLOW,
    ),
    stat(
        "Event loop (99 %)",
        "In 99 of 100 looks everything else waited less than this.",
        Query(quantile(0.99, LOOP)),
        unit="s",
        thresholds=SLOW,
    ),
    stat(
        "Oversold GPUs",
        "Promised above capacity. Always 0.",
        Query("max(equipoise_oversold_gpus)"),
        thresholds=GOOD_BELOW_ONE,
        graph=False,
    ),
)

ANSWERS = (
    lines(
        "Extender: time to answer (99 %)",
        "Of calls of kube-scheduler, by verb, inside the extender.",
        Query(quantile(0.99, EXTENDER, "verb"), "{{verb}}", empty=QUIET),
        unit="s",
    ),
    lines(
        "Extender: calls",
        "Calls of kube-scheduler each second, by verb.",
        Query(rate(f"{EXTENDER}_count", "verb"), "{{verb}}"),
        unit="reqps",
    ),
    lines(
        "Webhook: time to answer (99 %)",
        "Of calls of the API server, by verb, inside the webhook. Every pod of a tenant waits for "
        "this when it is created.",
        Query(quantile(0.99, WEBHOOK, "verb"), "{{verb}}", empty=NO_ADMISSION),
        unit="s",
    ),
    lines(
        "Webhook: calls, and failures as the API server sees them",
        "Calls each second, and those that the API server could not have answered: pods of tenants "
        "are refused then. The latter takes the API server's own metrics.",
        Query(rate(f"{WEBHOOK}_count", "verb"), "{{verb}}"),
        Query(
            "sum by (error_type) (rate(apiserver_admission_webhook_rejection_count{"
            'name=~".*equipoise.*", error_type!="no_error"}[$__rate_interval]))',
            "failed: {{error_type}}",
            empty=NO_API,
        ),
        unit="reqps",
    ),
)

DECIDING = (
    lines(
        "Rounds of decisions",
        "Rounds each second. There is one whenever something changes, and at least every 5 s.",
        Query(rate(f"{CYCLE}_count", where='phase="allocate"'), "rounds"),
        unit="ops",
    ),
    lines(
        "Time of a round, by phase (99 %)",
        "admit: who counts and what everybody is due. allocate: turn by turn onto what is free.",
        Query(quantile(0.99, CYCLE, "phase"), "{{phase}}"),
        unit="s",
    ),
    lines(
        "Decisions",
        "Decisions each second, by outcome. hold counts only when the reason of a wait changes.",
        Query(rate("equipoise_decisions_total", "outcome"), "{{outcome}}"),
        unit="ops",
    ),
    lines(
        "What went wrong",
        "In the time of a point: releases that the API server refused, pods that none of their "
        "nodes took, pods whose GPU failed.",
        Query(
            "sum by (reason) (increase(equipoise_decisions_total{"
            'reason=~"ReleaseRefused|Stuck|DeviceLost"}[$__rate_interval]))',
            "{{reason}}",
        ),
    ),
)

LOOPS = (
    states(
        "Which replica acts",
        "A take-over is a change of colours; two at once must never be.",
        Query("max by (instance) (equipoise_acts)", "{{instance}}"),
        {"0": ("stands by", "blue"), "1": ("acts", "green")},
        width=12,
    ),
    heat(
        "Event loop: how late it was",
        "All replicas. Above 20 ms: something held the loop for longer than it should.",
        Query(f"sum by (le) (increase({LOOP}_bucket[$__rate_interval]))", "{{le}}"),
    ),
    lines(
        "CPU of serve",
        "Cores, by replica.",
        Query(_serve("rate(process_cpu_seconds_total[$__rate_interval])"), "{{instance}}"),
        unit="suffix: cores",
    ),
    lines(
        "Memory of serve",
        "Resident memory, by replica.",
        Query(_serve("process_resident_memory_bytes"), "{{instance}}"),
        unit="bytes",
    ),
)

AGENTS = (
    lines(
        "CPU of agents",
        "Cores, the busiest agents, by node.",
        Query(
            _agents("rate(process_cpu_seconds_total[$__rate_interval])"), "{{node}}", empty=NO_AGENT
        ),
        unit="suffix: cores",
    ),
    lines(
        "Memory of agents",
        "Resident memory, the largest agents, by node.",
        Query(_agents("process_resident_memory_bytes"), "{{node}}", empty=NO_AGENT),
        unit="bytes",
    ),
    lines(
        "Writes of agents",
        "Writes of GPUNodes each second, of all agents together. failed: the API server refused, "
        "or did not answer; it is tried again.",
        Query(rate("equipoise_agent_writes_total", "outcome"), "{{outcome}}", empty=NO_AGENT),
        unit="ops",
    ),
    lines(
        "Steps against pods that take too much",
        "In the time of a point: owners that were told, and pods that were evicted.",
        Query(
            "sum by (step) (increase(equipoise_agent_overuses_total[$__rate_interval]))",
            "{{step}}",
            empty="no pod took too much since the agents began",
        ),
    ),
)

BOARD = Board(
    UID,
    "Equipoise / Itself",
    "Whether Equipoise acts, how fast it answers, and what it takes.",
    (
        Row("Now", NOW),
        Row("Answers", ANSWERS),
        Row("Decisions", DECIDING),
        Row("Replicas", LOOPS),
        Row("Agents", AGENTS),
    ),
    (TOP,),
)
