"""A small cluster on which Equipoise crashes and comes back, in virtual time."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

import httpx
from fastapi import FastAPI

from scheduler.cli.embedded import Equipoise, equip
from scheduler.controller.planner import Planner
from scheduler.core.cycle.standing import oversold_milli
from scheduler.core.model import assignment, names
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.placements import Placement
from scheduler.core.model.podreader import gates_of, pinned_to, read_pod
from scheduler.core.model.podstate import FINISHED
from scheduler.extender.app import create_app
from scheduler.settings import Settings
from scheduler.simulator import virtualtime
from scheduler.simulator.cluster import EmbeddedCluster, Pod
from scheduler.simulator.demoload import SECONDS, arrivals, tenants
from scheduler.simulator.kubelets import Kubelets
from scheduler.simulator.kubescheduler import KubeScheduler
from tests.controller.hands import Eyes
from tests.support.builders import node

NODES = (node("n1", 2, model="A100-SXM4-80GB"), node("n2", 2))
POINTS = ("released", "asked", "filtered", "binding", "bound", "answered")
"""Where a crash may strike: after the gate is off; before and after filter is answered; before the
Binding is written; when it is stored but not answered; after all of it."""


@dataclass
class Line(httpx.AsyncBaseTransport):
    """The way to the extender: refused while nobody is there, reset by a crash."""

    fate: "Fate"
    app: FastAPI | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        verb, app = request.url.path.removeprefix("/"), self.app
        self.fate.at("asked" if verb == "filter" else "binding")
        if app is None:
            raise httpx.ConnectError("refused")
        try:
            response = await httpx.ASGITransport(app).handle_async_request(request)
        except asyncio.CancelledError:
            if self.app is app:
                raise
            raise httpx.ReadError("reset") from None
        self.fate.at("filtered" if verb == "filter" else "answered")
        if self.app is not app:
            raise httpx.ReadError("reset")
        return response


@dataclass
class Fate:
    """Crashes at the n-th time that something happens, one after the other."""

    plan: list[tuple[str, int]]
    strikes: asyncio.Event = field(default_factory=asyncio.Event)
    seen: Counter[str] = field(default_factory=Counter)
    line: Line | None = None

    def at(self, point: str) -> None:
        self.seen[point] += 1
        if self.plan and self.plan[0][0] == point and self.seen[point] >= self.plan[0][1]:
            self.plan.pop(0)
            self.seen.clear()
            self.strikes.set()
            if self.line is not None:
                self.line.app = None


@dataclass
class World:
    """The cluster, what runs on it, and what was wrong at any moment."""

    cluster: EmbeddedCluster
    line: Line
    ours: Equipoise | None = None
    wrong: list[str] = field(default_factory=list)
    restarts: int = 0

    def see(self, event: str, pod: Pod) -> None:
        """Look at every write: what is stored, and what the ledger makes of it."""
        if event == "MODIFIED" and not pod["spec"].get("nodeName"):
            self.line.fate.at("released")
        if pod["spec"].get("nodeName") and pod["status"]["phase"] == "Pending":
            self.line.fate.at("bound")
        sold: Counter[str] = Counter()
        for placement in self.placements().values():
            for slot in placement.slots:
                sold[slot.uuid] += slot.milli
        self.wrong += [f"{uuid} is sold twice" for uuid, milli in sold.items() if milli > MILLI]
        if self.ours is not None and oversold_milli(self.ours.ledger.columns):
            self.wrong.append("the ledger is oversold")

    def placements(self) -> dict[PodUID, Placement]:
        """Fold what bound pods say, without asking Equipoise."""
        found = {}
        for pod in self.cluster.pods():
            if pod["spec"].get("nodeName") and pod["status"]["phase"] not in FINISHED:
                placement = assignment.decode(pod["metadata"]["annotations"])
                assert placement is not None, "it was bound without us"
                found[PodUID(pod["metadata"]["uid"])] = placement
        return found

    def released(self) -> Iterable[Pod]:
        """Pods without our gate that have no node yet."""
        for pod in self.cluster.pods():
            if not pod["spec"].get("nodeName") and names.GATE not in gates_of(pod):
                yield pod

    def start(self) -> asyncio.Task[None]:
        """Put Equipoise on the cluster as it is, and look at what it makes of it."""
        eyes, clock = Eyes(), virtualtime.LoopClock()
        ours = equip(self.cluster, NODES, tenants(), settings=Settings(), clock=clock, watcher=eyes)
        self.check(ours)
        self.ours, self.line.app = ours, create_app(ours.extender)
        self.restarts += 1
        return asyncio.create_task(ours.controller.run())

    def check(self, ours: Equipoise) -> None:
        holdings = ours.ledger.holdings
        bound = {uid: each.placement for uid, each in holdings.items() if each.bound}
        if bound != self.placements():
            self.wrong.append("the ledger is not the fold over bound pods")
        on_their_way = {pod["metadata"]["uid"]: pod for pod in self.released()}
        if holdings.keys() - bound.keys() - on_their_way.keys():
            self.wrong.append("somebody holds a place who was never released")
        for uid in on_their_way.keys() - holdings.keys():
            if _finds_room(ours, on_their_way[uid]):
                self.wrong.append("a released pod was not reserved again")
        if any(holdings[PodUID(u)].expires for u in on_their_way.keys() & holdings.keys()):
            self.wrong.append("a released pod's place has a time limit")

    async def crash(self, running: asyncio.Task[None]) -> None:
        """End at once: what it was about to write is never written."""
        self.ours, self.line.app = None, None
        flights = {t for t in asyncio.all_tasks() if t.get_name().startswith("bind ")}
        for task in (running, *flights):
            task.cancel()
        await asyncio.wait({running, *flights})


def _finds_room(ours: Equipoise, pod: Pod) -> bool:
    planner = Planner(
        ours.ledger,
        policy=Settings().packing.policy,
        tree=lambda: ours.controller.caps,
        mix=lambda: ours.controller.mixer.mix,
    )
    return isinstance(
        planner(read_pod(pod, lambda name, _user: TenantName(name)), pinned_to(pod)), Placement
    )


@contextlib.asynccontextmanager
async def _world(fate: Fate) -> AsyncIterator[World]:
    clock = virtualtime.LoopClock()
    cluster, line = EmbeddedCluster(clock), Line(fate)
    fate.line = line
    kubelets = Kubelets(
        cluster, clock, runs_for=lambda pod: float(pod["metadata"]["annotations"][SECONDS])
    )
    async with httpx.AsyncClient(transport=line, base_url="http://extender") as client:
        scheduler = KubeScheduler(cluster, nodes=NODES, client=client, clock=clock)
        running = asyncio.create_task(scheduler.run())
        try:
            yield World(cluster, line)
        finally:
            running.cancel()
            await asyncio.wait({running})
            await kubelets.aclose()
            assert running.cancelled(), "the scheduler ended before it was told to"


async def _load(cluster: EmbeddedCluster, seed: int, deletions: list[tuple[float, int]]) -> None:
    """A part of the demo's load; now and then somebody deletes a pod, whatever it is about."""
    began = asyncio.get_running_loop().time()
    events: list[tuple[float, Pod | int]] = [
        (each.at, each.pod) for each in arrivals(4.0, seed=seed)[::5]
    ]
    events += deletions
    for at, what in sorted(events, key=lambda event: event[0]):
        await asyncio.sleep(max(0.0, began + at - asyncio.get_running_loop().time()))
        if isinstance(what, int):
            there = list(cluster.pods())
            if there:
                cluster.delete(PodUID(there[what % len(there)]["metadata"]["uid"]))
        else:
            cluster.create(what)


