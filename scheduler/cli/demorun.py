"""One run of the demo: an embedded cluster, the workload, the page, and the report at the end."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from scheduler import http
from scheduler.cli.demoplay import (
    FAIRNESS,
    RECLAIM,
    SAMPLE_SECONDS,
    Options,
    Recording,
    Show,
    Tally,
    play,
)
from scheduler.cli.embedded import Embedded, embedded
from scheduler.clock import Clock
from scheduler.controller.controller import Controller
from scheduler.controller.ports import Journal
from scheduler.core.model.standing import Standing
from scheduler.device.mock import DEMO, load_nodes
from scheduler.settings import Extender, Settings
from scheduler.simulator.cluster import Pod
from scheduler.simulator.demoload import SECONDS, tenants
from scheduler.simulator.demoreport import Report
from scheduler.telemetry.metrics import Metrics
from scheduler.web.app import create_app
from scheduler.web.history import History


async def run(
    options: Options,
    clock: Clock,
    *,
    show: Show,
    listening: Callable[[str], None],
    journal: Journal | None = None,
) -> Report:
    """Run the demo and return its report. `listening` is told the page's address."""
    recording, history = Recording(), History(step=SAMPLE_SECONDS)
    # There is no other replica here.
    recording.set_acts(acts=True)

    def look(standing: Standing, passed: float) -> None:
        history.record(standing)
        show(standing, passed)

    async with embedded(
        load_nodes(DEMO),
        tenants(),
        settings=Settings(extender=Extender(port=0), fairness=FAIRNESS, reclaim=RECLAIM),
        clock=clock,
        watcher=recording,
        observe=recording.observe_request,
        runs_for=_seconds_of,
        sockets=options.sockets,
        journal=journal,
    ) as cluster:
        world = _World(cluster)
        async with _page(options, world, history, recording, listening):
            return await play(options, world, clock, recorder=recording.recorder, show=look)


@dataclass(slots=True)
class _World:
    """The embedded cluster, as the story needs it."""

    cluster: Embedded
    created: int = field(default=0, init=False)

    @property
    def controller(self) -> Controller:
        return self.cluster.controller

    def create(self, pod: Pod) -> None:
        self.cluster.cluster.create(pod)
        self.created += 1

    def tally(self) -> Tally:
        called = self.cluster.scheduler.tally
        return Tally(created=self.created, bound=called.bound, errors=called.errors)


@contextlib.asynccontextmanager
async def _page(
    options: Options,
    world: _World,
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
