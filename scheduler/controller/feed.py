"""From a watch on pods to controller and ledger: what each pod means for who holds what."""

import logging
from collections.abc import Iterable

from scheduler.controller.controller import Controller
from scheduler.controller.planner import Planner
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model import assignment, names
from scheduler.core.model.errors import InvalidInput, LedgerError
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.placements import Placement
from scheduler.core.model.podreader import PodJSON, TenantOf, gates_of, mapping, pinned_to, read_pod
from scheduler.core.model.pods import Pod

FINISHED = ("Succeeded", "Failed")

log = logging.getLogger(__name__)


class Feed:
    """Told of every pod as it is after a write; after a restart, first of all that are there."""

    def __init__(
        self,
        controller: Controller,
        ledger: Ledger,
        planner: Planner,
        *,
        tenant_of: TenantOf,
    ) -> None:
        self._controller, self._ledger, self._planner = controller, ledger, planner
        self._tenant_of = tenant_of
        self._unreadable: dict[PodUID, tuple[NodeName, str]] = {}

    def start(self, pods: Iterable[PodJSON]) -> None:
        """Take note of all pods that are there, before any round and before `see`.

        Bound ones first: a pod on its way must not be given again what a bound one holds.
        """
        for pod in sorted(pods, key=lambda each: not mapping(each, "spec").get("nodeName")):
            self.see("ADDED", pod)

    def see(self, event: str, pod: PodJSON) -> None:
        """Take note of a pod. `event` is ADDED, MODIFIED or DELETED."""
        spec = mapping(pod, "spec")
        uid = PodUID(str(mapping(pod, "metadata").get("uid")))
        if event == "DELETED" or _runs_no_more(pod):
            self._understood(uid)
            self._controller.gone(uid)
        elif spec.get("nodeName"):
            self._bound(read_pod(pod, self._tenant_of), pod, NodeName(str(spec["nodeName"])))
        elif names.GATE in gates_of(pod):
            self._controller.add(read_pod(pod, self._tenant_of))
        else:
            self._on_its_way(read_pod(pod, self._tenant_of), pod)

    def _bound(self, pod: Pod, stored: PodJSON, node: NodeName) -> None:
        before = self._ledger.holdings.get(pod.uid)
        if before is not None and before.bound:
            # The answer to its bind came before this; only its wait may be left to note.
            self._controller.bound(before.pod, before.placement)
            return
        try:
            placement = assignment.decode(mapping(mapping(stored, "metadata"), "annotations"))
        except InvalidInput as problem:
            self._close(pod.uid, node, f"pod {pod.key}: {problem}")
            return
        # A bound pod without an assignment holds nothing.
        placement = placement or Placement(node)
        if placement.node != node:
            why = f"pod {pod.key} was assigned to {placement.node} but runs here"
            self._close(pod.uid, node, why)
            return
        self._understood(pod.uid)
        self._controller.bound(pod, placement)

    def _close(self, uid: PodUID, node: NodeName, why: str) -> None:
        # What can't be understood may hold anything: the node takes no new pod.
        self._controller.ungated(uid)
        if self._unreadable.get(uid) != (node, why):
            log.error("node %s is closed: %s", node, why)
            self._unreadable[uid] = (node, why)
            self._ledger.close_node(node, why)

    def _understood(self, uid: PodUID) -> None:
        """Open the node that the pod closed, unless another pod keeps it closed."""
        node, _ = self._unreadable.pop(uid, (None, ""))
        if node is None:
            return
        self._ledger.open_node(node)
        for where, why in self._unreadable.values():
            if where == node:
                self._ledger.close_node(node, why)

    def _on_its_way(self, pod: Pod, stored: PodJSON) -> None:
        """Reserve again for a pod that was released before a restart and isn't bound yet."""
        self._controller.ungated(pod.uid)
        pinned = pinned_to(stored)
        if pod.uid in self._ledger.holdings or not pinned or not pod.request.devices:
            return
        if mapping(stored, "spec").get("schedulerName") != names.SCHEDULER_NAME:
            # Pinned by somebody else, as a DaemonSet's are; it will never come to our filter.
            return
        place = self._planner(pod, pinned)
        if not isinstance(place, Placement):
            log.warning("pod %s was released, but finds no room now: %s", pod.key, place.sentence)
            return
        try:
            self._ledger.reserve(pod, place)
        except LedgerError as problem:
            log.warning("pod %s was released, but finds no room now: %s", pod.key, problem)
            return
        self._controller.on_its_way(pod.uid)


def _runs_no_more(pod: PodJSON) -> bool:
    """Whether it is finished, or being deleted without a node: then it can't be bound any more."""
    if mapping(pod, "status").get("phase") in FINISHED:
        return True
    deleted = "deletionTimestamp" in mapping(pod, "metadata")
    return deleted and not mapping(pod, "spec").get("nodeName")
