"""The dashboard *GPUs*: what is promised, what is used, what is broken, and what is in pieces."""

from hack.dashboards.boards import NODE, TOP, Board, Row
from hack.dashboards.panels import GOOD_BELOW_ONE, Panel, Query, lines, stat, states
from hack.dashboards.promql import ACTS, cluster, gpus, or_zero
from hack.dashboards.promql import NODE as ON_NODE
from hack.dashboards.tables import Column, link_to, matrix, table

UID = "equipoise-gpus"
GPUS = "suffix: GPUs"
HERE = link_to(UID, "node", "Only this node")

ALLOCATED = gpus("equipoise_gpu_allocated_ratio")
LOAD = gpus("equipoise_gpu_utilization_ratio")
MEMORY = gpus("equipoise_gpu_memory_used_ratio")
FRAGMENTS = f"max by (cause) (equipoise_fragmented_gpus {ACTS})"
FRAGMENTED = f"sum({FRAGMENTS})"
FREE = cluster("equipoise_free_gpus")
ASLEEP = "no agent is scraped"
CARD = "node, device, model"


def _agent(metric: str) -> str:
    return f"equipoise_agent_{metric}{{{ON_NODE}}}"


PROMISED = f"sum by (uuid) ({_agent('pod_memory_promised_bytes')})"
NAMES = f"max by (uuid, {CARD}) ({_agent('gpu_memory_bytes')} > bool 0)"
PROMISED_OF_CARD = f"max by ({CARD}) ({PROMISED} * on (uuid) group_left ({CARD}) {NAMES})"
OVERUSE = (
    f"max by (node, namespace, pod, uuid) ({_agent('pod_memory_used_bytes')} - "
    f"{_agent('pod_memory_promised_bytes')} > 0)"
)
BROKEN = f"{_agent('gpu_healthy')} == 0"

NOW = (
    stat(
        "GPUs",
        "Cards, and slices of cards, on the chosen nodes.",
        Query(f"count({ALLOCATED})"),
        graph=False,
    ),
    stat(
        "Allocated",
        "Part of them that is promised to pods, bound or reserved.",
        Query(f"avg({ALLOCATED})"),
        unit="percentunit",
        decimals=0,
    ),
    stat(
        "Load",
        "Mean part of the time in which they were measured to run a kernel.",
        Query(f"avg({LOAD})"),
        unit="percentunit",
        decimals=0,
    ),
    stat(
        "Fragmented",
        "Part of the free GPUs that can't serve what people ask for, as FGD defines it. Of all "
        "nodes.",
        Query(f"{FRAGMENTED} / ({FREE} > 0) or vector(0)"),
        unit="percentunit",
        decimals=0,
    ),
    stat(
        "Unhealthy",
        "Devices that are broken, lost or don't answer; they get no new pod.",
        Query(or_zero(f"count({BROKEN})")),
        thresholds=GOOD_BELOW_ONE,
    ),
    stat(
        "Memory of strangers",
        "Memory in use that no pod of Equipoise explains. It is not handed out.",
        Query(f"sum({_agent('gpu_memory_foreign_bytes')})", empty=ASLEEP),
        unit="bytes",
        decimals=1,
    ),
)

CARDS = (
    matrix(
        "Allocated, by card",
        "How much of each card is promised: a row for each node, a cell for each of its cards.",
        Query(f"max by (node, device) ({ALLOCATED})"),
        scheme="continuous-BlPu",
        links=HERE,
    ),
    matrix(
        "Load, by card",
        "How busy each card is measured to be. Promised and idle: the share is paid for by others.",
        Query(f"max by (node, device) ({LOAD})"),
        scheme="continuous-GrYlRd",
        links=HERE,
    ),
    lines(
        "Allocated against used",
        "Means over the chosen nodes: what is promised, how busy it is, and memory in use.",
        Query(f"avg({ALLOCATED})", "allocated"),
        Query(f"avg({LOAD})", "load"),
        Query(f"avg({MEMORY})", "memory in use"),
        unit="percentunit",
        high=1,
    ),
    lines(
        "Allocated and busy, by model",
        "Part of the cards of each model that is promised, and how busy their agents find them.",
        Query(f"avg by (model) ({ALLOCATED})", "{{model}}: allocated"),
        Query(
            f"avg by (model) ({_agent('gpu_utilization_ratio')})", "{{model}}: busy", empty=ASLEEP
        ),
        unit="percentunit",
        high=1,
    ),
    lines(
        "Free and fragmented",
        "Free GPUs of the cluster, and how much of that no pod of the present mix can use, and why:"
        " devices (too broken up), cpu (too few cores beside them), model (others are asked for),"
        " none (no GPU is asked for).",
        Query(FREE, "free"),
        Query(FRAGMENTS, "fragmented: {{cause}}"),
        unit=GPUS,
    ),
    lines(
        "Promised and idle",
        "Cards with a promise on them that run a kernel in less than 5 % of the time.",
        Query(
            or_zero(f"count(({ALLOCATED} > 0) and on (instance, uuid) ({LOAD} < 0.05))"),
            "idle",
        ),
        unit="suffix: cards",
    ),
)


