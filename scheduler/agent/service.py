"""The agent of one node: looks at its devices every few seconds and tells what it sees."""

import logging
import random
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from scheduler.agent import overuse
from scheduler.agent.alerts import Alerts
from scheduler.agent.inventory import Inventory
from scheduler.agent.overuse import Book, Held
from scheduler.agent.picture import HEALTHY, Health, Picture, judged, published
from scheduler.agent.pods import Guests
from scheduler.agent.pretending import with_guests
from scheduler.agent.publisher import Publisher
from scheduler.agent.reading import SILENT, Look, Reading
from scheduler.agent.use import Averages, Use, uses
from scheduler.clock import Clock
from scheduler.core.model.errors import DeviceError
from scheduler.core.model.ids import NodeName
from scheduler.core.model.stored import Stored, mapping
from scheduler.device.driver import DeviceRecord
from scheduler.kube.api import Api
from scheduler.kube.conditions import find
from scheduler.kube.times import seconds
from scheduler.settings import Agent as Settings
from scheduler.telemetry.agentmetrics import AgentMetrics, Gpu, Measured, PodMemory

log = logging.getLogger(__name__)


class Agent:
    """Publishes the GPUNode of `node`, tells of overuse, and measures for Prometheus.

    `guests` must be kept in step with the pods of the node by a watch; until their first list
    nothing is said of use, for nobody knows whose memory is whose. `booted_at` is when the machine
    started (seconds since the epoch, None where nobody knows): devices that vanished since then
    stay listed as lost, also after a restart of the agent.
    """

    def __init__(
        self,
        api: Api,
        node: NodeName,
        *,
        look: Look,
        booted_at: float | None,
        settings: Settings,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self.guests = Guests(node)
        self._node, self._look, self._booted_at = node, look, booted_at
        self._settings, self._clock = settings, clock
        self._metrics = AgentMetrics()
        self._alerts = Alerts(api, node, clock=clock, count=self._metrics.count_overuse)
        self._publisher = Publisher(
            api,
            node,
            settings=settings,
            clock=clock,
            rng=rng,
            adopt=self._adopt,
            count=self._metrics.count_write,
        )
        self._inventory = Inventory()
        self._averages = Averages(round(settings.use_seconds / settings.read_seconds))
        self._book: Book = {}
        self._held: tuple[Held, ...] = ()
        self._use: tuple[Use, ...] = ()
        self._smooth: tuple[Use, ...] = ()
        self._used_at: float | None = None
        self._reading: Reading | None = None
        self._answered, self._problem = clock.now(), ""
        self._health: Health | None = None
        self._devices: tuple[DeviceRecord, ...] = ()

    def work(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """Return what is to run side by side, for ever."""
        return (self._publisher.run(), self._alerts.run(), self._watch())

    def silence(self) -> str:
        """Return why the driver has not answered for long; "" while it does."""
        quiet = self._clock.now() - self._answered
        return (self._problem or SILENT) if quiet >= self._settings.silent_seconds else ""

    def exposition(self) -> bytes:
        """Return the metrics as text."""
        use = {} if self._problem else {each.uuid: each for each in self._use}
        gpus = tuple(_gpu(device, use.get(device.uuid)) for device in self._devices)
        pods = tuple(
            PodMemory(
                each.pod.namespace, each.pod.name, each.uuid, each.promised_mib, each.used_mib
            )
            for each in self._held
        )
        read_at = self._reading.at if self._reading else 0.0
        return self._metrics.exposition(Measured(self._node, gpus, pods, read_at))

    async def turn(self) -> None:
        """Look once, and tell what there is to tell."""
        try:
            reading = await self._look()
        except DeviceError as problem:
            self._unanswered(str(problem))
        else:
            self._take(reading)

    async def _watch(self) -> None:
        while True:
            await self.turn()
            await self._clock.sleep(self._settings.read_seconds)

    def _unanswered(self, problem: str) -> None:
        if not self._problem:
            log.warning("no reading: %s", problem)
        self._problem = problem
        if self.silence():
            self._offer()

    def _take(self, reading: Reading) -> None:
        if self._problem:
            log.info("the driver answers again")
        self._reading, self._answered, self._problem = reading, reading.at, ""
        if self.guests.listed:
            guests = self.guests.by_uid
            reading = with_guests(reading, guests.values())
            self._use = uses(reading.usage, owners=reading.owners, guests=guests)
            self._smooth, self._used_at = self._averages.smooth(self._use), reading.at
            self._held = overuse.holdings(guests.values(), reading)
            self._book, notices = overuse.step(
                self._book, self._held, now=reading.at, settings=self._settings
            )
            for notice in notices:
                self._alerts.put(notice)
        self._offer()

    def _offer(self) -> None:
        """Draw the picture anew, and let it be published when it is due."""
        problem, reading = self.silence(), self._reading
        if problem:
            self._devices = self._inventory.unanswered(problem)
            health = judged(self._devices, problem=problem)
        elif reading is not None:
            self._devices = self._inventory.update(reading.records, held=self.guests.held())
            nameless = [record for record in reading.records if not record.uuid]
            health = judged(self._devices, nameless=nameless)
        else:
            return
        self._health = self._lasting(health)
        self._publisher.offer(
            Picture(
                driver=reading.about if reading else "",
                serves=self._settings.serves,
                devices=self._devices,
                health=self._health,
                use=self._smooth,
                used_at=self._used_at,
            )
        )

    def _lasting(self, health: Health) -> Health:
        """Return the condition with the time since when it holds."""
        before = self._health
        if before is None or (before.reason, before.message) != (health.reason, health.message):
            log.info("%s: %s", health.reason, health.message)
        same = before is not None and before.well == health.well
        return replace(health, since=before.since if before and same else self._clock.now())

    def _adopt(self, gpunode: Stored) -> None:
        """Go on from what is published: an earlier run of the agent knew more."""
        seen, booted = seconds(mapping(gpunode, "status").get("usedAt")), self._booted_at
        same_boot = seen is not None and booted is not None and seen >= booted
        self._inventory.adopt(published(gpunode), same_boot=same_boot)
        condition = find(gpunode, HEALTHY) or {}
        since = seconds(condition.get("lastTransitionTime"))
        if since is not None:
            before = self._health or Health(well=False, reason="", message="")
            well = condition.get("status") == "True"
            self._health = replace(before, well=well, since=since)
        self._offer()


def _gpu(device: DeviceRecord, use: Use | None) -> Gpu:
    return Gpu(
        index=device.index,
        uuid=device.uuid,
        model=device.model,
        healthy=device.healthy,
        memory_mib=device.memory_mib,
        used_mib=use.used_mib if use else None,
        foreign_mib=use.foreign_mib if use else None,
        load_permille=use.load_permille if use else None,
    )
