"""Pods for tests on the real API server, and what is seen of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.controlplane import owners
from tests.support.controlplane.api import JSON, Api, Refused
from tests.support.controlplane.waiting import eventually

ADMITTED = "equipoise.dev/Admitted"
NOW: JSON = {"gracePeriodSeconds": 0}


def pod(name: str, fraction: str, *, owner: JSON | None = None, **spec: Any) -> JSON:
    """A pod that asks for a share; with an owner it would be made again, so it may be pinned."""
    metadata: JSON = {"name": name, "annotations": {"equipoise.dev/gpu-fraction": fraction}}
    if owner is not None:
        metadata["ownerReferences"] = [owner]
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "main", "image": "none"}], **spec},
    }


@dataclass(frozen=True, slots=True)
class Room:
    """One namespace's pods."""

    api: Api
    namespace: str

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def owner(self) -> JSON:
        """Make something that stands for a Job: it is there, so nothing collects its pods."""
        return owners.create(self.api, self.namespace)

    def create(self, body: Mapping[str, Any]) -> JSON:
        return self.api.post(self.path, dict(body))

    def create_patiently(self, body: Mapping[str, Any]) -> None:
        """Create it as a controller does, which tries again while the webhook is away."""

        def created() -> bool:
            try:
                self.create(body)
            except Refused as refusal:
                if refusal.status not in (409, 500):
                    raise
                # Its answer may have been lost on the way.
                return refusal.status == 409
            return True

        eventually(created, 30, what="the webhook answers")

    def get(self, name: str) -> JSON:
        return self.api.get(f"{self.path}/{name}")

    def turned_down(self, name: str) -> bool:
        """Whether kube-scheduler has looked at it, and found no node."""
        conditions = self.get(name)["status"].get("conditions", ())
        return any(each.get("reason") == "Unschedulable" for each in conditions)

    def waits(self, name: str) -> bool:
        """Whether it has been told why it waits for its turn."""
        conditions = self.get(name)["status"].get("conditions", ())
        return any(each["type"] == ADMITTED and each["status"] == "False" for each in conditions)

    def gated(self, name: str) -> bool:
        """Whether it waits behind any gate."""
        return bool(self.get(name)["spec"].get("schedulingGates"))

    def delete(self, name: str) -> None:
        self.api.delete(f"{self.path}/{name}", NOW)

    def phases(self) -> dict[str, str]:
        return {
            each["metadata"]["name"]: str(each["status"].get("phase"))
            for each in self.api.items(self.path)
        }

    def all_run(self, count: int) -> bool:
        phases = list(self.phases().values())
        return len(phases) == count and set(phases) == {"Running"}

    def runs(self, name: str) -> bool:
        return self.phases().get(name) == "Running"
