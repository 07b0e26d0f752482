"""Rounds on a small cluster: plan, carry out, plan again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import TenantName
from scheduler.core.model.nodes import Node
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.tenants import Tenant
from scheduler.core.model.verdicts import Verdict
from tests.support.builders import pod

PACKING = Profile(policy="gpu-packing")


def plan_of(
    nodes: Iterable[Node] | Ledger,
    tenants: Iterable[Tenant],
    pending: Iterable[Pod],
    *,
    profile: Profile = PACKING,
    lags: Mapping[str, float] | None = None,
) -> Plan:
    ledger = nodes if isinstance(nodes, Ledger) else Ledger(nodes)
    owed = {TenantName(name): lag for name, lag in (lags or {}).items()}
    return run_cycle(ledger.snapshot(tenants=tenants, lags=owed), pending, 0.0, profile)


def settled(
    nodes: Iterable[Node] | Ledger,
    tenants: Iterable[Tenant],
    pending: Sequence[Pod],
    rounds: int = 5,
) -> Plan:
    """Return the plan of the first round, once carried out; later rounds must change nothing."""
    ledger, tenants = nodes if isinstance(nodes, Ledger) else Ledger(nodes), list(tenants)
    plan = plan_of(ledger, tenants, pending)
    carry_out(ledger, plan)
    waiting = [hold.pod for hold in plan.holds]
    for _ in range(rounds):
        later = plan_of(ledger, tenants, waiting)
        assert later.admits == ()
        assert {hold.pod for hold in later.holds} == set(waiting)
    return plan


def carry_out(ledger: Ledger, plan: Plan) -> None:
    """Reserve and bind all that was admitted; the ledger refuses what would oversell."""
    for admit in plan.admits:
        ledger.reserve(admit.pod, admit.placement)
        ledger.bind(admit.pod, admit.placement)


def admitted(plan: Plan) -> list[str]:
    return [str(admit.pod.uid) for admit in plan.admits]


def verdict(plan: Plan, name: str) -> Verdict:
    return next(hold.verdict for hold in plan.holds if hold.pod.uid == name)


def backlog(tenant: str, count: int, request: int = 1000, **changes: object) -> list[Pod]:
    """Return pods a0, a1, … of the tenant, oldest first."""
    return [
        replace(pod(f"{tenant}{number}", request, tenant), created=float(number), **changes)  # type: ignore[arg-type]  # fields by name, for brevity
        for number in range(count)
    ]
