"""A stand-in for kube-scheduler, as far as an extender sees it: the same calls in the same order.

One scheduling cycle after the other: in-tree filters, POST /filter, POST /prioritize only if more
than one node is left, then the node is assumed and POST /bind goes out beside the next pod's cycle.
So the filter of B comes before the bind of A, and many binds are under way at once. Rules:
k8s.io/kubernetes/pkg/scheduler, schedule_one.go and extender.go.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from scheduler.clock import Clock
from scheduler.core.model import names
from scheduler.core.model.errors import InvalidRequest
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.nodes import Node
from scheduler.core.model.podreader import gates_of, pinned_to
from scheduler.core.model.podstate import finished
from scheduler.core.model.requestreader import parse_request
from scheduler.simulator.cluster import EmbeddedCluster, Pod

FIRST_BACKOFF_SECONDS, MOST_BACKOFF_SECONDS = 1.0, 10.0


@dataclass(slots=True)
class Tally:
    """What happened so far."""

    filters: int = 0
    binds: int = 0
    bound: int = 0
    unschedulable: int = 0
    errors: int = 0


@dataclass(slots=True)
class _Machine:
    """A node as kube-scheduler's cache has it: what is free counts assumed pods as gone."""

    name: NodeName
    free_cpu: int
    free_ram: int
    taken: dict[PodUID, tuple[int, int]] = field(default_factory=dict)

    def take(self, uid: PodUID, cpu: int, ram: int) -> None:
        if uid not in self.taken:
            self.taken[uid] = (cpu, ram)
            self.free_cpu, self.free_ram = self.free_cpu - cpu, self.free_ram - ram

    def give(self, uid: PodUID) -> None:
        cpu, ram = self.taken.pop(uid, (0, 0))
        self.free_cpu, self.free_ram = self.free_cpu + cpu, self.free_ram + ram


