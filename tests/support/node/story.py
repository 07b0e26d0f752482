"""The demo's story on the real node and on four that kwok plays: tenants, machines, pods.

Real are those of node-1: their containers sleep as long as the demo says. kwok ends the others.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from hack.clusterdemo import kubelets
from hack.dashboards.staging import LIMITED, LIMITS, TENANTS, let_own
from scheduler.core.model import names
from scheduler.simulator.demoload import LARGE, SECONDS, SMALL, arrivals, tenants
from tests.support.controlplane import namespaces, nodes, owners
from tests.support.controlplane.api import JSON, Api
from tests.support.controlplane.sweeping import drop_namespace
from tests.support.controlplane.waiting import eventually
from tests.support.node.layout import NODE
from tests.support.node.release import Release
from tests.support.node.workloads import container

_TENANT: JSON = {"apiVersion": "equipoise.dev/v1alpha1", "kind": "Tenant"}
MACHINES = {
    "a100-0": nodes.Kind(gpus=4, model="A100-SXM4-80GB"),
    "a10-0": nodes.Kind(gpus=4, model="A10", memory_mib=24 * 1024),
    "a10-1": nodes.Kind(gpus=4, model="A10", memory_mib=24 * 1024),
    "t4-0": nodes.Kind(gpus=4, model="T4", memory_mib=16 * 1024),
}
"""Those of the demo, but for one, in whose place is the real node."""

DOOMED = "A100-PCIE-40GB"
"""The model of the card that breaks: who asks for it is on that one."""

BUSY = {"at": 0, "utilisation": 0.35, "foreign": "12Gi", "pods": 1.2}
CALM = {"at": 0, "utilisation": 0.1, "pods": 0.8}
CARDS = [
    {"model": "A100-SXM4-80GB", "load": [BUSY]},
    {"model": "A100-SXM4-80GB", "count": 2, "load": [CALM]},
    {"model": DOOMED, "memory": "40Gi", "fault": {"at": 45, "lost": True}},
]
"""Of the real node: with a stranger, with pods that take too much, and one that breaks."""

VALUES: JSON = {
    "agent": {"mock": {"nodes": [{"name": NODE, "devices": CARDS}]}},
    "settings": {"agent": {"grace_seconds": 3}},
}
"""Pods of the demo end before an agent would tell of what they take, if it weren't in a hurry."""

AT_ONCE = 4
LONG = "3600"
POSED: Mapping[str, Sequence[Mapping[str, str]]] = {
    LARGE: [{names.GPU_FRACTION: "1"}] * 14 + [{names.GPU_FRACTION: "2"}] * 3,
    **dict.fromkeys(SMALL, [{names.GPU_FRACTION: "0.5"}, {names.GPU_MEMORY: "8Gi"}] * 2),
    SMALL[0]: [{names.GPU_FRACTION: "0.25"}, {names.GPU_FRACTION: "1", names.GPU_MODELS: "H100"}],
}
"""What stays: more than there is room for, and a model that no node has."""


class Story:
    """The people of the demo, who have come."""

    def __init__(self, release: Release, owned: Mapping[str, JSON]) -> None:
        self._api, self._owned = release.machine.api, owned

    def doom(self) -> None:
        """Have a pod on the card that will break, for as long as the story goes on."""
        wish = {names.GPU_FRACTION: "0.5", names.GPU_MODELS: DOOMED, SECONDS: LONG}
        self._create({"metadata": {"namespace": LARGE, "name": "doomed", "annotations": wish}})

    def play(self, seconds: float, *, seed: int = 1) -> None:
        """Have pods created as they arrive in that time, each at its moment."""
        began = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as people:
            made = []
            for arrival in arrivals(seconds, seed=seed):
                time.sleep(max(0.0, began + arrival.at - time.monotonic()))
                made.append(people.submit(self._create, arrival.pod))
            for each in made:
                each.result()

    def end(self) -> None:
        """Take away what waits, and let what runs come to its end."""
        self._api.delete(f"/api/v1/namespaces/{LARGE}/pods/doomed")
        for tenant in self._owned:
            path = f"/api/v1/namespaces/{tenant}/pods"
            for each in self._api.items(path):
                if each["spec"].get("schedulingGates"):
                    self._api.delete(f"{path}/{each['metadata']['name']}")
        eventually(self._quiet, 60, what="all pods of the story have ended")

    def pose(self) -> None:
        """Create pods that stay, some of which have to wait."""
        for tenant, wishes in POSED.items():
            for number, wish in enumerate(wishes):
                metadata = {"namespace": tenant, "name": f"stays-{number}"}
                notes = {"annotations": {**wish, SECONDS: LONG}}
                self._create({"metadata": {**metadata, **notes}})

    def _quiet(self) -> bool:
        chosen = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}
        paths = [f"/api/v1/namespaces/{tenant}/pods" for tenant in self._owned]
        return not any(self._api.items(path, chosen) for path in paths)

    def _create(self, pod: Mapping[str, Any]) -> None:
        """Small enough for two cores, and with something that would make it again."""
        metadata = pod["metadata"]
        main = container(f"exec sleep {metadata['annotations'][SECONDS]}")
        requests = {"cpu": "10m", "memory": "16Mi"}
        body = {
            "metadata": {**metadata, "ownerReferences": [self._owned[metadata["namespace"]]]},
            "spec": {
                "containers": [{**main, "resources": {"requests": requests}}],
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 1,
            },
        }
        self._api.post(f"/api/v1/namespaces/{metadata['namespace']}/pods", body)


@contextmanager
def told_on(release: Release) -> Iterator[Story]:
    """Have tenants and machines there while the block lasts."""
    plane = release.machine.plane
    plane.processes["kwok"].stop()
    kubelets.start(plane)  # they know when pods of the demo end
    try:
        yield Story(release, _found(release.machine.api))
    finally:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda each: drop_namespace(plane.api, each.name), tenants()))
        for tenant in tenants():
            plane.api.delete(f"{TENANTS}/{tenant.name}")
        _remove_machines(plane.api)


def _found(api: Api) -> Mapping[str, JSON]:
    """Make tenants and machines; return what owns the pods of each."""
    made: dict[str, JSON] = {}
    for name, kind in MACHINES.items():
        nodes.create(api, [name], kind)
    let_own(api, "t4-0")
    for tenant in tenants():
        limits = LIMITS if tenant.name == LIMITED else {}
        spec = {"weight": float(tenant.weight), **limits}
        api.ensure(TENANTS, {**_TENANT, "metadata": {"name": tenant.name}, "spec": spec})
        namespaces.create(api, tenant.name, labels={names.TENANT_LABEL: tenant.name})
        made[tenant.name] = owners.create(api, tenant.name)
    eventually(lambda: all(_ready(api, name) for name in MACHINES), 30, what="nodes are ready")
    return made


def _remove_machines(api: Api) -> None:
    """With the agents there, for which no kubelet would tell that they have ended."""
    for name in MACHINES:
        api.delete(f"/api/v1/nodes/{name}")
        api.delete(f"{nodes.GPUNODES}/{name}")
    for pod in api.items("/api/v1/pods"):
        if pod["spec"].get("nodeName") in MACHINES:
            head = pod["metadata"]
            path = f"/api/v1/namespaces/{head['namespace']}/pods/{head['name']}"
            api.delete(path, {"gracePeriodSeconds": 0})


def _ready(api: Api, name: str) -> bool:
    return nodes.ready(api.get(f"/api/v1/nodes/{name}"))
