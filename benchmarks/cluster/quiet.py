"""What `serve` and its kube-scheduler ask of the API server while nothing happens."""

import time
from collections import Counter
from dataclasses import dataclass, replace

from benchmarks.cluster.world import LIMIT_SECONDS, acting, world
from tests.support.controlplane.installed import USER
from tests.support.controlplane.layout import RATES
from tests.support.controlplane.waiting import eventually

AUDITED = replace(RATES, audit=True)
SETTLE_SECONDS = 75.0
"""Lag is written once a minute at most: what was put off must not fall into the minute."""

STEADY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Quiet:
    """Requests in so many seconds, by verb and resource; and what serve used meanwhile.

    `bound` pods have their GPUs, `wait` others wait for some all the time. There are no kubelets.
    """

    seconds: float
    bound: int
    wait: int
    requests: Counter[str]
    cpu_seconds: float
    memory_mib: float

    @property
    def others(self) -> Counter[str]:
        """All that is neither a watch nor about a Lease."""
        usual = {each for each in self.requests if each.startswith("watch ") or "leases" in each}
        return Counter({each: n for each, n in self.requests.items() if each not in usual})


def measure(nodes: int, pods: int, seconds: float) -> Quiet:
    """Let pods run and, where they don't all fit, others wait; then listen."""
    with world(nodes, AUDITED) as there, there.governed(pods) as ours:
        with there.counting(pods) as bound, acting(ours, "quiet", elect=True) as replica:
            eventually(lambda: bound.count > 0, LIMIT_SECONDS, what="pods have nodes")
            bound.settle(STEADY_SECONDS)
            time.sleep(SETTLE_SECONDS)
            serve, audit = replica.processes["serve"], there.plane.audit
            before = serve.usage().cpu_seconds
            audit.mark()
            time.sleep(seconds)
            found = Counter(f"{each.verb} {each.resource}" for each in audit.entries(user=USER))
            used = serve.usage()
        cpu, placed = used.cpu_seconds - before, bound.count
        return Quiet(seconds, placed, pods - placed, found, cpu, used.memory_mib)
