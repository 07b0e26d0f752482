"""The embedded cluster: a store of pods that behaves as the API server does where it matters here.

Pods are Kubernetes' own JSON, as dicts. What it knows of Kubernetes: create, one patch that takes a
gate off and pins, the Binding with its preconditions, status, delete; a watch. Nothing else.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from scheduler.clock import Clock
from scheduler.core.model import names
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.podreader import gates_of
from scheduler.simulator.apierrors import AlreadyBound, Conflict, NotFound

Pod = dict[str, Any]
"""A pod's JSON. What the cluster hands out must not be changed by who gets it."""

Watch = Callable[[str, Pod], None]
"""Called with ADDED, MODIFIED or DELETED and the pod as it is after that write."""

_NAMESPACE = uuid5(NAMESPACE_DNS, "pods.equipoise.dev")


class EmbeddedCluster:
    """Pods by UID. Writes are synchronous; each is one step of the event loop, as in etcd."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pods: dict[PodUID, Pod] = {}
        self._by_name: dict[tuple[str, str], PodUID] = {}
        self._watches: list[Watch] = []
        self._versions = count(1)
        self._uids = count(1)

    def watch(self, callback: Watch) -> None:
        """Tell of every write from now on, after all that is there."""
        self._watches.append(callback)
        for pod in self._pods.values():
            callback("ADDED", pod)

    def pods(self) -> Iterator[Pod]:
        """Every pod that is there."""
        return iter(self._pods.values())

    def create(self, pod: Mapping[str, Any]) -> Pod:
        """Store a pod; raise Conflict if its name is taken. Gives it UID and time, as in a cluster.

        What Equipoise's webhook does happens here too: our schedulerName and our gate.
        """
        stored = copy.deepcopy(dict(pod))
        metadata = stored.setdefault("metadata", {})
        key = (metadata.setdefault("namespace", "default"), metadata["name"])
        if key in self._by_name:
            raise Conflict(f'pods "{key[1]}" already exists')
        uid = PodUID(str(uuid5(_NAMESPACE, f"{'/'.join(key)}/{next(self._uids)}")))
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        metadata |= {"uid": uid, "creationTimestamp": now.isoformat().replace("+00:00", "Z")}
        metadata.setdefault("annotations", {})
        spec = stored.setdefault("spec", {})
        spec["schedulerName"] = names.SCHEDULER_NAME
        spec["schedulingGates"] = [*spec.get("schedulingGates", []), {"name": names.GATE}]
        stored["status"] = {"phase": "Pending"}
        self._by_name[key] = uid
        self._pods[uid] = stored
        self._tell("ADDED", stored)
        return stored

    def release(self, uid: PodUID, *nodes: NodeName) -> None:
        """Take our gate off and pin the pod to nodes, in one write; NotFound if it is gone.

        The API server takes one name in a requirement, so each node is a term of its own.
        """
        changed = self._change(uid)
        spec = changed["spec"]
        spec["schedulingGates"] = [
            gate for gate in spec["schedulingGates"] if gate["name"] != names.GATE
        ]
        spec["affinity"] = {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {
                            "matchFields": [
                                {"key": "metadata.name", "operator": "In", "values": [node]},
                            ]
                        }
                        for node in nodes
                    ],
                }
            }
        }
        self._tell("MODIFIED", changed)

    def bind(
        self,
        namespace: str,
        name: str,
        *,
        uid: PodUID,
        node: NodeName,
        annotations: Mapping[str, str],
    ) -> None:
        """Store a Binding: node and annotations in one write, with the UID as precondition.

        Texts: k8s.io/kubernetes/pkg/registry/core/pod/storage, assignPod.
        """
        there = self._by_name.get((namespace, name))
        if there is None:
            raise NotFound(f'pods "{name}" not found')
        if there != uid:
            raise Conflict(
                f"Precondition failed: UID in precondition: {uid}, UID in object: {there}"
            )
        pod = self._pods[uid]
        if "deletionTimestamp" in pod["metadata"]:
            raise Conflict(f"pod {name} is being deleted, cannot be assigned to a host")
        if pod["spec"].get("nodeName"):
            raise AlreadyBound(
                f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
            )
        if gates_of(pod):
            raise Conflict(f"pod {name} has non-empty .spec.schedulingGates")
        changed = self._change(uid)
        changed["spec"]["nodeName"] = node
        changed["metadata"]["annotations"] |= annotations
        self._tell("MODIFIED", changed)

    def get(self, namespace: str, name: str) -> Pod:
        """Return a pod; raise NotFound."""
        uid = self._by_name.get((namespace, name))
        if uid is None:
            raise NotFound(f'pods "{name}" not found')
        return self._pods[uid]

    def set_phase(self, uid: PodUID, phase: str) -> None:
        """Write the pod's phase, as a kubelet does; raise NotFound."""
        changed = self._change(uid)
        changed["status"]["phase"] = phase
        self._tell("MODIFIED", changed)

    def delete(self, uid: PodUID) -> None:
        """Remove a pod at once; raise NotFound."""
        pod = self._change(uid)
        del self._pods[uid]
        del self._by_name[pod["metadata"]["namespace"], pod["metadata"]["name"]]
        self._tell("DELETED", pod)

    def _change(self, uid: PodUID) -> Pod:
        """Return a copy to write to, already in the store: what was handed out before stays."""
        if uid not in self._pods:
            raise NotFound(f'pod with UID "{uid}" not found')
        self._pods[uid] = copy.deepcopy(self._pods[uid])
        return self._pods[uid]

    def _tell(self, event: str, pod: Pod) -> None:
        pod["metadata"]["resourceVersion"] = str(next(self._versions))
        for watch in self._watches:
            watch(event, pod)
