"""The dashboard *Fairness*: what each tenant is due and got, and who waits for how long."""

from hack.dashboards.boards import TENANT, TOP, Board, Row
from hack.dashboards.panels import (
    GOOD_BELOW_ONE,
    Panel,
    Query,
    bars,
    heat,
    lines,
    stat,
    steps,
)
from hack.dashboards.promql import (
    ACTS,
    LEAF,
    at_stake,
    cluster,
    most,
    or_zero,
    quantile,
    rate,
    tenants,
)
from hack.dashboards.promql import TENANT as TENANTS
from hack.dashboards.tables import RED_BELOW, Column, link_to, table

UID = "equipoise-fairness"
GPUS, GPU_SECONDS = "suffix: GPUs", "suffix: GPU·s"

DUE, GOT = "equipoise_tenant_fair_share_gpus", "equipoise_tenant_allocated_gpus"
BUDGET = "equipoise_tenant_budget_gpu_seconds"
USED = "equipoise_tenant_budget_used_gpu_seconds"
LAG = "equipoise_tenant_lag_gpu_seconds"
WAITING = tenants("equipoise_waiting_pods").replace("max by (tenant)", "sum by (reason)")
BELOW = f"{tenants(GOT)} < 0.8 * {tenants(DUE)}"
NOBODY_WAITS = "nobody waits"
NOBODY_BOUND = "no pod was bound in that time"

NOW = (
    stat(
        "Jain's index",
        "1 = all tenants get the same part of what they are due, 1/n = one of n has everything. "
        "Below 0.9 for long: look at who is below the due.",
        Query(cluster("equipoise_fairness_jain_index")),
        decimals=3,
        thresholds=steps((None, "red"), (0.8, "orange"), (0.9, "green")),
    ),
    stat(
        "Tenants below their due",
        "Leaf tenants that hold less than 80 % of their fair share at this moment. A tenant that "
        "comes late is here until pods of others end.",
        Query(or_zero(f"count({BELOW})")),
        thresholds=steps((None, "green"), (1, "orange")),
    ),
    stat(
        "GPUs in use",
        "GPUs that tenants hold, bound or reserved, of all that are free or held.",
        Query(
            f"sum({tenants(GOT)}) / (sum({tenants(GOT)}) + {cluster('equipoise_free_gpus')} > 0)"
        ),
        unit="percentunit",
        decimals=0,
    ),
    stat(
        "Pods that wait",
        "Pods of the chosen tenants that wait for GPUs.",
        Query(f"sum({tenants('equipoise_tenant_pending_pods')})"),
    ),
    stat(
        "Longest wait",
        "How long the pod that waits longest has waited until now.",
        Query(or_zero(f"max({tenants('equipoise_tenant_longest_wait_seconds')})")),
        unit="s",
        decimals=0,
    ),
    stat(
        "Oversold GPUs",
        "Promised above capacity. Always 0; anything else is a bug, and an alert at once.",
        Query(cluster("equipoise_oversold_gpus")),
        thresholds=GOOD_BELOW_ONE,
        graph=False,
    ),
)

