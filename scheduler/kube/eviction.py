"""An Eviction asks for a pod to go, as far as disruption budgets let it; a deletion doesn't ask."""

from collections.abc import Mapping

from scheduler.core.model.pods import PodRef
from scheduler.kube.client import JSON
from scheduler.kube.resources import PODS


def eviction(
    pod: PodRef, preconditions: Mapping[str, str], *, grace_seconds: int | None = None
) -> tuple[str, JSON]:
    """Return where to post it, and what; `preconditions` are a UID and perhaps a version.

    It may take `grace_seconds` to end; None: as long as it says itself.
    Of a pod that doesn't run yet the version must be among them: without it the API server tries
    for 10 s before it answers that the pod is another one.
    """
    body: JSON = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "deleteOptions": {"preconditions": dict(preconditions), **_grace(grace_seconds)},
    }
    return PODS.path(pod.name, pod.namespace, "eviction"), body


def deletion(pod: PodRef, *, grace_seconds: int | None = None) -> tuple[str, JSON]:
    """Return what to delete, and with which options: that pod, and no other of its name."""
    options: JSON = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": pod.uid},
        **_grace(grace_seconds),
    }
    return PODS.path(pod.name, pod.namespace), options


def _grace(seconds: int | None) -> JSON:
    return {} if seconds is None else {"gracePeriodSeconds": seconds}
