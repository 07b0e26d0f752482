"""Pods a second that get a node: Equipoise against the same kube-scheduler without an extender.

Pods wait before the clock starts. It runs from the first pod with a node to the last one, seen on a
watch, so that it takes neither the creation of pods nor the start of processes.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from benchmarks.cluster.meter import Bound
from benchmarks.cluster.pods import GATE, TENANTS
from benchmarks.cluster.world import LIMIT_SECONDS, World, acting
from scheduler.kube.client import Client, Patch
from scheduler.kube.resources import PODS
from tests.support.controlplane.schedulers import Scheduler, launch, render

IN_FLIGHT = 32
"""Requests under way at once where gates are lifted; as `serve` does by default."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One run. `cpu_ms` is CPU milliseconds a pod, by process."""

    way: str
    nodes: int
    per_second: float
    cpu_ms: Mapping[str, float]


def stock_queued(world: World, pods: int) -> Bound:
    """Stock: pods wait in kube-scheduler's own queue from its start."""
    world.crowd.create(pods, share=False)
    with world.counting(pods) as bound, _stock(world, "queued") as scheduler:
        bound.processes["kube-scheduler"] = scheduler.process
        bound.wait(LIMIT_SECONDS)
    return bound


def stock_gated(world: World, pods: int) -> Bound:
    """Stock: pods wait behind a gate, and a client lifts it; 32 requests at once."""
    world.crowd.create(pods, share=False, gate=GATE)
    with world.counting(pods) as bound, _stock(world, "gated") as scheduler:
        bound.processes["kube-scheduler"] = scheduler.process
        scheduler.wait()
        asyncio.run(_lift(world, pods))
        bound.wait(LIMIT_SECONDS)
    return bound


def pinned(world: World, pods: int) -> Bound:
    """Equipoise: pods with a controller, which are pinned to their nodes."""
    return _ours(world, pods, owned=True)


def nominated(world: World, pods: int) -> Bound:
    """Equipoise: pods that nothing would make again, which are only nominated."""
    return _ours(world, pods, owned=False)


WAYS: Mapping[str, Callable[[World, int], Bound]] = {
    "stock, queued": stock_queued,
    "stock, behind a gate": stock_gated,
    "Equipoise, pinned": pinned,
    "Equipoise, nominated": nominated,
}


def measure(world: World, way: str, pods: int) -> Rate:
    """Run one way, and take its pods away."""
    bound = WAYS[way](world, pods)
    world.crowd.clear()
    return Rate(way, world.nodes, bound.per_second, bound.cpu_ms)


def _ours(world: World, pods: int, *, owned: bool) -> Bound:
    with (
        world.governed(pods, owned=owned) as ours,
        world.counting(pods) as bound,
        acting(ours, "rates") as replica,
    ):
        bound.processes.update(replica.processes)
        bound.wait(LIMIT_SECONDS)
    return bound


@contextlib.contextmanager
def _stock(world: World, name: str) -> Iterator[Scheduler]:
    """Start the shipped kube-scheduler without an extender; it ends with the block."""
    plane = world.plane
    config = render(plane.folder, world.stock, name=name, extender_port=None, elect=False)
    scheduler = Scheduler(launch(config, plane.layout.log(name)))
    try:
        yield scheduler
    finally:
        scheduler.process.stop()


async def _lift(world: World, pods: int) -> None:
    client = await Client.connect(kubeconfig=str(world.stock))
    slots = asyncio.Semaphore(IN_FLIGHT)
    body = {"spec": {"schedulingGates": [{"name": GATE, "$patch": "delete"}]}}

    async def lift(number: int) -> None:
        async with slots:
            path = PODS.path(f"p{number}", f"bench-{number % TENANTS}")
            await client.patch(path, body, Patch.STRATEGIC, brief=True)

    async with client, asyncio.TaskGroup() as group:
        for number in range(pods):
            group.create_task(lift(number))
