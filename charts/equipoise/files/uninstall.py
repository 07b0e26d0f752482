"""Lets go of the pods that wait for Equipoise, once it is gone: nobody else would.

A pod that somebody would make again (a Job, a ReplicaSet, …) is evicted, and comes back without
Equipoise's gate and scheduler. Of another one the gate is taken away, so that nothing hides it; as
it names a scheduler that is gone, only its author can make it anew. Running pods are left alone.
"""

import sys
import time
from typing import Any

from kubernetes import client, config

GATE = "equipoise.dev/fair-share"
WAITING = "spec.schedulerName=equipoise,spec.nodeName="
PATIENCE_SECONDS = 60.0
"""The API server may go by a policy, or ask a webhook, for a moment after it was deleted."""


def owned(pod: Any) -> bool:
    """Whether a controller would make it again."""
    return any(owner.controller for owner in pod.metadata.owner_references or ())


def gate_of(pod: Any) -> int | None:
    """Return where our gate stands among the pod's, None if it isn't there."""
    gates = [gate.name for gate in pod.spec.scheduling_gates or ()]
    return gates.index(GATE) if GATE in gates else None


def evict(api: Any, pod: Any) -> None:
    """Delete it in the way of which its owner knows that it is no failure."""
    same = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=pod.metadata.uid))
    metadata = client.V1ObjectMeta(name=pod.metadata.name, namespace=pod.metadata.namespace)
    eviction = client.V1Eviction(metadata=metadata, delete_options=same)
    api.create_namespaced_pod_eviction(pod.metadata.name, pod.metadata.namespace, eviction)


def open_gate(api: Any, pod: Any, place: int) -> None:
    """Take our gate away and leave those of others."""
    path = f"/spec/schedulingGates/{place}"
    patch = [
        {"op": "test", "path": f"{path}/name", "value": GATE},
        {"op": "remove", "path": path},
    ]
    api.patch_namespaced_pod(pod.metadata.name, pod.metadata.namespace, patch)


def let_go(api: Any, pod: Any) -> str:
    """Let go of one pod; return what was done, "" if there was nothing to do."""
    place = gate_of(pod)
    if pod.metadata.deletion_timestamp:
        return ""
    if owned(pod):
        evict(api, pod)
        return "evicted, to be made again without Equipoise"
    if place is not None:
        open_gate(api, pod, place)
        return "its gate is open, but nobody makes it again: create it anew"
    return ""


def attempt(api: Any, pod: Any) -> tuple[str, str]:
    """Return what was done, and what went wrong."""
    try:
        return let_go(api, pod), ""
    except client.ApiException as problem:
        return "", "" if problem.status == 404 else f"{problem.status} {problem.reason}"


def sweep(api: Any) -> bool:
    """Let go of all that wait now; False if there was something to do, so look again."""
    settled = True
    for pod in api.list_pod_for_all_namespaces(field_selector=WAITING).items:
        done, problem = attempt(api, pod)
        if done or problem:
            settled = False
            print(f"{pod.metadata.namespace}/{pod.metadata.name}: {problem or done}", flush=True)
    return settled


def main() -> int:
    """Sweep until nothing is left to do."""
    config.load_config()  # type: ignore[no-untyped-call] # it has no types
    api: Any = client.CoreV1Api()
    end = time.monotonic() + PATIENCE_SECONDS
    while not sweep(api):
        if time.monotonic() > end:
            print("pods still wait for Equipoise; delete them by hand", file=sys.stderr)
            return 1
        time.sleep(2)
    print("no pod waits for Equipoise any more")
    return 0


if __name__ == "__main__":
    sys.exit(main())
