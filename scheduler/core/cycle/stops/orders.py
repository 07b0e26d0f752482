"""Orders to defragment: tenants for whose waiting pods others are to be moved now.

An admin gives one, until a time, whatever the settings say; it goes for all below the tenant, too.
"""

import math
from dataclasses import dataclass

from scheduler.core.cycle.rounds import Round
from scheduler.core.model.ids import TenantName
from scheduler.core.model.running import Ordered
from scheduler.core.model.tenants import Tenant


@dataclass(frozen=True, slots=True)
class Orders:
    """Those that stand in a round; `alive` names their tenants."""

    this: Round
    alive: frozenset[TenantName]

    @classmethod
    def of(cls, this: Round) -> "Orders":
        """Return those that stand now; the round goes on with what came of them before."""
        alive = {each.name: each for each in this.tree.ordered if each.defrag_until > this.now}
        this.ordered = {
            name: before
            for name, before in this.snapshot.memory.ordered.items()
            if name in alive and before.until == alive[name].defrag_until
        }
        return cls(this, frozenset(alive))

    def order_for(self, leaf: TenantName) -> Tenant | None:
        """Return the order that goes for a leaf, of several the one next to it, or None.

        One by which as many were moved as may be is none any more.
        """
        if not self.alive:
            return None
        for name in reversed(self.this.tree.path(leaf)):
            tenant = self.this.tree.tenants[name]
            if name in self.alive and self.left(tenant) > 0:
                return tenant
        return None

    def left(self, order: Tenant) -> float:
        """How many may be moved by it still."""
        if order.defrag_moves is None:
            return math.inf
        before = self.this.ordered.get(order.name)
        return order.defrag_moves - (before.moves if before else 0)

    def count(self, order: Tenant, moves: int) -> None:
        """Count those who are moved by it."""
        before = self.this.ordered.get(order.name)
        moves += before.moves if before else 0
        self.this.ordered[order.name] = Ordered(order.defrag_until, moves)