SHARES = (
    lines(
        "Due",
        "The fair share of the tenants that want most, in GPUs: what the division gives each now.",
        Query(at_stake(DUE), "{{tenant}}"),
        unit=GPUS,
        stacked=True,
        step=True,
    ),
    lines(
        "Got",
        "What the same tenants hold, in the same colours. Where the two pictures differ, somebody "
        "is served too little.",
        Query(at_stake(GOT), "{{tenant}}"),
        unit=GPUS,
        stacked=True,
        step=True,
    ),
    lines(
        "Got less due: over and under",
        "Above 0: the tenant holds more than its fair share, which it may while nobody else wants "
        "it. Below 0: it is served too little now.",
        Query(
            f"({tenants(GOT)} - {tenants(DUE)}) {most('equipoise_tenant_demand_gpus')}",
            "{{tenant}}",
        ),
        unit=GPUS,
        low=None,
        mark=0,
    ),
    lines(
        "Lag: what tenants are owed",
        "GPU-seconds of their fair share that tenants have not got yet. Above 0 = served too "
        "little; who is owed most is next. It rises while a tenant waits, and has to fall again.",
        Query(f"{tenants(LAG)} {most(LAG)}", "{{tenant}}"),
        unit=GPU_SECONDS,
        low=None,
        mark=0,
    ),
    lines(
        "Jain's index over time",
        "1 = all get the same part of their due. It falls when a tenant arrives, and comes back as "
        "pods of others end.",
        Query(cluster("equipoise_fairness_jain_index"), "Jain's index"),
        high=1,
    ),
    lines(
        "Demand and supply",
        "What all leaf tenants could use, what they hold, and what is free. Demand above the rest "
        "for long: the cluster is too small. Ownerless: on nodes whose owner is no tenant.",
        Query(f"sum({tenants('equipoise_tenant_demand_gpus')})", "demand"),
        Query(f"sum({tenants(GOT)})", "held"),
        Query(cluster("equipoise_free_gpus"), "free"),
        Query(cluster("equipoise_ownerless_gpus"), "ownerless"),
        unit=GPUS,
    ),
)


MISSING = (
    "sum by (tenant) (max by (tenant, state) (equipoise_tenant_brought_gpus"
    f'{{state!="counted",{TENANTS}}} {ACTS} {LEAF}))'
)
"""What of a tenant's own machines doesn't count now."""


def _of_tenants() -> Panel:
    return table(
        "Tenants",
        "All chosen leaf tenants at this moment, who gets the least part of its due first. "
        "Missing: of their own machines, what failed or takes no pods. Click "
        "on a head to sort, on a tenant to see only that one.",
        ["tenant"],
        [
            Column(
                "got / due",
                Query(f"{tenants(GOT)} / ({tenants(DUE)} > 0)", empty="nobody wants a GPU"),
                "percentunit",
                "color-text",
                RED_BELOW,
            ),
            Column("due", Query(tenants(DUE)), GPUS),
            Column("got", Query(tenants(GOT)), GPUS),
            Column("guarantee", Query(tenants("equipoise_tenant_guarantee_gpus")), GPUS),
            Column("missing", Query(MISSING, empty="no tenant owns a machine"), GPUS),
            Column(
                "limit",
                Query(tenants("equipoise_tenant_limit_gpus"), empty="no tenant has a limit"),
                GPUS,
            ),
            Column(
                "budget used",
                Query(f"{tenants(USED)} / {tenants(BUDGET)}", empty="no tenant has a budget"),
                "percentunit",
            ),
            Column("demand", Query(tenants("equipoise_tenant_demand_gpus")), GPUS),
            Column("lag", Query(tenants(LAG)), GPU_SECONDS),
            Column("pods waiting", Query(tenants("equipoise_tenant_pending_pods"))),
            Column(
                "longest wait",
                Query(tenants("equipoise_tenant_longest_wait_seconds"), empty=NOBODY_WAITS),
                "s",
            ),
        ],
        order=("got / due", False),
        links={"tenant": link_to(UID, "tenant", "Only this tenant")},
    )


