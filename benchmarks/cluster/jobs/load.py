"""One-pod Jobs: what they ask for, and who makes and deletes many of them at once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler.kube.client import Client
from tests.support.controlplane.api import JSON

AT_ONCE = 32
IGNORED: JSON = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
"""A pod that is stopped for others is no failure of its Job, however often."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What the pod of a Job asks for: annotations, or limits beside CPU and memory."""

    annotations: tuple[tuple[str, str], ...] = ()
    limits: tuple[tuple[str, str], ...] = ()
    scheduler: str = "default-scheduler"


WHOLE_STOCK = Ask(limits=(("nvidia.com/gpu", "1"),), scheduler="equipoise")
"""The stock kube-scheduler runs with the shipped profile, without its extender."""


def gpus(amount: str) -> Ask:
    """Return what Equipoise is asked for."""
    return Ask(annotations=(("equipoise.dev/gpu-fraction", amount),))


def job(name: str, ask: Ask, pods: int = 1) -> JSON:
    """Return a Job of so many pods that are never started twice by their kubelets."""
    requests = {"cpu": "100m", "memory": "128Mi"}
    resources = {"requests": requests, "limits": dict(ask.limits)}
    container = {"name": "main", "image": "none", "resources": resources}
    pod: JSON = {"restartPolicy": "Never", "containers": [container]}
    pod["schedulerName"] = ask.scheduler
    template = {"metadata": {"annotations": dict(ask.annotations)}, "spec": pod}
    spec: JSON = {"podFailurePolicy": {"rules": [IGNORED]}, "template": template}
    if pods > 1:
        spec |= {"parallelism": pods, "completions": pods, "completionMode": "Indexed"}
    return {"metadata": {"name": name}, "spec": spec}


@dataclass(frozen=True, slots=True)
class Hand:
    """Makes and deletes Jobs of one namespace, so many at once, as the user of a kubeconfig."""

    kubeconfig: Path
    namespace: str

    @property
    def pods(self) -> str:
        """Path of the pods."""
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def submit(self, names: Iterable[str], ask: Ask, *, pods: int = 1) -> None:
        """Create a Job of each name, of so many pods."""

        async def create(client: Client, name: str) -> Any:
            return await client.post(self._path, job(name, ask, pods))

        asyncio.run(self._each(names, create))

    def delete(self, names: Iterable[str]) -> None:
        """Delete the Jobs; their pods go a little later."""

        async def delete(client: Client, name: str) -> Any:
            options = {"propagationPolicy": "Background"}
            return await client.delete(f"{self._path}/{name}", options)

        asyncio.run(self._each(names, delete))

    @property
    def _path(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    async def _each(
        self, names: Iterable[str], do: Callable[[Client, str], Awaitable[Any]]
    ) -> None:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(client: Client, name: str) -> None:
            async with slots:
                await do(client, name)

        client = await Client.connect(kubeconfig=str(self.kubeconfig))
        async with client, asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(one(client, name))
