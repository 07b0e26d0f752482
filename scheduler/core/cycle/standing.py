"""How everybody stands after a round: pure, from ledger, plan and lags."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

import numpy as np

from scheduler.core.fairness.guarantees import roll_up
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.columns import Columns
from scheduler.core.ledger.holdings import Holding
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import DeviceUUID, NodeName, TenantName
from scheduler.core.model.nodes import Node
from scheduler.core.model.plans import Plan
from scheduler.core.model.standing import (
    DeviceStanding,
    Slice,
    Standing,
    Stray,
    TenantStanding,
    Waiting,
)
from scheduler.core.packing.fragments import fragments
from scheduler.core.packing.mix import Mix


def stand(
    ledger: Ledger,
    tree: TenantTree,
    *,
    plan: Plan,
    lags: Mapping[TenantName, float],
    waiting: Sequence[Waiting],
    mix: Mix,
    now: float,
) -> Standing:
    """Gather the standing at `now` (seconds since the epoch)."""
    columns = ledger.columns
    tenants = tuple(_tenants(ledger, tree, plan, lags, waiting))
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
    )


def strays(nodes: Iterable[Node], tree: TenantTree) -> Iterable[Stray]:
    """Yield the nodes whose owner is no tenant."""
    for node in nodes:
        if node.owner is not None and node.owner not in tree:
            yield Stray(node.name, node.owner)


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


def _tenants(
    ledger: Ledger,
    tree: TenantTree,
    plan: Plan,
    lags: Mapping[TenantName, float],
    waiting: Iterable[Waiting],
) -> Iterable[TenantStanding]:
    held = tree.roll_up({name: held.milli for name, held in ledger.held.items()}, 0)
    running = tree.roll_up({name: held.pods for name, held in ledger.held.items()}, 0)
    queued: dict[TenantName, int] = {}
    for each in waiting:
        queued[each.tenant] = queued.get(each.tenant, 0) + 1
    pending = tree.roll_up(queued, 0)
    brought = roll_up(tree, ledger.brought)
    for name in tree.names:
        tenant = tree.tenants[name]
        yield TenantStanding(
            name=name,
            parent=tenant.parent,
            leaf=tree.is_leaf(name),
            guarantee=tenant.guarantee,
            weight=tenant.weight,
            limit=tenant.limit,
            priority=tenant.priority,
            fair_share=plan.shares.get(name, Fraction(0)),
            allocated=Fraction(held[name], MILLI),
            demand=plan.demand.get(name, Fraction(0)),
            lag=lags.get(name, 0.0),
            pending_pods=pending[name],
            running_pods=running[name],
            contributed=tenant.contributed,
            brought=brought[name],
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
    for slot in holding.placement.slots:
        yield (
            slot.uuid,
            Slice(pod.uid, pod.key, pod.tenant, slot.milli, slot.memory_mib, holding.bound),
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
