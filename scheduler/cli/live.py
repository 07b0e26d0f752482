"""Equipoise on a cluster: the mirror in, decisions and answers out, in one event loop."""

import contextlib
import gc
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler import http
from scheduler.cli.admission import admission
from scheduler.cli.assembly import Assembly, assemble
from scheduler.cli.elected import elected
from scheduler.cli.journaling import journaling
from scheduler.cli.running import running
from scheduler.clock import Clock, SystemClock
from scheduler.controller.ports import Watcher
from scheduler.controller.pricer import Pricer
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.requestreader import parse_gpu_containers
from scheduler.core.model.stored import Stored, mapping, texts
from scheduler.core.packing.policies import BID_PRICE
from scheduler.extender.app import create_app as extender_app
from scheduler.extender.limiting import LimitingBinder
from scheduler.extender.service import ExtenderService
from scheduler.http import Address
from scheduler.kube.apply import KubeApplier
from scheduler.kube.binder import KubeBinder
from scheduler.kube.client import Client
from scheduler.kube.leadership import Elections
from scheduler.kube.mirror import Mirror
from scheduler.kube.notices import Notices
from scheduler.kube.ownerbook import reading
from scheduler.kube.status import Sources, StatusWriter
from scheduler.settings import Settings
from scheduler.telemetry.looplag import watch_loop
from scheduler.telemetry.metrics import Metrics
from scheduler.web.app import create_app as web_app
from scheduler.web.history import History

HISTORY_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Live:
    """Everything that runs, for who drives it and who looks at it."""

    parts: Assembly
    mirror: Mirror
    page: Address
    extender: Address
    webhook: Address | None


@dataclass(frozen=True, slots=True)
class _World:
    """What the pieces of one process share."""

    settings: Settings
    client: Client
    metrics: Metrics
    clock: Clock
    elections: Elections
    parts: Assembly
    notices: Notices
    mirror: Mirror

    @property
    def acts(self) -> bool:
        """Whether this replica may answer kube-scheduler, and write.

        Not while a watch is broken: a bind whose answer was lost may be stored, and its place be
        given up meanwhile.
        """
        return self.elections.active and self.parts.controller.active and self.in_step

    @property
    def in_step(self) -> bool:
        """Whether all that there is was listed and taken in, and no watch is broken."""
        return self.mirror.ready and self.parts.intake.in_step


@contextlib.asynccontextmanager
async def live(
    settings: Settings, client: Client, metrics: Metrics, *, watcher: Watcher | None = None
) -> AsyncIterator[Live]:
    """Run Equipoise on the client's cluster while the block lasts; `watcher` counts too."""
    async with contextlib.AsyncExitStack() as stack:
        clock = SystemClock()
        elections, *following = await stack.enter_async_context(elected(settings, client))
        world = _world(settings, client, metrics, clock, elections, watcher or metrics)
        webhook = await stack.enter_async_context(
            admission(settings, client, metrics, clock, world.parts.grants)
        )
        extender = await stack.enter_async_context(_extender(world))
        page = await stack.enter_async_context(_page(world, webhook.ready))
        parts = world.parts
        await stack.enter_async_context(journaling(settings.journal, parts.controller))
        work = (
            world.mirror.run(),
            parts.nodes.run(),
            parts.owners.run(),
            parts.controller.run(),
            world.notices.run(),
            watch_loop(metrics.observe_lag),
            _lead(world),
            _statuses(world).run(),
            *_prices(world),
        )
        beside = (each() for each in (*webhook.work, *following))
        await stack.enter_async_context(running(*work, *beside))
        yield Live(parts, world.mirror, page, extender, webhook.address)


def _world(
    settings: Settings,
    client: Client,
    metrics: Metrics,
    clock: Clock,
    elections: Elections,
    watcher: Watcher,
) -> _World:
    ledger = Ledger()

    def pod_of(uid: PodUID) -> Stored | None:
        # The feed knows the pods, and is made from those who need to look them up.
        return parts.feed.pod(uid)

    notices = Notices(client, pod_of=pod_of, clock=clock, instance=socket.gethostname())
    applier = KubeApplier(
        client,
        pod_of=pod_of,
        nodes=ledger.nodes,
        notices=notices,
        fence=elections.fence,
        clock=clock,
        grace_seconds=settings.reclaim.grace_seconds,
    )
    parts = assemble(
        ledger,
        settings,
        clock=clock,
        applier=applier,
        watcher=watcher,
        read=reading(client),
        may_grant=lambda: world.acts,
    )
    mirror = Mirror(client, parts.sinks, page=settings.kube.page, settled=parts.settled)
    world = _World(settings, client, metrics, clock, elections, parts, notices, mirror)
    return world


