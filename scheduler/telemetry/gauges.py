"""Gauges, built afresh from one Standing: what is gone has no series, and all numbers agree."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from fractions import Fraction

from prometheus_client.core import GaugeMetricFamily

from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import TenantName
from scheduler.core.model.plans import Lack
from scheduler.core.model.standing import DeviceStanding, Standing, TenantStanding, Waiting
from scheduler.telemetry import catalogue
from scheduler.telemetry.catalogue import Spec

Row = tuple[tuple[str, ...], float | Fraction]
"""Label values in the order of the spec, and the value."""


def gauges(standing: Standing) -> Iterator[GaugeMetricFamily]:
    """Yield every gauge of the catalogue, filled from that one picture."""
    yield from _tenants(standing.tenants)
    yield from _waiting(standing.waiting, standing.at)
    yield from _cluster(standing)
    yield from _devices(standing.devices)


def _family(spec: Spec, rows: Iterable[Row]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(spec.name, spec.help, labels=spec.labels)
    for labels, value in rows:
        family.add_metric(labels, float(value))
    return family


def _tenants(tenants: tuple[TenantStanding, ...]) -> Iterator[GaugeMetricFamily]:
    yield _family(catalogue.FAIR_SHARE, (((t.name,), t.fair_share) for t in tenants))
    yield _family(catalogue.ALLOCATED, (((t.name,), t.allocated) for t in tenants))
    yield _family(catalogue.GUARANTEE, (((t.name,), t.guarantee) for t in tenants))
    yield _family(catalogue.BROUGHT, (row for t in tenants for row in _brought(t)))
    yield _family(catalogue.DEMAND, (((t.name,), t.demand) for t in tenants))
    yield _family(catalogue.LIMIT, (((t.name,), t.limit) for t in tenants if t.limit is not None))
    budgets = [(t.name, t.budget) for t in tenants if t.budget is not None]
    yield _family(catalogue.BUDGET, (((name,), b.budget.gpu_seconds) for name, b in budgets))
    yield _family(catalogue.BUDGET_USED, (((name,), b.used) for name, b in budgets))
    yield _family(catalogue.LAG, (((t.name,), t.lag) for t in tenants))
    yield _family(catalogue.PENDING, (((t.name,), t.pending_pods) for t in tenants))
    yield _family(
        catalogue.TENANT,
        (((t.name, t.parent or "", "true" if t.leaf else "false"), 1) for t in tenants),
    )


def _brought(tenant: TenantStanding) -> Iterator[Row]:
    if tenant.brought.all:
        parts = tenant.brought
        for state, milli in (("counted", parts.milli), ("ill", parts.ill), ("away", parts.away)):
            yield (tenant.name, state), milli / MILLI


def _waiting(waiting: tuple[Waiting, ...], now: float) -> Iterator[GaugeMetricFamily]:
    counts = Counter((each.tenant, str(each.verdict.reason)) for each in waiting)
    yield _family(catalogue.WAITING, counts.items())
    since: dict[TenantName, float] = {}
    for each in waiting:
        since[each.tenant] = min(each.since, since.get(each.tenant, now))
    rows = (((tenant,), max(0.0, now - first)) for tenant, first in since.items())
    yield _family(catalogue.LONGEST_WAIT, rows)


def _lack(lack: Lack) -> Row:
    models = "|".join(lack.models) or "any"
    return (str(lack.reason), models, str(lack.cards)), lack.milli / MILLI


def _cluster(standing: Standing) -> Iterator[GaugeMetricFamily]:
    yield _family(catalogue.JAIN, [((), standing.jain)])
    yield _family(catalogue.FREE, [((), standing.free_milli / MILLI)])
    causes = ((cause, milli / MILLI) for cause, milli in asdict(standing.fragments).items())
    yield _family(catalogue.FRAGMENTED, (((cause,), amount) for cause, amount in causes))
    yield _family(catalogue.OVERSOLD, [((), standing.oversold_milli / MILLI)])
    strays = {stray.node for stray in standing.strays}
    ownerless = sum(device.milli for device in standing.devices if device.node in strays)
    yield _family(catalogue.OWNERLESS, [((), ownerless / MILLI)])
    yield _family(catalogue.UNPLACEABLE, map(_lack, standing.lacks))


def _devices(devices: tuple[DeviceStanding, ...]) -> Iterator[GaugeMetricFamily]:
    labelled = [((d.node, str(d.index), d.uuid, d.model), d) for d in devices]
    yield _family(
        catalogue.GPU_ALLOCATED,
        ((key, _part(sum(s.milli for s in d.slices), d.milli)) for key, d in labelled),
    )
    yield _family(catalogue.GPU_UTILIZATION, ((key, d.load / 1000) for key, d in labelled))
    yield _family(
        catalogue.GPU_MEMORY_USED,
        ((key, _part(d.used_mib, d.memory_mib)) for key, d in labelled),
    )


def _part(amount: int, of: int) -> float:
    return amount / of if of else 0.0
