"""Asks an installation how it is: test.py URL NAMESPACE. Changes nothing.

Is it ready, and what would become of a pod in that namespace that asks for a quarter of a GPU?
"""

import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from kubernetes import client, config

GATE = "equipoise.dev/fair-share"
POD: dict[str, Any] = {
    "metadata": {
        "generateName": "equipoise-test-",
        "annotations": {"equipoise.dev/gpu-fraction": "0.25"},
    },
    "spec": {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "main",
                "image": "equipoise",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    },
}


def readiness(url: str) -> str:
    """Return what is wrong with the one that answers there, "" if it is ready."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=10):
            return ""
    except urllib.error.HTTPError as problem:
        return problem.read().decode().strip()
    except OSError as problem:
        return f"{url} doesn't answer ({problem}); look at the pods of equipoise-scheduler"


def admission(api: Any, namespace: str) -> str:
    """Return what is wrong with what becomes of a pod, "" if it would wait for its turn."""
    try:
        pod = api.create_namespaced_pod(namespace, POD, dry_run="All")
    except client.ApiException as problem:
        return f"a pod with a share is refused: {problem.body}"
    gates = [gate.name for gate in pod.spec.scheduling_gates or ()]
    seen = {entry.name for entry in pod.spec.containers[0].env or ()}
    if GATE not in gates or pod.spec.scheduler_name != "equipoise":
        return "the webhook was not asked; look at mutatingwebhookconfiguration equipoise"
    if "NVIDIA_VISIBLE_DEVICES" not in seen:
        return "the webhook did not wire the pod to its GPUs; look at the log of serve"
    return ""


def findings(url: str, namespace: str) -> Iterator[tuple[str, str]]:
    """Yield what should be, and what is wrong with it."""
    yield f"{url} is ready", readiness(url)
    config.load_config()  # type: ignore[no-untyped-call] # it has no types
    api: Any = client.CoreV1Api()
    yield f"a pod with a share in {namespace} would wait for its turn", admission(api, namespace)


def main(url: str, namespace: str) -> int:
    """Print what is good, up to the first thing that isn't."""
    for good, problem in findings(url, namespace):
        if problem:
            print(problem, file=sys.stderr)
            return 1
        print(good)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