WAITS = (
    lines(
        "Why pods wait",
        "Pods that wait now, by reason. WaitsForTurn: the tenant has its due. NoRoom: nothing that "
        "fits is free. NeverFits: no node here could ever take them. `equipoise explain POD` has "
        "the whole sentence.",
        Query(WAITING, "{{reason}}", empty=NOBODY_WAITS),
        unit="suffix: pods",
        stacked=True,
    ),
    lines(
        "Who waits",
        "Pods that wait, of the tenants that want most.",
        Query(at_stake("equipoise_tenant_pending_pods"), "{{tenant}}"),
        unit="suffix: pods",
        stacked=True,
    ),
    lines(
        "Waits until bound, by tenant (95 %)",
        "In 19 of 20 cases a pod was bound within this time after it was created. It includes the "
        "time behind pods of the same tenant.",
        Query(
            f"{quantile(0.95, 'equipoise_tenant_wait_seconds', 'tenant', TENANTS)} "
            f"{most('equipoise_tenant_demand_gpus')}",
            "{{tenant}}",
            empty=NOBODY_BOUND,
        ),
        unit="s",
    ),
    lines(
        "Turns, by tenant (95 %)",
        "The same, counted from when the pod was the next of its tenant: without the time behind "
        "pods of its own. This is what a scheduler is to blame for; it should be alike for all.",
        Query(
            f"{quantile(0.95, 'equipoise_tenant_turn_seconds', 'tenant', TENANTS)} "
            f"{most('equipoise_tenant_demand_gpus')}",
            "{{tenant}}",
            empty=NOBODY_BOUND,
        ),
        unit="s",
    ),
    heat(
        "Waits of all chosen tenants",
        "How many pods were bound after how long a wait. The darker, the more.",
        Query(
            'sum by (le) (increase(equipoise_tenant_wait_seconds_bucket{tenant=~"$tenant"}'
            "[$__rate_interval]))",
            "{{le}}",
            empty=NOBODY_BOUND,
        ),
    ),
    bars(
        "What no present node can take",
        "Waiting work, in GPUs, by what a node needs to take it: why, cards at least, model. "
        "NoRoom: such nodes are full, and the work is within its tenant's fair share. NeverFits: "
        "there is no such node. This is what an autoscaler should add.",
        Query(
            "sort_desc(sum by (reason, cards, models) (equipoise_unplaceable_gpus "
            "and on (instance) equipoise_acts == 1))",
            "{{reason}}: {{cards}} × {{models}}",
            empty="every pod that is due has a place",
        ),
        unit=GPUS,
    ),
)

DECISIONS = (
    lines(
        "Pods released",
        "Pods a minute whose turn came: their gate was taken off, their place is reserved.",
        Query("60 * " + rate("equipoise_decisions_total", where='outcome="admit"'), "released"),
        unit="suffix: /min",
    ),
    lines(
        "Evictions, and why",
        "Pods that were told to end, by reason. Reclaimed: for a tenant that had less than its "
        "due. Preempted: for a pod of its own tenant with a higher priority. Stuck: no node that "
        "it was pinned to took it. MakesWay: a newer revision of its owner takes its place. "
        "GangBroken: members of its gang were missing for too long. Moved: to another node, so "
        "that a waiting pod fits.",
        Query(
            "sum by (reason) (increase(equipoise_evictions_total[$__rate_interval]))",
            "{{reason}}",
        ),
    ),
    lines(
        "Work lost to evictions",
        "GPUs whose work is lost: GPU-seconds that pods had run for when they were stopped for "
        "others, a second. Jobs that go on where they were lose nothing.",
        Query(rate("equipoise_evicted_gpu_seconds_total", "tenant"), "{{tenant}}"),
        unit=GPUS,
    ),
    lines(
        "Pods that wait, by reason",
        "How many pods are held, on average over each step, and why.",
        Query(rate("equipoise_hold_seconds_total", "reason"), "{{reason}}"),
    ),
    lines(
        "Running pods that were hit",
        "Pods whose GPU failed or vanished under them, and those that were warned for another "
        "reason.",
        Query(
            "sum by (reason) (increase("
            'equipoise_decisions_total{outcome="warn"}[$__rate_interval]))',
            "{{reason}}",
        ),
    ),
)

BOARD = Board(
    UID,
    "Equipoise / Fairness",
    "Who is due what, who got it, and who waits for how long.",
    (
        Row("Now", NOW),
        Row("Due against got", (*SHARES, _of_tenants())),
        Row("Waits", WAITS),
        Row("Decisions", DECISIONS),
    ),
    (TENANT, TOP),
)
