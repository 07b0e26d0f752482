"""One run of the demo: an embedded cluster, the workload, the page, and the report at the end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from scheduler import http
from scheduler.cli.embedded import Embedded, embedded
from scheduler.clock import Clock
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.errors import EquipoiseError
from scheduler.core.model.ids import TenantName
from scheduler.core.model.standing import Standing
from scheduler.device.mock import DEMO, load_nodes
from scheduler.settings import Extender, Settings
from scheduler.simulator.cluster import Pod
from scheduler.simulator.demoload import SECONDS, arrivals, tenants
from scheduler.simulator.demoreport import (
    Recorder,
    Report,
    TenantLine,
    jain_of_service,
    mean,
    middle,
)
from scheduler.telemetry.metrics import Metrics
from scheduler.web.app import create_app
from scheduler.web.history import History

SAMPLE_SECONDS = 0.5

Show = Callable[[Standing, float], None]
"""Called twice a second with how everybody stands, and the seconds since the start."""


@dataclass(frozen=True, slots=True)
class Options:
    """`port` None: no page; 0: any free port. `sockets` False: for virtual time."""

    seconds: float
    seed: int
    host: str
    port: int | None
    sockets: bool = True


async def run(
    options: Options, clock: Clock, *, show: Show, listening: Callable[[str], None]
) -> Report:
    """Run the demo and return its report. `listening` is told the page's address."""
    watcher = _Watcher()
    async with embedded(
        load_nodes(DEMO),
        tenants(),
        settings=Settings(extender=Extender(port=0)),
        clock=clock,
        watcher=watcher,
        observe=watcher.observe_request,
        runs_for=_seconds_of,
        sockets=options.sockets,
    ) as world:
        history = History(step=SAMPLE_SECONDS)
        async with _page(options, world, history, watcher.metrics, listening):
            created = await _play(options, world, clock, history, watcher.recorder, show)
        return _report(world, watcher.recorder, options, created)


class _Watcher:
    """Feeds the metrics and the report's recorder."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.recorder = Recorder()

    def observe_wait(self, tenant: TenantName, seconds: float, *, turn: float) -> None:
        """A pod was bound."""
        self.metrics.observe_wait(tenant, seconds, turn=turn)
        self.recorder.wait(tenant, turn)

    def count_decision(self, outcome: str, reason: str = "", *, by: int = 1) -> None:
        """Decisions were taken."""
        self.metrics.count_decision(outcome, reason, by=by)

    def observe_cycle(self, phase: str, seconds: float) -> None:
        """A phase took a while."""
        self.metrics.observe_cycle(phase, seconds)

    def observe_request(self, verb: str, seconds: float) -> None:
        """A call was answered."""
        self.metrics.observe_request(verb, seconds)
        self.recorder.request(verb, seconds)


async def _play(
    options: Options,
    world: Embedded,
    clock: Clock,
    history: History,
    recorder: Recorder,
    show: Show,
) -> int:
    """Create pods as they arrive and look twice a second; return how many were created."""
    began, waiting = clock.now(), arrivals(options.seconds, seed=options.seed)
    created = 0
    while (passed := clock.now() - began) < options.seconds:
        while created < len(waiting) and waiting[created].at <= passed:
            world.cluster.create(waiting[created].pod)
            created += 1
        standing = world.controller.standing()
        history.record(standing)
        recorder.sample(
            allocated=_allocated(standing),
            fragmented=standing.fragmented_milli / MILLI,
            oversold=standing.oversold_milli / MILLI,
        )
        show(standing, passed)
        await clock.sleep(min(SAMPLE_SECONDS, options.seconds - passed))
    return created


def _allocated(standing: Standing) -> float:
    return sum(float(each.allocated) for each in standing.tenants if each.parent is None)


@contextlib.asynccontextmanager
async def _page(
    options: Options,
    world: Embedded,
    history: History,
    metrics: Metrics,
    listening: Callable[[str], None],
) -> AsyncIterator[None]:
    if options.port is None:
        yield
        return
    app = create_app(
        standing=world.controller.standing,
        history=history,
        metrics=metrics.exposition,
        ready=lambda: True,
        title="Equipoise demo",
        facts=("embedded cluster, mocked GPUs", "1 large tenant, 6 small ones"),
    )
    async with http.serving(app, options.host, options.port, grace_seconds=1) as address:
        listening(address.url)
        yield


def _seconds_of(pod: Pod) -> float:
    return float(pod["metadata"]["annotations"][SECONDS])


def _report(world: Embedded, recorder: Recorder, options: Options, created: int) -> Report:
    standing, service = world.controller.standing(), world.controller.service()
    lines = []
    for tenant in filter(lambda each: each.leaf, standing.tenants):
        waits, served = recorder.waits.get(tenant.name, []), service.get(tenant.name)
        lines.append(
            TenantLine(
                tenant=tenant.name,
                weight=float(tenant.weight),
                due=served.due if served else 0.0,
                got=served.got if served else 0.0,
                started=len(waits),
                waiting=tenant.pending_pods,
                wait_median=middle(waits),
                wait_worst=max(waits, default=None),
            )
        )
    return Report(
        seconds=options.seconds,
        gpus=sum(device.milli for device in standing.devices) / MILLI,
        tenants=tuple(lines),
        jain=jain_of_service(lines),
        allocated_mean=mean(recorder.allocated),
        fragmented_gpus=mean(recorder.fragmented),
        oversold_gpus=max(recorder.oversold, standing.oversold_milli / MILLI),
        created=created,
        bound=world.scheduler.tally.bound,
        errors=world.scheduler.tally.errors,
        latencies={verb: recorder.latency(verb) for verb in ("filter", "bind")},
    )


async def with_limit(work: Awaitable[Report], seconds: float) -> Report:
    """End a run that hangs: the demo ends by itself, whatever happens."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise EquipoiseError(
            f"the demo did not end within {seconds:g} s; try a shorter one with --no-web"
        ) from None
