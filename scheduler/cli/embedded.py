"""Equipoise on the embedded cluster, wired as `serve` will be wired to Kubernetes."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from scheduler import http
from scheduler.cli.running import running
from scheduler.clock import Clock
from scheduler.controller.controller import Controller
from scheduler.controller.feed import Feed
from scheduler.controller.planner import Planner
from scheduler.controller.ports import Journal, Watcher
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.errors import AlreadyAssigned, BindRefused
from scheduler.core.model.ids import NodeName, TenantName
from scheduler.core.model.nodes import Node
from scheduler.core.model.plans import Admit, Hold
from scheduler.core.model.pods import Pod, PodRef
from scheduler.core.model.tenants import Tenant
from scheduler.core.model.verdicts import Verdict
from scheduler.device.driver import to_devices
from scheduler.device.mock import MockNode
from scheduler.extender.app import Observe, create_app
from scheduler.extender.service import ExtenderService
from scheduler.settings import Extender, Settings
from scheduler.simulator import apierrors
from scheduler.simulator.cluster import EmbeddedCluster
from scheduler.simulator.kubelets import Kubelets, RunsFor
from scheduler.simulator.kubescheduler import KubeScheduler

WRITE_SECONDS = 0.002
"""What a write to a real API server takes, about; so binds are under way side by side."""

USAGE_SECONDS = 1.0
"""How often the agents' stand-in reports load and strangers' memory."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Everything that runs, for who drives it and who looks at it."""

    cluster: EmbeddedCluster
    ledger: Ledger
    controller: Controller
    scheduler: KubeScheduler


@dataclass(frozen=True, slots=True)
class Equipoise:
    """What dies in a crash, and is made anew from the pods after it."""

    ledger: Ledger
    controller: Controller
    extender: ExtenderService


def equip(
    cluster: EmbeddedCluster,
    nodes: Iterable[Node],
    tenants: Iterable[Tenant],
    *,
    settings: Settings,
    clock: Clock,
    watcher: Watcher,
) -> Equipoise:
    """Put Equipoise on a cluster, whatever runs there already; a namespace is its tenant's."""
    ledger = Ledger(nodes)
    controller = Controller(
        ledger, clock=clock, settings=settings, applier=_Applier(cluster, clock), watcher=watcher
    )
    controller.set_tenants(tenants)

    def leaf_of(namespace: str, user: str) -> TenantName:
        return controller.tree.leaf_of(TenantName(namespace), user)

    planner = Planner(
        ledger,
        policy=settings.packing.policy,
        tree=lambda: controller.caps,
        mix=lambda: controller.mixer.mix,
    )
    extender = ExtenderService(
        ledger,
        plan=planner,
        binder=_Binder(cluster, clock),
        clock=clock,
        settings=settings.extender,
        tenant_of=leaf_of,
    )
    feed = Feed(controller, ledger, planner, tenant_of=leaf_of)
    feed.replace(cluster.pods())
    cluster.watch(feed.see)
    return Equipoise(ledger, controller, extender)


@contextlib.asynccontextmanager
async def embedded(
    machines: Sequence[MockNode],
    tenants: Iterable[Tenant],
    *,
    settings: Settings,
    clock: Clock,
    watcher: Watcher,
    observe: Observe,
    runs_for: RunsFor,
    sockets: bool = True,
    journal: Journal | None = None,
) -> AsyncIterator[Embedded]:
    """Run a cluster with Equipoise on it while the block lasts; a namespace is its tenant's.

    Without `sockets` the extender is called by HTTP within the process, as virtual time needs it.
    The `journal` is told of every round.
    """
    cluster, began = EmbeddedCluster(clock), clock.now()
    nodes = nodes_at(machines, 0.0)
    ours = equip(cluster, nodes, tenants, settings=settings, clock=clock, watcher=watcher)
    if journal is not None:
        ours.controller.take_down(journal)
    kubelets = Kubelets(cluster, clock, runs_for=runs_for)
    app = create_app(ours.extender, observe=observe)
    async with (
        contextlib.aclosing(kubelets),
        _client(app, settings.extender, sockets=sockets) as client,
    ):
        scheduler = KubeScheduler(cluster, nodes=nodes, client=client, clock=clock)
        async with running(
            ours.controller.run(),
            scheduler.run(),
            _report_use(machines, ours.controller, clock, began),
        ):
            yield Embedded(cluster, ours.ledger, ours.controller, scheduler)


