"""Two planes whose nodes have kubelets: one with the stock kube-scheduler, one with Equipoise."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.cluster.jobs.load import Hand
from benchmarks.cluster.world import TENANTS, account
from tests.support.controlplane import namespaces
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.layout import RATES, STAGES
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.processes import Process
from tests.support.controlplane.waiting import eventually

REPLACED = ("pod-complete", "pod-delete")
PODS_END = Path(__file__).with_name("pods-end.yaml")

OPTIONS = replace(
    RATES,
    kwok=True,
    audit=True,
    stages=(*(each for each in STAGES if each.stem not in REPLACED), PODS_END),
    controller_manager=(
        "--concurrent-job-syncs=50",
        "--kube-api-qps=2000",
        "--kube-api-burst=2000",
    ),
)

PATIENCE_SECONDS = 2.0
SETTINGS = {
    "reclaim": {
        "patience_seconds": PATIENCE_SECONDS,
        "min_runtime_seconds": 1,
        "grace_seconds": 1,
        "budget_seconds": 5,
    }
}
LARGE, SMALL = "large", "small"


@dataclass(frozen=True, slots=True)
class Ground:
    """A plane, the processes that are measured, and who submits Jobs. `page`: serve's web page."""

    plane: ControlPlane
    processes: dict[str, Process]
    large: Hand
    small: Hand
    page: str = ""

    def running(self, hand: Hand, seconds: float = 120) -> None:
        """Wait until no pod of that namespace is on its way to its node or off it."""
        query = {"fieldSelector": "status.phase!=Running,spec.nodeName!=", "limit": "1"}
        look = self.plane.api.items
        eventually(lambda: not look(hand.pods, query), seconds, what="all run", every=0.2)


@contextlib.contextmanager
def stock(nodes: int) -> Iterator[Ground]:
    """Run a plane whose nodes advertise nvidia.com/gpu, with the stock kube-scheduler."""
    with ControlPlane(OPTIONS) as plane:
        plane.nodes(nodes, gpus=0, shared=False, advertised={"nvidia.com/gpu": "8"})
        scheduler = plane.scheduler(name="stock", kubeconfig=account(plane, "stock"))
        yield _ground(plane, {"kube-scheduler": scheduler.process})


@contextlib.contextmanager
def equipoise(nodes: int) -> Iterator[Ground]:
    """Run a plane with Equipoise and two tenants of equal weight; nodes are made by the caller."""
    with ControlPlane(OPTIONS) as plane:
        ours = Installation(plane, settings=SETTINGS, alone="jobs")
        ours.apply()
        for name in (LARGE, SMALL):
            kind = {"apiVersion": "equipoise.dev/v1alpha1", "kind": "Tenant"}
            plane.api.post(TENANTS, {**kind, "metadata": {"name": name}, "spec": {"weight": 1}})
        plane.nodes(nodes)
        try:
            containers = ours.start("jobs").containers
            processes = {name: each.process for name, each in containers.items() if each.process}
            page = f"http://127.0.0.1:{ours.ports['jobs'].web}"
            yield _ground(plane, processes, page=page)
        finally:
            ours.close()


def _ground(plane: ControlPlane, processes: dict[str, Process], *, page: str = "") -> Ground:
    user = account(plane, "client")
    for name in (LARGE, SMALL):
        namespaces.create(plane.api, name, labels={"equipoise.dev/tenant": name})
    processes = {**plane.processes, **processes}
    return Ground(plane, processes, Hand(user, LARGE), Hand(user, SMALL), page)
