"""What an admin does before anybody comes: Equipoise installed, tenants, nodes and their agents."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing

from hack.clusterdemo.ground import Ground
from scheduler.core.model import names
from scheduler.device.mock import DEMO, MockNode
from scheduler.simulator.demoload import tenants
from tests.support import admission
from tests.support.controlplane import namespaces, nodes, owners
from tests.support.controlplane.api import JSON, Api
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.layout import ROOT
from tests.support.controlplane.ports import free_port
from tests.support.controlplane.waiting import eventually

TENANTS = "/apis/equipoise.dev/v1alpha1/tenants"
OFTEN = {"EQUIPOISE_AGENT_READ_SECONDS": "1", "EQUIPOISE_AGENT_USE_SECONDS": "1"}
"""As the demo is over in a minute, agents look and tell more often than they would elsewhere."""


def install(place: Ground) -> None:
    """Apply the manifests; the webhook will be reached by a URL, as nothing routes to Services."""
    with closing(Installation(place.plane)) as ours:
        ours.apply(webhook=False)
    admission.install(place.plane.api, f"https://127.0.0.1:{place.ports.webhook}")


def found_tenants(api: Api) -> Mapping[str, JSON]:
    """Make each tenant, its namespace, and what owns its pods there; return those owners.

    A pod without an owner would be nominated to its node, not pinned: nothing would make it again.
    """
    made: dict[str, JSON] = {}
    for tenant in tenants():
        spec = {"weight": float(tenant.weight)}
        api.post(TENANTS, {**_head("Tenant", tenant.name), "spec": spec})
        namespaces.create(api, tenant.name, labels={names.TENANT_LABEL: tenant.name})
        made[tenant.name] = owners.create(api, tenant.name)
    return made


def set_up_machines(place: Ground, machines: Sequence[MockNode]) -> None:
    """Make a Node of each machine and start its agent; wait until all of them are in use."""
    for machine in machines:
        nodes.create(place.plane.api, [machine.name], _kind(machine))
    for machine in machines:
        _start_agent(place, machine.name)
    eventually(
        lambda: all(_serves(place, machine.name) for machine in machines),
        60,
        what="all nodes are ready, and their GPUs are published",
    )


def _kind(machine: MockNode) -> nodes.Kind:
    return nodes.Kind(gpus=0, cpu=f"{machine.cpu_milli}m", memory=f"{machine.ram_mib}Mi")


def _start_agent(place: Ground, node: str) -> None:
    """With a token that names its node."""
    argv = [sys.executable, "-m", "scheduler", "agent", "--mock", str(DEMO), "--node", node]
    argv += ["--kubeconfig", str(place.plane.agent_kubeconfig(node))]
    argv += ["--host", "127.0.0.1", "--port", str(free_port())]
    place.start(f"agent-{node}", argv, {"PYTHONPATH": str(ROOT), **OFTEN})


def _serves(place: Ground, name: str) -> bool:
    place.check()
    gpunode = place.plane.api.find(f"{nodes.GPUNODES}/{name}") or {}
    listed = gpunode.get("status", {}).get("devices")
    return bool(listed) and nodes.ready(place.plane.api.get(f"/api/v1/nodes/{name}"))


def _head(kind: str, name: str) -> JSON:
    return {"apiVersion": "equipoise.dev/v1alpha1", "kind": kind, "metadata": {"name": name}}