@contextlib.asynccontextmanager
async def _client(
    app: FastAPI, settings: Extender, *, sockets: bool
) -> AsyncIterator[httpx.AsyncClient]:
    if not sockets:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://extender") as client:
            yield client
        return
    async with (
        http.serving(app, settings.host, settings.port) as address,
        httpx.AsyncClient(base_url=address.url, timeout=5.0) as client,
    ):
        yield client


def nodes_at(machines: Iterable[MockNode], at: float) -> list[Node]:
    """Return the machines as their agents would report them `at` seconds into the script."""
    return [
        Node(
            name=machine.name,
            devices=to_devices(machine.driver.inventory(at), machine.driver.usage(at)),
            cpu_milli=machine.cpu_milli,
            ram_mib=machine.ram_mib,
        )
        for machine in machines
    ]


async def _report_use(
    machines: Sequence[MockNode], controller: Controller, clock: Clock, began: float
) -> None:
    """Report what changed of health, load and strangers' memory."""
    while True:
        controller.put_nodes(nodes_at(machines, clock.now() - began))
        await clock.sleep(USAGE_SECONDS)


class _Applier:
    """Carries plans out on the embedded cluster."""

    def __init__(self, cluster: EmbeddedCluster, clock: Clock) -> None:
        self._cluster, self._clock = cluster, clock

    async def release(self, admit: Admit) -> bool:
        """Take our gate off the pod and pin it, in the time that a write takes."""
        await self._clock.sleep(WRITE_SECONDS)
        try:
            self._cluster.release(admit.pod.uid, *admit.nodes)
        except apierrors.NotFound:
            return False
        return True

    async def hold(self, hold: Hold) -> None:
        """Nobody reads events here; the page and the report show the verdict."""

    async def warn(self, pod: Pod, verdict: Verdict) -> None:
        """Nobody reads events here; the page shows the device."""

    async def remind(self, pod: Pod, node: NodeName) -> None:
        """The stand-in for kube-scheduler looks at every pod again and again."""

    async def evict(self, pod: Pod, why: Verdict) -> bool:
        """Nothing here would make a pod again."""
        return False

    async def stop(self, pod: Pod, why: Verdict, *, past_budgets: bool) -> bool:
        """Delete the pod: there are no budgets here, and it takes no grace."""
        await self._clock.sleep(WRITE_SECONDS)
        with contextlib.suppress(apierrors.NotFound):
            self._cluster.delete(pod.uid)
        return True

    async def make_way(self, running: Pod, waiting: Pod) -> bool:
        """There are no Deployments here."""
        return False


class _Binder:
    """Writes Bindings to the embedded cluster."""

    def __init__(self, cluster: EmbeddedCluster, clock: Clock) -> None:
        self._cluster, self._clock = cluster, clock

    async def bind(self, pod: PodRef, node: NodeName, annotations: Mapping[str, str]) -> None:
        """Bind, in the time that a write takes."""
        await self._clock.sleep(WRITE_SECONDS)
        try:
            self._cluster.bind(
                pod.namespace, pod.name, uid=pod.uid, node=node, annotations=annotations
            )
        except apierrors.AlreadyBound:
            there = self._cluster.get(pod.namespace, pod.name)
            raise AlreadyAssigned(
                NodeName(there["spec"]["nodeName"]), there["metadata"]["annotations"]
            ) from None
        except apierrors.ApiError as problem:
            raise BindRefused(str(problem)) from None
