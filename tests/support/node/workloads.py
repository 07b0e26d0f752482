"""Pods of people that ask for a share, as real containers, and what owns them."""

from typing import Any

from tests.support.controlplane.api import JSON
from tests.support.node.layout import BUSYBOX

FRACTION = "equipoise.dev/gpu-fraction"
DEVICES = "equipoise.dev/devices"

SHOW = 'echo "$NVIDIA_VISIBLE_DEVICES"'
WAIT = "trap 'exit 0' TERM; while :; do sleep 1; done"
"""Until it is told to end: as the first process a shell hears of that only if it asks to."""

SHOW_AND_WAIT = f"{SHOW}; {WAIT}"


def container(script: str, *, name: str = "main") -> JSON:
    return {
        "name": name,
        "image": BUSYBOX,
        "command": ["sh", "-c", script],
        "securityContext": {"allowPrivilegeEscalation": False},
    }


def spec(script: str, **more: Any) -> JSON:
    return {"containers": [container(script)], "terminationGracePeriodSeconds": 2, **more}


def pod(name: str, fraction: str, script: str = SHOW_AND_WAIT, **more: Any) -> JSON:
    """A pod of its own."""
    metadata = {"name": name, "annotations": {FRACTION: fraction}}
    return {"metadata": metadata, "spec": spec(script, **more)}


def template(app: str, fraction: str, script: str = SHOW_AND_WAIT, **more: Any) -> JSON:
    """The pods of an owner."""
    metadata = {"labels": {"app": app}, "annotations": {FRACTION: fraction}}
    return {"metadata": metadata, "spec": spec(script, **more)}


def deployment(name: str, replicas: int, pods: JSON, *, surge: int = 1) -> JSON:
    rolling = {"maxSurge": surge, "maxUnavailable": 0 if surge else 1}
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            "template": pods,
        },
    }


def stateful_set(name: str, replicas: int, pods: JSON) -> JSON:
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "selector": {"matchLabels": {"app": name}},
            "podManagementPolicy": "Parallel",
            "template": pods,
        },
    }


def job(name: str, pods: JSON, *, retries: int) -> JSON:
    return {"metadata": {"name": name}, "spec": {"backoffLimit": retries, "template": pods}}
