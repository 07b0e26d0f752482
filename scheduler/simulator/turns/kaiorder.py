"""Which queue goes next in KAI-Scheduler (commit d5bc503a), as far as GPUs are concerned.

Between two siblings, in this order: who holds no more than its share; who stays inside its
guarantee with its next request; the higher priority; who is entitled to anything at all; the
smaller part of its entitlement with the next request, then without; the smaller entitlement; the
older.
"""

from collections.abc import Mapping
from fractions import Fraction

from scheduler.core.cycle.rounds import Round
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import TenantName
from scheduler.simulator.turns.roundedshares import rounded_shares

_Key = tuple[bool, bool, int, bool, Fraction, Fraction, Fraction, int]


class Order:
    """Who goes next and who is worst placed; amounts in GPUs."""

    def __init__(self, this: Round) -> None:
        self._tree = tree = this.tree
        wanted = {leaf: this.demand[leaf] for leaf in tree.leaves}
        self.shares = rounded_shares(tree, this.capacity.gpus, wanted)
        self.entitled = {name: _entitlement(tree, self.shares, name) for name in tree.names}
        held = {name: Fraction(each.milli, MILLI) for name, each in this.snapshot.held.items()}
        self.held = tree.roll_up(held, Fraction(0))
        parents: tuple[TenantName | None, ...] = (None, *tree.inner)
        self._rank = {name: at for each in parents for at, name in enumerate(tree.children(each))}

    def took(self, leaf: TenantName, milli: int) -> None:
        """Count what a leaf was given, or with a negative number what was taken from it."""
        self._tree.charge(self.held, leaf, Fraction(milli, MILLI))

    def next(self, heads: Mapping[TenantName, int]) -> TenantName | None:
        """Return the leaf that goes next, of those with a request (milli-GPU)."""
        first: dict[TenantName | None, TenantName] = {leaf: leaf for leaf in heads}
        for parent in (*reversed(self._tree.inner), None):
            below = [name for name in self._tree.children(parent) if name in first]
            if below:
                best = min(below, key=lambda name: self.key(name, heads[first[name]]))
                first[parent] = first[best]
        return first.get(None)

    def key(self, name: TenantName, milli: int) -> _Key:
        """Return its place among its siblings with a request of so much, the first one lowest."""
        tenant, held = self._tree.tenants[name], self.held[name]
        entitled, after = self.entitled[name], held + Fraction(milli, MILLI)
        return (
            held > self.shares[name],
            after > tenant.guarantee,
            -tenant.priority,
            milli > 0 and not entitled,
            after / (entitled or 1),
            held / (entitled or 1),
            entitled,
            self._rank[name],
        )


def _entitlement(
    tree: TenantTree, shares: Mapping[TenantName, Fraction], name: TenantName
) -> Fraction:
    tenant = tree.tenants[name]
    entitled = max(tenant.guarantee, shares[name])
    return entitled if tenant.limit is None else min(entitled, tenant.limit)
