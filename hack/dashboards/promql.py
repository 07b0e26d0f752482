"""What the queries of all dashboards share: who answers, who counts, and which of many is shown.

Every replica serves every metric, but only the one that acts divides GPUs. A tenant with others
below it contains them, so sums are over leaves.
"""

ACTS = "and on (instance) equipoise_acts == 1"
LEAF = 'and on (tenant) equipoise_tenant_info{leaf="true"}'
TENANT = 'tenant=~"$tenant"'
NODE = 'node=~"$node"'


def cluster(metric: str) -> str:
    """Return a number of the whole cluster, as the replica that acts sees it."""
    return f"max({metric} {ACTS})"


def tenants(metric: str) -> str:
    """Return a gauge of the chosen tenants, leaves only."""
    return f"max by (tenant) ({metric}{{{TENANT}}} {ACTS} {LEAF})"


def most(metric: str) -> str:
    """Return a condition: of the chosen leaves those that had the most of it in the time shown.

    One choice for the whole picture; topk alone would choose anew at every point.
    """
    best = f"max by (tenant) (max_over_time({metric}{{{TENANT}}}[$__range] @ end()) {LEAF} @ end())"
    return f"and on (tenant) topk($top, {best})"


def at_stake(metric: str) -> str:
    """Return a gauge of those of the chosen tenants that want most."""
    return f"{tenants(metric)} {most('equipoise_tenant_demand_gpus')}"


def gpus(metric: str) -> str:
    """Return a gauge of the GPUs on the chosen nodes, as the replica that acts sees them."""
    # In parentheses: a comparison that follows would belong to the condition alone.
    return f"({metric}{{{NODE}}} {ACTS})"


def rate(metric: str, by: str = "", where: str = "") -> str:
    """Return a rate per second, of all replicas together."""
    matching = f"{{{where}}}" if where else ""
    return f"sum by ({by}) (rate({metric}{matching}[$__rate_interval]))"


def quantile(part: float, histogram: str, by: str = "", where: str = "") -> str:
    """Return a quantile of what was observed, of all replicas together."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({part}, {rate(f'{histogram}_bucket', labels, where)})"


def or_zero(expr: str) -> str:
    """Return 0 where there is nothing to count."""
    return f"({expr}) or vector(0)"
