"""How everybody stands after a round: pure, from ledger, plan and lags."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

import numpy as np

from scheduler.core.fairness.budgets import is_spent
from scheduler.core.fairness.guarantees import roll_up
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.columns import Columns
from scheduler.core.ledger.holdings import Holding
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.budgets import end_of, start_of
from scheduler.core.model.ids import DeviceUUID, NodeName, TenantName
from scheduler.core.model.nodes import Node
from scheduler.core.model.plans import Plan
from scheduler.core.model.standing import (
    BudgetStanding,
    DeviceStanding,
    Slice,
    Standing,
    Stray,
    TenantStanding,
    UserStanding,
    Waiting,
)
from scheduler.core.model.tenants import tenant_part, user_part
from scheduler.core.packing.fragments import fragments
from scheduler.core.packing.mix import Mix

NOTHING_USED: Mapping[TenantName, float] = MappingProxyType({})


def stand(
    ledger: Ledger,
    tree: TenantTree,
    *,
    plan: Plan,
    lags: Mapping[TenantName, float],
    waiting: Sequence[Waiting],
    mix: Mix,
    now: float,
    used: Mapping[TenantName, float] = NOTHING_USED,
) -> Standing:
    """Gather the standing at `now` (seconds since the epoch); `used` of budgets, GPU-seconds."""
    columns = ledger.columns
    tally = _Tally.of(ledger, tree, waiting)
    budgets = {name: budget for name in tree.budgeted if (budget := _budget(tree, name, used, now))}
    tenants = tuple(_tenants(ledger, tree, plan, lags, tally, budgets=budgets))
    return Standing(
        at=now,
        tenants=tenants,
        devices=tuple(_devices(ledger)),
        waiting=tuple(waiting),
        jain=jain_index(
            [each.allocated / each.fair_share for each in tenants if each.leaf and each.fair_share]
        ),
        free_milli=int(np.maximum(columns.room, 0).sum()),
        fragments=fragments(columns, mix),
        oversold_milli=oversold_milli(columns),
        lacks=plan.lacks,
        strays=tuple(strays(ledger.nodes.values(), tree)),
        users=tuple(_users(tree, plan, lags, tally)),
    )


def strays(nodes: Iterable[Node], tree: TenantTree) -> Iterable[Stray]:
    """Yield the nodes whose owner is no tenant."""
    for node in nodes:
        if node.owner is not None and node.owner not in tree:
            yield Stray(node.name, node.owner)


def _budget(
    tree: TenantTree, name: TenantName, used: Mapping[TenantName, float], now: float
) -> BudgetStanding | None:
    budget = tree.tenants[name].budget
    if budget is None:
        return None
    start, end = start_of(budget.period, now), end_of(budget.period, now)
    return BudgetStanding(budget, used.get(name, 0.0), start, end)


def jain_index(parts: Sequence[Fraction]) -> float:
    """(Σx)² ÷ (n·Σx²): 1 when all x are equal, 1/n when one has everything.

    Jain, Chiu, Hawe (1984). 1 for no x at all and where every x is 0.
    """
    squares = sum(part * part for part in parts)
    return float(sum(parts) ** 2 / (len(parts) * squares)) if squares else 1.0


def oversold_milli(columns: Columns) -> int:
    """Milli-GPU promised above capacity, by share or by memory, whichever is more. Always 0."""
    by_share = np.maximum(-columns.free, 0)
    by_memory = np.maximum(-columns.free_mib, 0) * columns.cap // np.maximum(columns.mib_cap, 1)
    return int(np.maximum(by_share, by_memory).sum())


@dataclass(frozen=True, slots=True)
class _Tally:
    """Of all in the tree: milli-GPU held, pods that run and that wait."""

    held: Mapping[TenantName, int]
    running: Mapping[TenantName, int]
    pending: Mapping[TenantName, int]

    @classmethod
    def of(cls, ledger: Ledger, tree: TenantTree, waiting: Iterable[Waiting]) -> "_Tally":
        queued = Counter(tree.leaf_of(each.tenant, each.user) for each in waiting)
        return cls(
            held=tree.roll_up({name: held.milli for name, held in ledger.held.items()}, 0),
            running=tree.roll_up({name: held.pods for name, held in ledger.held.items()}, 0),
            pending=tree.roll_up(queued, 0),
        )


def _tenants(
    ledger: Ledger,
    tree: TenantTree,
    plan: Plan,
    lags: Mapping[TenantName, float],
    tally: _Tally,
    *,
    budgets: Mapping[TenantName, BudgetStanding],
) -> Iterable[TenantStanding]:
    brought = roll_up(tree, ledger.brought)
    spent = frozenset(name for name, each in budgets.items() if each.part >= 1)
    for name in tree.names:
        tenant = tree.tenants[name]
        if tenant.user:
            continue
        yield TenantStanding(
            name=name,
            parent=tenant.parent,
            leaf=tree.takes_pods(name),
            guarantee=tenant.guarantee,
            weight=tenant.weight,
            limit=tenant.limit,
            priority=tenant.priority,
            fair_share=plan.shares.get(name, Fraction(0)),
            allocated=Fraction(tally.held[name], MILLI),
            demand=plan.demand.get(name, Fraction(0)),
            lag=lags.get(name, 0.0),
            pending_pods=tally.pending[name],
            running_pods=tally.running[name],
            contributed=tenant.contributed,
            brought=brought[name],
            budget=budgets.get(name),
            spent=is_spent(tree, spent, name),
        )


def _users(
    tree: TenantTree, plan: Plan, lags: Mapping[TenantName, float], tally: _Tally
) -> Iterable[UserStanding]:
    for leaf in tree.users:
        yield UserStanding(
            tenant=tenant_part(leaf),
            name=user_part(leaf),
            fair_share=plan.shares.get(leaf, Fraction(0)),
            allocated=Fraction(tally.held[leaf], MILLI),
            demand=plan.demand.get(leaf, Fraction(0)),
            lag=lags.get(leaf, 0.0),
            pending_pods=tally.pending[leaf],
            running_pods=tally.running[leaf],
        )


def _devices(ledger: Ledger) -> Iterable[DeviceStanding]:
    slices: dict[tuple[NodeName, DeviceUUID], list[Slice]] = {}
    for holding in ledger.holdings.values():
        for uuid, piece in _slices(holding):
            slices.setdefault((holding.placement.node, uuid), []).append(piece)
    for node in ledger.nodes.values():
        yield from _devices_of(node, slices)


def _slices(holding: Holding) -> Iterable[tuple[DeviceUUID, Slice]]:
    pod = holding.pod
    tenant, user = tenant_part(pod.tenant), user_part(pod.tenant)
    for slot in holding.placement.slots:
        yield (
            slot.uuid,
            Slice(pod.uid, pod.key, tenant, slot.milli, slot.memory_mib, holding.bound, user),
        )


def _devices_of(
    node: Node, slices: Mapping[tuple[NodeName, DeviceUUID], list[Slice]]
) -> Iterable[DeviceStanding]:
    for index, device in enumerate(node.devices):
        yield DeviceStanding(
            node=node.name,
            index=index,
            uuid=device.uuid,
            model=device.model,
            milli=device.milli,
            memory_mib=device.memory_mib,
            healthy=device.healthy,
            foreign_mib=device.foreign_mib,
            load=device.load,
            used_mib=device.used_mib,
            slices=tuple(slices.get((node.name, device.uuid), ())),
            owner=node.owner,
        )
