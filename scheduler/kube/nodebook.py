"""Nodes from the API: each Node joined with the GPUNode that its agent writes."""

import logging
from collections.abc import Callable, Mapping

from scheduler.clock import Clock
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.nodes import Node
from scheduler.core.model.stored import mapping
from scheduler.kube import convert
from scheduler.kube.batches import Batch
from scheduler.kube.client import JSON
from scheduler.kube.shelf import without_bookkeeping
from scheduler.kube.slowshelf import MOST, SlowShelf

log = logging.getLogger(__name__)

AGING_SECONDS = 30.0
"""How often measured load is checked for being too old."""


class NodeBook:
    """Sinks of Nodes (`nodes`) and of GPUNodes (`gpunodes`).

    Tells `put_nodes` those that changed as far as placing is concerned, many at once, and
    `drop_node` those that are gone.
    """

    def __init__(
        self,
        put_nodes: Callable[[list[Node]], None],
        drop_node: Callable[[NodeName], None],
        *,
        clock: Clock,
    ) -> None:
        self._put_nodes, self._drop_node, self._clock = put_nodes, drop_node, clock
        self._batch = Batch(self._changed, most=MOST)
        self.nodes: SlowShelf[JSON] = SlowShelf(_what_matters, self._batch.note)
        self.gpunodes: SlowShelf[JSON] = SlowShelf(without_bookkeeping, self._batch.note)
        self._told: dict[NodeName, Node] = {}
        self._strangers: dict[NodeName, set[PodUID]] = {}
        self._fresh_until: dict[NodeName, float] = {}

    def uses_nvidia(self, node: NodeName, uid: PodUID, uses: bool) -> None:
        """Note whether a pod on the node uses nvidia.com/gpu; False when it is gone, too."""
        strangers = self._strangers.setdefault(node, set())
        before = bool(strangers)
        (strangers.add if uses else strangers.discard)(uid)
        if not strangers:
            del self._strangers[node]
        if bool(strangers) != before:
            self._batch.note(node)

    async def told(self) -> None:
        """Wait until all that was seen is told."""
        for each in (self.nodes, self.gpunodes, self._batch):
            await each.told()

    async def run(self) -> None:
        """Let measured load grow old, for ever: an agent that died says nothing about now."""
        while True:
            await self._clock.sleep(AGING_SECONDS)
            now = self._clock.now()
            for name in [name for name, until in self._fresh_until.items() if until < now]:
                del self._fresh_until[name]
                self._batch.note(name)

    def _changed(self, keys: list[str]) -> None:
        changed: list[Node] = []
        for key in keys:
            name = NodeName(key)
            node = self._read(name)
            before = self._told.get(name)
            if node is None:
                if self._told.pop(name, None) is not None:
                    self._drop_node(name)
            # What is only told, as measured memory is, doesn't make nodes differ but is passed on.
            elif node != before or _told_use(node) != _told_use(before):
                self._told[name] = node
                changed.append(node)
        if changed:
            self._put_nodes(changed)

    def _read(self, name: NodeName) -> Node | None:
        """Join what is there under the name; None if there is no such node, or none to be read."""
        stored, gpunode = self.nodes.kept.get(name), self.gpunodes.kept.get(name)
        if stored is None:
            return None
        now = self._clock.now()
        if gpunode is not None and (until := convert.fresh_until(gpunode)) >= now:
            self._fresh_until[name] = until
        try:
            return convert.node(stored, gpunode, now=now, strangers=name in self._strangers)
        except InvalidInput as problem:
            log.error("node %s can't be used: %s", name, problem)
            return None


def _told_use(node: Node | None) -> tuple[int, ...]:
    return tuple(device.used_mib for device in node.devices) if node is not None else ()


def _what_matters(item: JSON) -> JSON:
    """Of a Node, what `convert.node` reads: heartbeats and lists of images are left out."""
    metadata, spec = item["metadata"], mapping(item, "spec")
    kept: dict[str, Mapping[str, object]] = {
        "metadata": {key: metadata[key] for key in ("name", "labels") if key in metadata},
        "spec": {key: spec[key] for key in ("unschedulable", "taints") if key in spec},
        "status": {"allocatable": mapping(mapping(item, "status"), "allocatable")},
    }
    return kept