def _extender(world: _World) -> contextlib.AbstractAsyncContextManager[Address]:
    settings, parts = world.settings.extender, world.parts
    service = ExtenderService(
        parts.ledger,
        plan=parts.planner,
        binder=_binder(world),
        clock=world.clock,
        settings=settings,
        tenant_of=parts.leaf_of,
        claim=parts.grants.claim,
        gang_of=parts.owners.gang_of,
    )
    app = extender_app(
        service,
        observe=world.metrics.observe_request,
        ready=lambda: world.in_step,
        acts=lambda: world.acts,
    )
    return http.serving(
        app, settings.host, settings.port, keep_alive_seconds=settings.keep_alive_seconds
    )


def _binder(world: _World) -> LimitingBinder:
    """Writes Bindings, with what the node needs to keep the pod to its share."""
    feed, gpunodes = world.parts.feed, world.parts.nodes.gpunodes

    def serves_of(node: NodeName) -> Sequence[str]:
        stored = gpunodes.kept.get(node)
        return () if stored is None else texts(mapping(stored, "status"), "serves")

    def containers_of(uid: PodUID) -> Sequence[str]:
        stored = feed.pod(uid)
        return () if stored is None else parse_gpu_containers(stored)

    def whole_of(uid: PodUID) -> bool:
        holding = world.parts.ledger.holdings.get(uid)
        return holding is not None and holding.pod.request.whole

    binder = KubeBinder(world.client, world.elections.fence)
    return LimitingBinder(
        binder, serves_of=serves_of, whole_of=whole_of, containers_of=containers_of
    )


@contextlib.asynccontextmanager
async def _page(world: _World, also_ready: Callable[[], bool]) -> AsyncIterator[Address]:
    settings, standing = world.settings.web, world.parts.controller.standing_beside
    history = History(step=HISTORY_SECONDS)

    async def record() -> None:
        while True:
            await world.clock.sleep(HISTORY_SECONDS)
            history.record(await standing())

    app = web_app(
        standing=standing,
        history=history,
        metrics=world.metrics.exposition,
        ready=lambda: world.in_step and also_ready(),
        facts=(world.client.server,),
    )
    async with http.serving(app, settings.host, settings.port) as address, running(record()):
        yield address


async def _lead(world: _World) -> None:
    """Act when it's our turn: on a list of pods that was made after all others ended."""
    controller = world.parts.controller

    async def take_over() -> None:
        await world.mirror.list_pods_anew()
        await world.parts.settled()
        world.parts.restore_lags(world.clock.now())
        # What was listed stays: a look of the collector at all of it would hold the event loop.
        # What is garbage by now stays as well, which is little, and this is rare.
        gc.freeze()
        controller.set_active(True)
        world.metrics.set_acts(acts=True)
        log.info("all pods, nodes and tenants are read; deciding from now on")

    def step_down() -> None:
        controller.set_active(False)
        world.notices.forget()
        world.metrics.set_acts(acts=False)

    await world.mirror.listed()
    await world.elections.run(take_over, step_down)


def _prices(world: _World) -> Iterator[Coroutine[Any, Any, None]]:
    """What works prices out, where packing goes by them."""
    if world.settings.packing.policy == BID_PRICE:
        parts = world.parts
        yield Pricer(parts.controller.mixer, parts.ledger, clock=world.clock).run()


def _statuses(world: _World) -> StatusWriter:
    """What keeps the status of Tenants and GPUNodes up to date, at a gentle pace."""
    parts, controller = world.parts, world.parts.controller
    sources = Sources(
        tenants=parts.tenants,
        nodes=parts.nodes,
        ledger=parts.ledger,
        standing=controller.standing_beside,
        version=lambda: controller.version,
        active=lambda: world.acts,
    )
    seconds = world.settings.kube.status_seconds
    return StatusWriter(
        world.client,
        sources,
        clock=world.clock,
        seconds=seconds,
        instance=socket.gethostname(),
    )
