"""Nodes that name an owner who is no tenant: said once, and again if that comes back."""

import logging
from collections.abc import Iterable

from scheduler.core.cycle.standing import strays
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import NodeName
from scheduler.core.model.nodes import Node
from scheduler.core.model.standing import Stray

log = logging.getLogger(__name__)


class Strays:
    """Remembers what was said, by node."""

    def __init__(self) -> None:
        self._said: dict[NodeName, Stray] = {}

    def look(self, nodes: Iterable[Node], tree: TenantTree) -> None:
        """Say what is new about these nodes. Without any tenants they aren't known yet."""
        if not tree.tenants:
            return
        nodes = [node for node in nodes if node.owner is not None or node.name in self._said]
        found = {stray.node: stray for stray in strays(nodes, tree)}
        for node in nodes:
            stray = found.get(node.name)
            if stray is None:
                self._said.pop(node.name, None)
            elif self._said.get(node.name) != stray:
                self._said[node.name] = stray
                log.warning("%s", stray.sentence)

    def drop(self, name: NodeName) -> None:
        """A node is gone."""
        self._said.pop(name, None)
