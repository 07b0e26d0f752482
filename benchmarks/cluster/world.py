"""One control plane with many nodes; on it a stock kube-scheduler, or Equipoise beside one."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cluster.meter import Bound
from benchmarks.cluster.pods import Crowd, settle, tenants
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.layout import RATES, Options
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.processes import Process
from tests.support.controlplane.replicas import Ports, Replica
from tests.support.controlplane.sweeping import drop_rules
from tests.support.controlplane.waiting import eventually

TENANTS = "/apis/equipoise.dev/v1alpha1/tenants"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
LIMIT_SECONDS = 300.0
"""The longest that one run may take."""


def account(plane: ControlPlane, name: str) -> Path:
    """Return the kubeconfig of a ServiceAccount of kube-system that may do everything.

    By a token, as ours has: certificates would have the API server verify one at each request.
    """
    if plane.api.find(f"{BINDINGS}/{name}") is None:
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}
        subject = {"kind": "ServiceAccount", "namespace": "kube-system", "name": name}
        reference = {**role, "name": "cluster-admin"}
        body = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
        plane.api.post(BINDINGS, body)
    return plane.service_account("kube-system", name)


@dataclass(frozen=True, slots=True)
class World:
    """A plane with `nodes` nodes of 8 GPUs each. Equipoise's resources are defined; it isn't on."""

    plane: ControlPlane
    nodes: int
    crowd: Crowd

    @property
    def stock(self) -> Path:
        """Return the kubeconfig of a stock scheduler."""
        return account(self.plane, "stock")

    def counting(self, pods: int) -> Bound:
        """Count pods as they get a node, and the CPU time of the plane's processes."""
        return Bound(self.plane, pods, dict(self.plane.processes))

    @contextlib.contextmanager
    def governed(self, pods: int, *, owned: bool = True) -> Iterator[Installation]:
        """Equipoise's policies and webhook, and pods that came by them and wait.

        Who admitted them is gone again: a replica that stands by has a machine of its own.
        """
        ours = Installation(self.plane, settings={})
        ours.apply()
        door = ours.admit_only("door")
        try:
            self.crowd.create(pods, share=True, owned=owned)
            door.stop()
            yield ours
        finally:
            door.stop()
            ours.close()
            drop_rules(self.plane.api)


@dataclass(frozen=True, slots=True)
class Acting:
    """A replica that acts, or begins to: its processes by name, and where it listens."""

    processes: dict[str, Process]
    ports: Ports


@contextlib.contextmanager
def acting(ours: Installation, name: str, *, elect: bool = False) -> Iterator[Acting]:
    """Run a replica while the block lasts; it takes over what waits as soon as it is there."""
    replica = ours.add(name, elect=elect)
    replica.start(ready_seconds=0)
    try:
        yield Acting(eventually(lambda: _processes(replica)), ours.ports[name])
    finally:
        replica.close()
        del ours.replicas[name]


def _processes(replica: Replica) -> dict[str, Process] | None:
    found = {name: each.process for name, each in replica.containers.items() if each.process}
    return found if len(found) == len(replica.containers) else None


@contextlib.contextmanager
def world(nodes: int, options: Options = RATES) -> Iterator[World]:
    """Run a plane with that many nodes, objects that no kubelet keeps alive, while it lasts."""
    with ControlPlane(options) as plane:
        ours = Installation(plane, settings={})
        ours.apply(webhook=False)
        for tenant in tenants():
            plane.api.post(TENANTS, tenant)
        ours.close()
        drop_rules(plane.api)
        plane.nodes(nodes, kwok=options.kwok)
        yield World(plane, nodes, settle(plane.api))
