"""What the tests of the agent are built from: an API server's few verbs, pods, an agent in time."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scheduler.agent.reading import Reader, Reading
from scheduler.agent.service import Agent
from scheduler.core.model import assignment
from scheduler.core.model.ids import DeviceUUID, NodeName
from scheduler.core.model.placements import Placement, Slot
from scheduler.device.driver import Driver
from scheduler.kube.client import JSON, Patch
from scheduler.kube.errors import Conflict, NotFound
from scheduler.settings import Agent as Settings
from scheduler.simulator import virtualtime

NODE = NodeName("n1")
GPUNODE = "/apis/equipoise.dev/v1alpha1/gpunodes/n1"


@dataclass
class FakeApi:
    """The objects that an agent touches, by path; every request is kept with its time.

    `refuse` is asked before each request and may raise what the client would.
    """

    objects: dict[str, JSON] = field(default_factory=dict)
    requests: list[tuple[float, str, str, Any]] = field(default_factory=list)
    refuse: Callable[[str, str], None] = lambda _verb, _path: None

    def __post_init__(self) -> None:
        self.objects.setdefault("/api/v1/nodes/n1", {"metadata": {"name": "n1", "uid": "u-1"}})

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> JSON:
        self._begin("GET", path, params)
        if path not in self.objects:
            raise NotFound(404, "NotFound", f"{path} not found")
        return deepcopy(self.objects[path])

    async def post(self, path: str, body: Any, params: Mapping[str, str] | None = None) -> JSON:
        self._begin("POST", path, body)
        if path == GPUNODE.rpartition("/")[0]:
            if GPUNODE in self.objects:
                raise Conflict(409, "AlreadyExists", "it exists")
            self.objects[GPUNODE] = deepcopy(body)
        return dict(body)

    async def patch(
        self,
        path: str,
        body: Any,
        kind: Patch,
        params: Mapping[str, str] | None = None,
        *,
        brief: bool = False,
    ) -> JSON:
        self._begin("PATCH", path, body)
        assert kind is Patch.APPLY
        assert params == {"fieldManager": "equipoise-agent", "force": "true"}
        root = path.removesuffix("/status")
        assert root != path, "only the status may be changed"
        if root not in self.objects:
            raise NotFound(404, "NotFound", f"{root} not found")
        self.objects[root]["status"] = deepcopy(body["status"])
        return deepcopy(self.objects[root])

    @property
    def statuses(self) -> list[tuple[float, JSON]]:
        """Each status that was sent, with its second."""
        return [
            (at, body["status"])
            for at, verb, path, body in self.requests
            if verb == "PATCH" and path.endswith("/status")
        ]

    def posted(self, ending: str) -> list[JSON]:
        """Bodies that were posted to paths with that ending."""
        return [b for _, verb, path, b in self.requests if verb == "POST" and path.endswith(ending)]

    def _begin(self, verb: str, path: str, body: Any) -> None:
        at = asyncio.get_running_loop().time()
        self.requests.append((at, verb, path, deepcopy(body)))
        self.refuse(verb, path)


def pod_json(name: str, *slots: tuple[str, int], node: str = NODE, **status: str) -> JSON:
    """Return a bound pod that was given MiB of devices: ("GPU-0", 4096); its UID is its name."""
    given = tuple(
        Slot(index, DeviceUUID(uuid), 250, mib) for index, (uuid, mib) in enumerate(slots)
    )
    notes = assignment.encode(Placement(NodeName(node), given))
    return {
        "metadata": {"name": name, "namespace": "lab", "uid": name, "annotations": notes},
        "spec": {"nodeName": node},
        "status": {"phase": "Running", **status},
    }


def process(proc: Path, pid: int, uid: str) -> None:
    """Let a process belong to a pod."""
    folder = proc / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    text = f"0::/kubepods/burstable/pod{uid}/0123456789abcdef\n"
    (folder / "cgroup").write_text(text, encoding="utf-8")


@dataclass
class Stage:
    """An agent on an event loop in virtual time."""

    api: FakeApi
    agent: Agent


def played(
    script: Callable[[Stage], Awaitable[None]],
    opening: Callable[[], Driver],
    *,
    proc: Path,
    api: FakeApi | None = None,
    settings: Settings | None = None,
    booted_at: float | None = 0.0,
) -> FakeApi:
    """Let an agent run in virtual time while the script does; return what it asked of the API."""
    api = api or FakeApi()

    async def main() -> None:
        clock = virtualtime.LoopClock()
        reader = Reader(opening, proc=proc, clock=clock)

        async def look() -> Reading:
            return reader.read()

        agent = Agent(
            api,
            NODE,
            look=look,
            booted_at=booted_at,
            settings=settings or Settings(),
            clock=clock,
            rng=random.Random(1),
        )
        tasks = [asyncio.create_task(each) for each in agent.work()]
        try:
            await script(Stage(api, agent))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()

    virtualtime.run(main())
    return api
