"""An Eviction: asks for a pod to go, as far as disruption budgets let it."""

from collections.abc import Mapping

from scheduler.core.model.pods import PodRef
from scheduler.kube.client import JSON
from scheduler.kube.resources import PODS


def eviction(pod: PodRef, preconditions: Mapping[str, str]) -> tuple[str, JSON]:
    """Return where to post it, and what; `preconditions` are a UID and perhaps a version.

    Of a pod that doesn't run yet the version must be among them: without it the API server tries
    for 10 s before it answers that the pod is another one.
    """
    body: JSON = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "deleteOptions": {"preconditions": dict(preconditions)},
    }
    return PODS.path(pod.name, pod.namespace, "eviction"), body