def _memory() -> Panel:
    return table(
        "Promised and measured memory, by card",
        "What pods were promised of each card's memory, what is in use, and what of that belongs "
        "to strangers. In use above promised: see the pods below.",
        ["node", "device", "model"],
        [
            Column("promised", Query(PROMISED_OF_CARD, empty="no pod runs"), "bytes"),
            Column(
                "in use",
                Query(f"max by ({CARD}) ({_agent('gpu_memory_used_bytes')})", empty=ASLEEP),
                "bytes",
            ),
            Column(
                "of strangers",
                Query(f"max by ({CARD}) ({_agent('gpu_memory_foreign_bytes')})", empty=ASLEEP),
                "bytes",
            ),
            Column(
                "memory",
                Query(f"max by ({CARD}) ({_agent('gpu_memory_bytes')})", empty=ASLEEP),
                "bytes",
            ),
        ],
        order=("in use", True),
        links={"node": HERE},
        width=14,
    )


def _overusers() -> Panel:
    return table(
        "Pods that hold more than their promise",
        "Memory above the promise, by pod and device. A context counts, too: the agent tells the "
        "owner from 768 MiB on, after a minute.",
        ["namespace", "pod", "node", "uuid"],
        [Column("too much", Query(OVERUSE, empty="every pod keeps its promise"), "bytes")],
        order=("too much", True),
        links={"node": HERE},
        width=10,
    )


MEMORIES = (
    lines(
        "Promise against measured memory",
        "All chosen nodes together: what pods were promised, what they hold, and what strangers "
        "hold.",
        Query(f"sum({_agent('pod_memory_promised_bytes')})", "promised", empty="no pod runs"),
        Query(f"sum({_agent('pod_memory_used_bytes')})", "held by pods", empty="no pod runs"),
        Query(f"sum({_agent('gpu_memory_foreign_bytes')})", "strangers", empty=ASLEEP),
        unit="bytes",
    ),
    lines(
        "Memory of strangers, by card",
        "Who uses cards past the scheduler: notebooks on the node, other schedulers' pods.",
        Query(
            f"topk($top, max by (node, device) ({_agent('gpu_memory_foreign_bytes')} > 0))",
            "{{node}} / {{device}}",
            empty="nobody uses a card past the scheduler",
        ),
        unit="bytes",
    ),
    _memory(),
    _overusers(),
)

HEALTH = (
    states(
        "Unhealthy cards",
        "Cards that were unhealthy at some time, and when. None shown: none was.",
        Query(
            f"min by (node, device) ({_agent('gpu_healthy')}) and on (node, device) "
            f"min_over_time({_agent('gpu_healthy')}[$__range] @ end()) == 0",
            "{{node}} / {{device}}",
            empty="every card is healthy",
        ),
        {"0": ("unhealthy", "red"), "1": ("healthy", "green")},
        width=12,
    ),
    lines(
        "When the driver answered last",
        "Seconds since, by node, the longest first. Above 60 s all devices of the node are closed.",
        Query(
            f"topk($top, time() - {_agent('driver_read_timestamp_seconds')})",
            "{{node}}",
            empty=ASLEEP,
        ),
        unit="s",
        mark=60,
    ),
)

BOARD = Board(
    UID,
    "Equipoise / GPUs",
    "What is promised of the cards, what is used, what is broken, and what is in pieces.",
    (
        Row("Now", NOW),
        Row("Cards", CARDS),
        Row("Memory: promised and measured", MEMORIES),
        Row("Health", HEALTH),
    ),
    (NODE, TOP),
)
