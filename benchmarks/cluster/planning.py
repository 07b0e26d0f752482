"""What others notice while 10,000 pods are planned and released, and what that takes."""

from dataclasses import dataclass

from benchmarks.cluster.meter import Bound, peak_mib
from benchmarks.cluster.probes import Latency, Probe, counted
from benchmarks.cluster.world import LIMIT_SECONDS, Acting, World, acting
from tests.support.controlplane.replicas import answers
from tests.support.controlplane.waiting import eventually

NAMES = 500
"""So many nodes kube-scheduler offers by default on 5,000."""


@dataclass(frozen=True, slots=True)
class Planning:
    """`cpu_seconds` and `memory_mib` (at its most) are serve's, from its start to the last pod."""

    pods: int
    per_second: float
    latencies: tuple[Latency, ...]
    cpu_seconds: float
    memory_mib: float


def measure(world: World, pods: int) -> Planning:
    """Have a replica take over that many waiting pods; ask beside it all the time."""
    with (
        world.governed(pods) as ours,
        world.counting(pods) as bound,
        acting(ours, "planning") as replica,
    ):
        bound.processes.update(replica.processes)
        found = _watched(bound, replica)
    world.crowd.clear()
    return found


def _watched(bound: Bound, replica: Acting) -> Planning:
    page = f"http://127.0.0.1:{replica.ports.web}"
    extender = f"http://127.0.0.1:{replica.ports.extender}"
    webhook = f"https://127.0.0.1:{replica.ports.webhook}"
    eventually(lambda: answers(f"{page}/readyz"), 120, what="serve is ready", every=0.01)
    names = [f"node-{number}" for number in range(NAMES)]
    with (
        Probe("filter, asked beside it", f"{extender}/filter", _filter(names)) as filtering,
        Probe("webhook, asked beside it", f"{webhook}/mutate", _review()) as admitting,
    ):
        bound.wait(2 * LIMIT_SECONDS)
    request, serve = "equipoise_extender_request_seconds", replica.processes["serve"]
    latencies = (
        filtering.latency(),
        counted(page, request, "filter, as serve counts it", verb="filter"),
        admitting.latency(),
        counted(page, "equipoise_event_loop_lag_seconds", "event loop's lag"),
        counted(page, request, "bind, with the write", verb="bind"),
    )
    used = serve.usage().cpu_seconds
    return Planning(bound.wanted, bound.per_second, latencies, used, peak_mib(serve.pid))


def _filter(names: list[str]) -> object:
    """A pod without a GPU: nothing is booked for it."""
    return {"Pod": {**_pod(), "metadata": {**_head("probe")}}, "NodeNames": names}


def _review() -> object:
    notes = {"equipoise.dev/gpu-fraction": "0.25"}
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "probe",
            "operation": "CREATE",
            "namespace": "bench-1",
            "name": "probe",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "object": {**_pod(), "metadata": {**_head("probe"), "annotations": notes}},
        },
    }


def _head(name: str) -> dict[str, str]:
    return {"name": name, "namespace": "bench-1", "uid": f"uid-of-{name}"}


def _pod() -> dict[str, object]:
    requests = {"cpu": "100m", "memory": "128Mi"}
    container = {"name": "main", "image": "none", "resources": {"requests": requests}}
    return {"spec": {"schedulerName": "equipoise", "containers": [container]}, "status": {}}
