"""From a watch on pods to controller and ledger: what each pod means for who holds what."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from scheduler.controller.closures import Closures
from scheduler.controller.controller import Controller
from scheduler.controller.journeys import Journey
from scheduler.controller.planner import Planner
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model import assignment, names
from scheduler.core.model.errors import InvalidInput, LedgerError
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.placements import Placement
from scheduler.core.model.podreader import (
    PodJSON,
    TenantOf,
    VolumesOf,
    gates_of,
    pinned_to,
    read_pod,
)
from scheduler.core.model.pods import Pod
from scheduler.core.model.stored import mapping, objects
from scheduler.core.model.verdicts import Reason, Verdict

FINISHED = ("Succeeded", "Failed")

UsesNvidia = Callable[[NodeName, PodUID, bool], None]
"""Told of pods that hold a card by nvidia.com/gpu, past us; False once they no longer do."""

log = logging.getLogger(__name__)


class Feed:
    """Told of every pod as it is after a write; `replace` takes all that there are."""

    def __init__(
        self,
        controller: Controller,
        ledger: Ledger,
        planner: Planner,
        *,
        tenant_of: TenantOf,
        volumes_of: VolumesOf | None = None,
        uses_nvidia: UsesNvidia | None = None,
    ) -> None:
        self._controller, self._ledger, self._planner = controller, ledger, planner
        self._tenant_of, self._volumes_of = tenant_of, volumes_of
        self._uses_nvidia = uses_nvidia
        self._closures = Closures(ledger)
        self._unbound: dict[PodUID, PodJSON] = {}
        self._nodes: dict[PodUID, NodeName] = {}
        self._strangers: dict[PodUID, NodeName] = {}

    def replace(self, pods: Iterable[PodJSON]) -> None:
        """Take these as all the pods that there are, before any round.

        Bound ones first: a pod on its way must not be given again what a bound one holds.
        """
        listed = sorted(pods, key=lambda each: not mapping(each, "spec").get("nodeName"))
        there = {_uid(pod) for pod in listed}
        for uid in [*self._unbound, *self._nodes, *self._ledger.holdings]:
            if uid not in there:
                self._gone(uid)
        for pod in listed:
            self._see(_uid(pod), pod)

    def see(self, event: str, pod: PodJSON) -> None:
        """Take note of a pod. `event` is ADDED, MODIFIED or DELETED."""
        if event == "DELETED":
            self._gone(_uid(pod))
        else:
            self._see(_uid(pod), pod)

    def pod(self, uid: PodUID) -> PodJSON | None:
        """Return a pod that is not bound, as it was seen last; None for others."""
        return self._unbound.get(uid)

    def retell(self, namespace: str) -> None:
        """Read the pods of a namespace again: its tenant, or what its volumes ask, has changed."""
        for uid, stored in list(self._unbound.items()):
            if mapping(stored, "metadata").get("namespace") == namespace:
                self._see(uid, stored)
        tenant = self._tenant_of(namespace)
        for holding in list(self._ledger.holdings.values()):
            pod = holding.pod
            if pod.namespace == namespace and pod.tenant != tenant and holding.bound:
                self._controller.bound(replace(pod, tenant=tenant), holding.placement)

    def _see(self, uid: PodUID, pod: PodJSON) -> None:
        node = mapping(pod, "spec").get("nodeName")
        if _runs_no_more(pod):
            self._gone(uid)
        elif node:
            # Most news is of pods that run, and says nothing to us.
            if uid not in self._nodes:
                self._unbound.pop(uid, None)
                self._bound(pod, NodeName(str(node)))
        elif names.GATE in gates_of(pod):
            self._unbound[uid] = _slim(pod)
            self._controller.add(self._read(pod), _owner(pod))
        else:
            self._unbound[uid] = _slim(pod)
            self._on_its_way(self._read(pod), pod)

    def _gone(self, uid: PodUID) -> None:
        self._closures.open(uid)
        self._unbound.pop(uid, None)
        self._nodes.pop(uid, None)
        node = self._strangers.pop(uid, None)
        if node is not None and self._uses_nvidia is not None:
            self._uses_nvidia(node, uid, False)
        self._controller.gone(uid)

    def _bound(self, stored: PodJSON, node: NodeName) -> None:
        pod = self._read(stored)
        if self._uses_nvidia is not None and _takes_nvidia(stored):
            self._strangers[pod.uid] = node
            self._uses_nvidia(node, pod.uid, True)
        before = self._ledger.holdings.get(pod.uid)
        if before is not None and before.bound:
            # The answer to its bind came before this; only its wait may be left to note.
            self._nodes[pod.uid] = node
            self._controller.bound(before.pod, before.placement)
            return
        try:
            placement = assignment.decode(mapping(mapping(stored, "metadata"), "annotations"))
        except InvalidInput as problem:
            self._close(pod, node, f"pod {pod.key}: {problem}")
            return
        # A bound pod without an assignment holds nothing.
        placement = placement or Placement(node)
        if placement.node != node:
            why = f"pod {pod.key} was assigned to {placement.node} but runs here"
            self._close(pod, node, why)
            return
        self._closures.open(pod.uid)
        self._nodes[pod.uid] = node
        self._controller.bound(pod, placement)

    def _close(self, pod: Pod, node: NodeName, why: str) -> None:
        # What can't be understood may hold anything: the node takes no new pod.
        self._controller.ungated(pod.uid)
        self._closures.close(pod.uid, node, why)

    def _on_its_way(self, pod: Pod, stored: PodJSON) -> None:
        """Reserve again for a pod that was released before a restart and isn't bound yet."""
        uid = pod.uid
        if mapping(stored, "spec").get("schedulerName") != names.SCHEDULER_NAME:
            # Somebody else's, or pinned by somebody else: it will never come to our filter.
            self._controller.ungated(uid)
            return
        pinned = pinned_to(stored)
        nominated = mapping(stored, "status").get("nominatedNodeName")
        nodes = pinned or ((NodeName(str(nominated)),) if nominated else ())
        if not nodes or not pod.request.devices:
            self._controller.ungated(uid)
            return
        self._controller.on_its_way(
            Journey(pod, nodes, bool(pinned), _owner(stored), _turned_down(stored))
        )
        if uid not in self._ledger.holdings:
            self._reserve(pod, nodes)

    def _reserve(self, pod: Pod, nodes: Sequence[NodeName]) -> None:
        place = self._planner(pod, nodes)
        if not isinstance(place, Placement):
            self._controller.lost(pod.uid, place)
            return
        try:
            self._ledger.reserve(pod, place)
        except LedgerError as problem:
            self._controller.lost(pod.uid, Verdict(Reason.NO_ROOM, str(problem)))

    def _read(self, stored: PodJSON) -> Pod:
        return read_pod(stored, self._tenant_of, self._volumes_of)


