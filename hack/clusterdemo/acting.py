"""Equipoise live in this process, so that its latencies and waits are the server's own."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hack.clusterdemo.crowd import Crowd
from hack.clusterdemo.ground import Ground
from scheduler.cli.demoplay import FAIRNESS, RECLAIM, Options, Recording, Tally, play
from scheduler.cli.demoscreen import Screen
from scheduler.cli.live import live
from scheduler.cli.running import running
from scheduler.clock import SystemClock
from scheduler.controller.controller import Controller
from scheduler.kube.client import JSON, Client
from scheduler.settings import Extender, Settings, Web, Webhook
from scheduler.simulator.cluster import Pod
from scheduler.simulator.demoload import LARGE
from scheduler.simulator.demoreport import Recorder, Report
from tests.support.controlplane.api import Api
from tests.support.controlplane.installed import is_asked


@dataclass(frozen=True, slots=True)
class _World:
    """The control plane, as the story needs it."""

    controller: Controller
    crowd: Crowd
    recorder: Recorder

    def create(self, pod: Pod) -> None:
        self.crowd.create(pod)

    def tally(self) -> Tally:
        bound = sum(len(waits) for waits in self.recorder.waits.values())
        return Tally(created=self.crowd.created, bound=bound, errors=self.crowd.refused)


async def act(
    options: Options, screen: Screen, place: Ground, *, account: Path, owners: Mapping[str, JSON]
) -> Report:
    """Run Equipoise with the rights of `account` while the people come, and return the report."""
    recording = Recording()
    async with (
        await Client.connect(kubeconfig=str(account)) as client,
        await Client.connect(kubeconfig=str(place.plane.kubeconfig())) as admin,
        live(_settings(options, place), client, recording) as ours,
    ):
        world = _World(ours.parts.controller, Crowd(admin, owners), recording.recorder)
        await _ready(world.controller, place.plane.api)
        if options.port is not None:
            screen.page(ours.page.url)
        async with running(world.crowd.run()):
            return await play(
                options, world, SystemClock(), recorder=recording.recorder, show=screen.show
            )


def _settings(options: Options, place: Ground) -> Settings:
    """As shipped, with the story's times, on ports of this run.

    Without a page it is there, but nobody is told where.
    """
    ports = place.ports
    return Settings(
        fairness=FAIRNESS,
        reclaim=RECLAIM,
        extender=Extender(port=ports.extender),
        web=Web(host=options.host, port=ports.web if options.port is None else options.port),
        webhook=Webhook(host="127.0.0.1", port=ports.webhook, names=("127.0.0.1",)),
    )


async def _ready(controller: Controller, admin: Api) -> None:
    """Wait until it decides, and the API server asks its webhook and believes it."""
    while not (controller.active and await asyncio.to_thread(is_asked, admin, LARGE)):
        await asyncio.sleep(0.1)