class KubeScheduler:
    """Schedules ungated pods that name our scheduler, through the extender behind `client`."""

    def __init__(
        self,
        cluster: EmbeddedCluster,
        *,
        nodes: Iterable[Node],
        client: httpx.AsyncClient,
        clock: Clock,
    ) -> None:
        self.tally = Tally()
        self._cluster, self._client, self._clock = cluster, client, clock
        self._machines = {
            node.name: _Machine(node.name, node.cpu_milli, node.ram_mib) for node in nodes
        }
        self._active: deque[PodUID] = deque()
        self._queued: set[PodUID] = set()
        self._parked: set[PodUID] = set()
        self._assumed: set[PodUID] = set()
        self._assigned: dict[PodUID, NodeName] = {}
        self._changes = 0
        self._pods: dict[PodUID, Pod] = {}
        self._tries: dict[PodUID, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        cluster.watch(self._see)

    async def run(self) -> None:
        """Schedule until cancelled; binds that are under way are waited for."""
        try:
            while True:
                while self._active:
                    uid = self._active.popleft()
                    self._queued.discard(uid)
                    # One that is being bound is no longer in kube-scheduler's queue.
                    if uid in self._pods and uid not in self._assumed:
                        await self._cycle(uid, self._pods[uid])
                self._news.clear()
                await self._news.wait()
        finally:
            for task in self._tasks:
                if task.get_name() == "backoff":
                    task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _see(self, event: str, pod: Pod) -> None:
        uid, spec = PodUID(pod["metadata"]["uid"]), pod["spec"]
        if spec.get("nodeName") or event == "DELETED":
            self._pods.pop(uid, None)
            self._tries.pop(uid, None)
            self._parked.discard(uid)
            self._account(event, uid, pod)
            if spec.get("nodeName"):
                self._unpark()
        elif spec.get("schedulerName") == names.SCHEDULER_NAME and not gates_of(pod):
            self._pods[uid] = pod
            self._queue(uid)

    def _account(self, event: str, uid: PodUID, pod: Pod) -> None:
        machine = self._machines.get(NodeName(str(pod["spec"].get("nodeName"))))
        if event == "DELETED":
            self._assigned.pop(uid, None)
        elif machine is not None:
            self._assigned[uid] = machine.name
        if machine is None:
            return
        if event == "DELETED" or finished(pod):
            machine.give(uid)
        else:
            machine.take(uid, *_cpu_and_ram(pod))

    async def _cycle(self, uid: PodUID, pod: Pod) -> None:
        """One scheduling cycle: serial, as in kube-scheduler."""
        before, (cpu, ram) = self._changes, _cpu_and_ram(pod)
        pinned = pinned_to(pod)
        offered = [
            machine.name
            for machine in self._machines.values()
            if machine.free_cpu >= cpu
            and machine.free_ram >= ram
            and (not pinned or machine.name in pinned)
        ]
        try:
            node = await self._choose(pod, offered) if offered else None
        except (httpx.HTTPError, ValueError):
            self._fail(uid)
            return
        if node is None:
            self._park(uid, missed=self._changes != before)
            return
        self._machines[node].take(uid, cpu, ram)
        self._assumed.add(uid)
        self._spawn(self._bind(uid, pod, node), "bind")

    async def _choose(self, pod: Pod, offered: list[NodeName]) -> NodeName | None:
        left: list[NodeName] = []
        nominated = pod.get("status", {}).get("nominatedNodeName")
        if nominated in offered:
            # Asked first with the nominated node alone; only if that fails with all of them.
            left = await self._filter(pod, [nominated])
        if not left:
            left = await self._filter(pod, offered)
        if len(left) < 2:
            return left[0] if left else None
        scores = await self._scores(pod, left)
        return max(left, key=lambda name: scores.get(name, 0))

    async def _scores(self, pod: Pod, left: Sequence[NodeName]) -> Mapping[NodeName, int]:
        try:
            answer = await self._post("prioritize", {"Pod": pod, "Nodes": None, "NodeNames": left})
            return {each["Host"]: int(each["Score"]) for each in answer}
        except (httpx.HTTPError, ValueError, TypeError, KeyError):
            # kube-scheduler goes on without the scores.
            return {}

    async def _filter(self, pod: Pod, offered: Sequence[NodeName]) -> list[NodeName]:
        self.tally.filters += 1
        answer = await self._ask("filter", {"Pod": pod, "Nodes": None, "NodeNames": offered})
        left = answer.get("NodeNames") or []
        if not isinstance(left, list) or not all(name in offered for name in left):
            raise ValueError("extender claims a filtered node which is not in the input node list")
        return left

    async def _bind(self, uid: PodUID, pod: Pod, node: NodeName) -> None:
        self.tally.binds += 1
        metadata = pod["metadata"]
        try:
            await self._ask(
                "bind",
                {
                    "PodName": metadata["name"],
                    "PodNamespace": metadata["namespace"],
                    "PodUID": uid,
                    "Node": node,
                },
            )
        except (httpx.HTTPError, ValueError):
            self._assumed.discard(uid)
            self._forget(uid, node)
            return
        self._assumed.discard(uid)
        self.tally.bound += 1

    def _forget(self, uid: PodUID, node: NodeName) -> None:
        """What was assumed isn't so: the node has its CPU and memory back."""
        if self._assigned.get(uid) != node:
            self._machines[node].give(uid)
            self._unpark()
        if uid in self._pods:
            self._fail(uid)

    async def _ask(self, verb: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the answer's fields; raise ValueError where kube-scheduler sees an error."""
        answer = await self._post(verb, body)
        if not isinstance(answer, dict):
            raise ValueError(f"{verb} was answered with something else than an object")
        if answer.get("Error"):
            raise ValueError(str(answer["Error"]))
        return answer

    async def _post(self, verb: str, body: Mapping[str, Any]) -> Any:
        answer = await self._client.post(f"/{verb}", json=body)
        if answer.status_code != httpx.codes.OK:
            raise ValueError(f"failed {verb} with extender, code {answer.status_code}")
        return answer.json()

    def _queue(self, uid: PodUID) -> None:
        self._parked.discard(uid)
        if uid not in self._queued:
            self._queued.add(uid)
            self._active.append(uid)
        self._news.set()

    def _park(self, uid: PodUID, *, missed: bool) -> None:
        """Set aside until an assigned pod changes; `missed`: one has, while this was looked at."""
        self.tally.unschedulable += 1
        self._parked.add(uid)
        if missed:
            self._queue(uid)

    def _unpark(self) -> None:
        """Bring back what an extender turned down: any change of an assigned pod does."""
        self._changes += 1
        for uid in list(self._parked):
            self._queue(uid)

    def _fail(self, uid: PodUID) -> None:
        """Try again after 1, 2, 4, 8, 10, 10… seconds."""
        self.tally.errors += 1
        tries = self._tries.get(uid, 0)
        self._tries[uid] = tries + 1
        seconds = min(FIRST_BACKOFF_SECONDS * 2**tries, MOST_BACKOFF_SECONDS)
        self._spawn(self._later(uid, seconds), "backoff")

    async def _later(self, uid: PodUID, seconds: float) -> None:
        await self._clock.sleep(seconds)
        if uid in self._pods:
            self._queue(uid)

    def _spawn(self, work: Any, name: str) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _cpu_and_ram(pod: Pod) -> tuple[int, int]:
    """Milli-CPU and MiB that the pod asks for."""
    try:
        request = parse_request(pod)
    except InvalidRequest:
        return 0, 0
    return request.cpu_milli, request.ram_mib
