"""Nodes that name an owner who is no tenant: said once of each, and again if that comes back."""

import logging
from collections.abc import Iterable

from scheduler.core.cycle.standing import strays
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import NodeName
from scheduler.core.model.nodes import Node
from scheduler.core.model.standing import Stray, told_of

log = logging.getLogger(__name__)


class Strays:
    """Remembers of which nodes it is so; what is said once is said of all that an owner has."""

    def __init__(self) -> None:
        self._said: dict[NodeName, Stray] = {}

    def look(self, nodes: Iterable[Node], tree: TenantTree) -> None:
        """Say what is new about these nodes. Without any tenants they aren't known yet."""
        if not tree.tenants:
            return
        nodes = [node for node in nodes if node.owner is not None or node.name in self._said]
        found = {stray.node: stray for stray in strays(nodes, tree)}
        known = {stray.owner for stray in self._said.values()}
        for node in nodes:
            self._said.pop(node.name, None)
        self._said |= found
        for sentence in told_of(each for each in found.values() if each.owner not in known):
            log.warning("%s", sentence)

    def drop(self, name: NodeName) -> None:
        """A node is gone."""
        self._said.pop(name, None)
