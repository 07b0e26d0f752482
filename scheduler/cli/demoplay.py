"""The demo's story, on whatever cluster: pods come as the workload says; the report is drawn up.

`make demo` plays it on the embedded cluster, `make cluster-demo` on a real control plane.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from scheduler.clock import Clock
from scheduler.controller.controller import Controller
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.errors import EquipoiseError
from scheduler.core.model.ids import TenantName
from scheduler.core.model.pods import Pod
from scheduler.core.model.standing import Standing
from scheduler.core.model.tenants import tenant_part
from scheduler.settings import Fairness, Reclaim
from scheduler.simulator.cluster import Pod as PodBody
from scheduler.simulator.demoload import again, arrivals, tenants
from scheduler.simulator.demoreport import (
    Recorder,
    Report,
    TenantLine,
    jain_of_service,
    mean,
    middle,
)
from scheduler.telemetry.metrics import Metrics

SAMPLE_SECONDS = 0.5

FAIRNESS = Fairness(reserve_seconds=6.0)
RECLAIM = Reclaim(patience_seconds=1.5, min_runtime_seconds=2.0)
"""Minutes as seconds, as the demo's jobs are."""

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


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the pods: how many are there, how many were bound, what went wrong."""

    created: int
    bound: int
    errors: int


class World(Protocol):
    """A cluster with Equipoise on it, as the demo drives it and looks at it."""

    @property
    def controller(self) -> Controller:
        """Who decides there."""
        ...

    def create(self, pod: PodBody) -> None:
        """Have somebody create a pod; it needn't be there yet when this returns."""
        ...

    def tally(self) -> Tally:
        """Return what became of the pods until now."""
        ...


class Recording(Metrics):
    """Metrics that keep for the report what a histogram forgets."""

    def __init__(self) -> None:
        super().__init__()
        self.recorder = Recorder()

    def observe_wait(self, tenant: TenantName, seconds: float, *, turn: float) -> None:
        """A pod was bound."""
        super().observe_wait(tenant, seconds, turn=turn)
        self.recorder.wait(tenant, turn)

    def observe_loss(self, pod: Pod, gpu_seconds: float) -> None:
        """A pod was stopped for another one."""
        super().observe_loss(pod, gpu_seconds)
        self.recorder.loss(tenant_part(pod.tenant), pod.key, gpu_seconds)

    def observe_request(self, verb: str, seconds: float) -> None:
        """A call was answered."""
        super().observe_request(verb, seconds)
        self.recorder.request(verb, seconds)


async def play(
    options: Options, world: World, clock: Clock, *, recorder: Recorder, show: Show
) -> Report:
    """Have pods created as they arrive, look twice a second, and return the report."""
    began, waiting = clock.now(), iter(arrivals(options.seconds, seed=options.seed))
    owners = _Owners(world, recorder)
    upcoming = next(waiting, None)
    while (passed := clock.now() - began) < options.seconds:
        while upcoming is not None and upcoming.at <= passed:
            owners.create(upcoming.pod)
            upcoming = next(waiting, None)
        owners.make_again()
        standing = world.controller.standing()
        _sample(recorder, standing)
        show(standing, passed)
        await clock.sleep(min(SAMPLE_SECONDS, options.seconds - passed))
    return _report(options, world, recorder)


class _Owners:
    """What makes pods, and makes one again that was stopped."""

    def __init__(self, world: World, recorder: Recorder) -> None:
        self._world, self._recorder = world, recorder
        self._made: dict[str, PodBody] = {}
        self._again = 0

    def create(self, pod: PodBody) -> None:
        """Make one."""
        metadata = pod["metadata"]
        self._made[f"{metadata['namespace']}/{metadata['name']}"] = pod
        self._world.create(pod)

    def make_again(self) -> None:
        """Make one in the place of each that was stopped since the last time."""
        for loss in self._recorder.losses[self._again :]:
            self._again += 1
            self.create(again(self._made[loss.pod], self._again))


def _sample(recorder: Recorder, standing: Standing) -> None:
    held = (each.allocated for each in standing.tenants if each.parent is None)
    recorder.sample(
        allocated=sum(float(each) for each in held),
        fragmented=standing.fragments.milli / MILLI,
        oversold=standing.oversold_milli / MILLI,
    )


def _report(options: Options, world: World, recorder: Recorder) -> Report:
    standing, tally = world.controller.standing(), world.tally()
    lines = tuple(_lines(world.controller, standing, recorder))
    return Report(
        seconds=options.seconds,
        gpus=sum(device.milli for device in standing.devices) / MILLI,
        tenants=lines,
        jain=jain_of_service(lines),
        allocated_mean=mean(recorder.allocated),
        fragmented_gpus=mean(recorder.fragmented),
        oversold_gpus=max(recorder.oversold, standing.oversold_milli / MILLI),
        created=tally.created,
        bound=tally.bound,
        stopped=len(recorder.losses),
        errors=tally.errors,
        latencies={verb: recorder.latency(verb) for verb in ("filter", "bind")},
    )


def _lines(controller: Controller, standing: Standing, recorder: Recorder) -> Iterator[TenantLine]:
    """One for each tenant of the story; a cluster may have others, such as `default`."""
    service, ours = controller.service(), {tenant.name for tenant in tenants()}
    for tenant in standing.tenants:
        if tenant.name not in ours:
            continue
        waits, served = recorder.waits.get(tenant.name, []), service.get(tenant.name)
        yield TenantLine(
            tenant=tenant.name,
            weight=float(tenant.weight),
            due=served.due if served else 0.0,
            got=served.got if served else 0.0,
            started=len(waits),
            waiting=tenant.pending_pods,
            wait_median=middle(waits),
            wait_worst=max(waits, default=None),
            lost=sum(each.gpu_seconds for each in recorder.losses if each.tenant == tenant.name),
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
