"""Pods for the benchmarks: many alike, of several tenants, each with an owner."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.support.controlplane import namespaces, owners
from tests.support.controlplane.api import JSON, Api
from tests.support.controlplane.waiting import eventually

TENANTS = 10
FRACTIONS = ("0.1", "0.2", "0.25", "0.5", "0.5")
AT_ONCE = 16
GATE = "benchmark.example.com/wait"


@dataclass(frozen=True, slots=True)
class Crowd:
    """The tenants' namespaces, each with something that stands for a Job."""

    api: Api
    owners: dict[str, JSON]

    def create(self, count: int, *, share: bool, gate: str = "", owned: bool = True) -> None:
        """Create so many pods. With `share` they ask for a part of a GPU."""
        numbers = range(count)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda n: self._create(n, share=share, gate=gate, owned=owned), numbers))

    def clear(self) -> None:
        """Delete all pods at once: no kubelet would do it here."""
        for namespace in self.owners:
            path = f"/api/v1/namespaces/{namespace}/pods"
            self.api.delete(path, {"gracePeriodSeconds": 0})
        eventually(lambda: not any(self._left()), 120, what="all pods are gone", every=0.2)

    def _left(self) -> Iterator[JSON]:
        for namespace in self.owners:
            yield from self.api.items(f"/api/v1/namespaces/{namespace}/pods", {"limit": "1"})

    def _create(self, number: int, *, share: bool, gate: str, owned: bool) -> None:
        namespace = f"bench-{number % TENANTS}"
        pod = _pod(f"p{number}", FRACTIONS[number // TENANTS % len(FRACTIONS)] if share else "")
        if owned:
            pod["metadata"]["ownerReferences"] = [self.owners[namespace]]
        if gate:
            pod["spec"]["schedulingGates"] = [{"name": gate}]
        self.api.post(f"/api/v1/namespaces/{namespace}/pods", pod)


def settle(api: Api) -> Crowd:
    """Make the tenants' namespaces."""
    return Crowd(api, {name: _namespace(api, name) for name in map(_name, range(TENANTS))})


def _name(number: int) -> str:
    return f"bench-{number}"


def _namespace(api: Api, name: str) -> JSON:
    namespaces.create(api, name, labels={"equipoise.dev/tenant": name})
    return owners.create(api, name)


def tenants() -> Iterator[JSON]:
    """Yield a Tenant for each namespace; the first has as much weight as all others together."""
    for number in range(TENANTS):
        weight = 1 if number else TENANTS - 1
        yield {
            "apiVersion": "equipoise.dev/v1alpha1",
            "kind": "Tenant",
            "metadata": {"name": _name(number)},
            "spec": {"weight": weight},
        }


def _pod(name: str, fraction: str) -> JSON:
    notes = {"equipoise.dev/gpu-fraction": fraction} if fraction else {}
    requests = {"cpu": "100m", "memory": "128Mi"}
    container = {"name": "main", "image": "none", "resources": {"requests": requests}}
    return {
        "metadata": {"name": name, "annotations": notes},
        "spec": {"schedulerName": "equipoise", "containers": [container]},
    }
