"""One namespace of a tenant on the real node: what its pods print, hold and become."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tests.support.controlplane.api import JSON, Api
from tests.support.controlplane.waiting import eventually
from tests.support.node.release import Release
from tests.support.node.workloads import DEVICES

START_SECONDS = 30.0
"""From a pod's creation to its running, on a node with two cores."""


@dataclass(frozen=True, slots=True)
class Room:
    """The namespace `name`, and the release that serves it."""

    release: Release
    name: str

    @property
    def api(self) -> Api:
        return self.release.machine.api

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.name}/pods"

    def create(self, body: Mapping[str, Any]) -> JSON:
        return self.api.post(self.path, dict(body))

    def create_of(self, kind: str, body: Mapping[str, Any]) -> JSON:
        """Create an object of the group apps or batch, such as "apps/deployments"."""
        group, _, resource = kind.partition("/")
        return self.api.post(f"/apis/{group}/v1/namespaces/{self.name}/{resource}", dict(body))

    def pods(self, app: str = "") -> list[JSON]:
        """Return those that aren't going, of one app or all."""
        chosen = {"labelSelector": f"app={app}"} if app else None
        listed = self.api.items(self.path, chosen)
        return [each for each in listed if "deletionTimestamp" not in each["metadata"]]

    def get(self, name: str) -> JSON:
        return self.api.get(f"{self.path}/{name}")

    def uid(self, name: str) -> str:
        return str(self.get(name)["metadata"]["uid"])

    def delete(self, name: str) -> None:
        self.api.delete(f"{self.path}/{name}")

    def running(self, *names: str) -> None:
        """Wait until these pods run."""
        for name in names:
            eventually(
                lambda name=name: self.phase(name) == "Running",  # type: ignore[misc]
                START_SECONDS,
                what=f"pod {name} runs",
            )

    def phase(self, name: str) -> str:
        return str(self.get(name)["status"].get("phase"))

    def printed(self, name: str, container: str = "main") -> str:
        """Return the first line that a container printed, once there is one."""

        def first_line() -> str | None:
            text = self.logs(name, container)
            return text.partition("\n")[0] if "\n" in text else None

        return eventually(first_line, what=f"{name} has printed a line")

    def logs(self, name: str, container: str = "main") -> str:
        """Return all that a container has printed."""
        return self.release.machine.plane.kubectl(
            "logs", "--namespace", self.name, name, "--container", container
        )

    def devices(self, name: str) -> str:
        """Return what Equipoise assigned, as the pod's annotation says."""
        return str(self.get(name)["metadata"].get("annotations", {}).get(DEVICES, ""))

    def ledger(self) -> dict[str, dict[str, int]]:
        """Return what the ledger says that this namespace's pods hold: name → UUID → milli."""
        mine = f"{self.name}/"
        held = self.release.ledger().items()
        return {pod.removeprefix(mine): gpus for pod, gpus in held if pod.startswith(mine)}

    def holds(self, name: str) -> int:
        """Return how many milli-GPU it holds."""
        return sum(self.ledger().get(name, {}).values())

    def restarts(self, name: str) -> int:
        states = self.get(name)["status"].get("containerStatuses", ())
        return sum(int(each["restartCount"]) for each in states)


class RoomFor(Protocol):
    """Opens a room for a tenant, which is made if there is none of that name."""

    def __call__(self, tenant: str, **spec: Any) -> Room:
        """`spec` are fields of the Tenant, such as limit=1."""
