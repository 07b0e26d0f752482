"""Nodes that are closed because a pod on them carries what can't be understood."""

import logging

from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import NodeName, PodUID

log = logging.getLogger(__name__)


class Closures:
    """Which pods close which node: it opens when the last of them is gone or understood."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._unreadable: dict[PodUID, tuple[NodeName, str]] = {}

    def close(self, uid: PodUID, node: NodeName, why: str) -> None:
        """Let the node take no new pod because of this one."""
        if self._unreadable.get(uid) != (node, why):
            log.error("node %s is closed: %s", node, why)
            self._unreadable[uid] = (node, why)
            self._ledger.close_node(node, why)

    def open(self, uid: PodUID) -> None:
        """Open the node that the pod closed, unless another pod keeps it closed."""
        node, _ = self._unreadable.pop(uid, (None, ""))
        if node is None:
            return
        self._ledger.open_node(node)
        for where, why in self._unreadable.values():
            if where == node:
                self._ledger.close_node(node, why)