def live(
    crashes: list[tuple[str, int]],
    *,
    seed: int,
    down_seconds: float = 0.5,
    deletions: list[tuple[float, int]] | None = None,
) -> World:
    """Play the load through all crashes, until every pod has run or nothing moves any more."""

    async def main() -> World:
        fate = Fate(list(crashes))
        async with _world(fate) as world:
            world.cluster.watch(world.see)
            running = world.start()
            # Told after ours of each write, so that the ledger has it.
            load = asyncio.create_task(_load(world.cluster, seed, deletions or []))
            deadline = asyncio.get_running_loop().time() + 600.0
            while not load.done() or _unfinished(world.cluster):
                if asyncio.get_running_loop().time() > deadline:
                    world.wrong.append(f"pods never ended: {_unfinished(world.cluster)}")
                    break
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await fate.strikes.wait()
                if fate.strikes.is_set():
                    await world.crash(running)
                    await asyncio.sleep(down_seconds)
                    fate.strikes.clear()
                    running = world.start()
            await load
            await world.crash(running)
            return world

    return virtualtime.run(main())


def _unfinished(cluster: EmbeddedCluster) -> list[str]:
    return [
        pod["metadata"]["name"] for pod in cluster.pods() if pod["status"]["phase"] not in FINISHED
    ]