def _uid(pod: PodJSON) -> PodUID:
    return PodUID(str(mapping(pod, "metadata").get("uid")))


def _slim(pod: PodJSON) -> PodJSON:
    """Without what only the API server needs: it is half of most pods."""
    metadata = mapping(pod, "metadata")
    if "managedFields" not in metadata:
        return pod
    kept = {key: value for key, value in metadata.items() if key != "managedFields"}
    return {**pod, "metadata": kept}


def _owner(pod: PodJSON) -> str:
    """UID of what would make the pod again, "" for nothing."""
    owners = objects(mapping(pod, "metadata"), "ownerReferences")
    return next((str(each.get("uid")) for each in owners if each.get("controller") is True), "")


def _turned_down(pod: PodJSON) -> bool:
    """Whether kube-scheduler has looked, and found no node."""
    return any(
        each.get("type") == "PodScheduled" and each.get("reason") == "Unschedulable"
        for each in objects(mapping(pod, "status"), "conditions")
    )


def _takes_nvidia(pod: PodJSON) -> bool:
    spec = mapping(pod, "spec")
    return any(
        str(mapping(mapping(each, "resources"), kind).get(names.NVIDIA_GPU) or "0") != "0"
        for each in (*objects(spec, "containers"), *objects(spec, "initContainers"))
        for kind in ("limits", "requests")
    )


def _runs_no_more(pod: PodJSON) -> bool:
    """Whether it is finished, or being deleted without a node: then it can't be bound any more."""
    if mapping(pod, "status").get("phase") in FINISHED:
        return True
    deleted = "deletionTimestamp" in mapping(pod, "metadata")
    return deleted and not mapping(pod, "spec").get("nodeName")
