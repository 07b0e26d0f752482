"""The stand-in for kube-scheduler against an extender that answers by a script, in virtual time."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.nodes import Node
from scheduler.simulator import virtualtime
from scheduler.simulator.apierrors import ApiError
from scheduler.simulator.cluster import EmbeddedCluster
from scheduler.simulator.kubescheduler import KubeScheduler
from tests.support.builders import node

T = TypeVar("T")
Answer = Any
"""JSON, a response, or an error to raise; a function is called first."""

NONE: dict[str, Any] = {"NodeNames": [], "Error": ""}


class Cluster(EmbeddedCluster):
    """One in which a pod may lose its gate without being pinned."""

    def ungate(self, uid: PodUID, *, nominated: str | None = None) -> None:
        changed = self._change(uid)
        changed["spec"]["schedulingGates"] = []
        if nominated is not None:
            changed["status"]["nominatedNodeName"] = nominated
        self._tell("MODIFIED", changed)


@dataclass
class Extender:
    """Notes every call; answers as `script` says, in order, else says yes to everything.

    A bind takes `bind_seconds`, then its Binding is stored.
    """

    cluster: Cluster
    script: dict[str, list[Answer]] = field(default_factory=dict)
    calls: list[tuple[float, str, str, tuple[str, ...]]] = field(default_factory=list)
    bind_seconds: float = 0.5
    filter_seconds: float = 0.0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        verb, body = request.url.path.removeprefix("/"), json.loads(request.content)
        self._note(verb, body)
        scripted = self.script.get(verb)
        if verb == "filter":
            await asyncio.sleep(self.filter_seconds)
        answer = scripted.pop(0) if scripted else None
        if callable(answer):
            answer = answer()
        if answer is None:
            answer = await self._yes(verb, body)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(200, json=answer)

    def _note(self, verb: str, body: dict[str, Any]) -> None:
        now = round(asyncio.get_running_loop().time(), 3)
        if verb == "bind":
            self.calls.append((now, verb, body["PodName"], (body["Node"],)))
        else:
            assert body["Nodes"] is None
            self.calls.append(
                (now, verb, body["Pod"]["metadata"]["name"], tuple(body["NodeNames"]))
            )

    async def _yes(self, verb: str, body: dict[str, Any]) -> Answer:
        if verb == "filter":
            return {"NodeNames": body["NodeNames"], "Error": ""}
        if verb == "prioritize":
            return [{"Host": name, "Score": 0} for name in body["NodeNames"]]
        await asyncio.sleep(self.bind_seconds)
        try:
            self.cluster.bind(
                body["PodNamespace"],
                body["PodName"],
                uid=body["PodUID"],
                node=body["Node"],
                annotations={},
            )
        except ApiError as problem:
            return {"Error": str(problem)}
        return {"Error": ""}

    @property
    def verbs(self) -> list[tuple[str, str]]:
        """(verb, pod), in the order of the calls."""
        return [(verb, pod) for _, verb, pod, _ in self.calls]

    def times(self, verb: str, pod: str) -> list[float]:
        return [at for at, called, name, _ in self.calls if (called, name) == (verb, pod)]


@dataclass
class World:
    cluster: Cluster
    extender: Extender
    scheduler: KubeScheduler

    def create(self, name: str, cpu: str = "1") -> PodUID:
        container = {"name": "main", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}
        made = self.cluster.create(
            {"metadata": {"name": name}, "spec": {"containers": [container]}}
        )
        return PodUID(made["metadata"]["uid"])

    def start(self, name: str, on: str | None = None, *, cpu: str = "1") -> PodUID:
        """Create a pod and let it go: pinned `on` a node, or wherever there is room."""
        uid = self.create(name, cpu)
        if on is None:
            self.cluster.ungate(uid)
        else:
            self.cluster.release(uid, NodeName(on))
        return uid

    def where(self, name: str) -> str | None:
        node: str | None = self.cluster.get("default", name)["spec"].get("nodeName")
        return node


@contextlib.asynccontextmanager
async def _world(nodes: list[Node], script: dict[str, list[Answer]]) -> AsyncIterator[World]:
    cluster = Cluster(virtualtime.LoopClock())
    extender = Extender(cluster, script)
    transport = httpx.MockTransport(extender)
    async with httpx.AsyncClient(transport=transport, base_url="http://extender") as client:
        scheduler = KubeScheduler(
            cluster, nodes=nodes, client=client, clock=virtualtime.LoopClock()
        )
        running = asyncio.create_task(scheduler.run())
        try:
            yield World(cluster, extender, scheduler)
        finally:
            running.cancel()
            await asyncio.wait({running})
            # Anything but the cancellation would have ended it before.
            assert running.cancelled()


def play(
    story: Callable[[World], Coroutine[Any, Any, T]],
    *,
    nodes: list[Node] | None = None,
    **script: list[Answer],
) -> T:
    """Play a story; `script` holds the extender's answers by verb."""

    async def main() -> T:
        async with _world(nodes or [node("n1"), node("n2")], script) as world:
            return await story(world)

    return virtualtime.run(main())
