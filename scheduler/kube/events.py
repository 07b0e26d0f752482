"""Events (events.k8s.io/v1): what `kubectl describe` and `kubectl events` show of an object."""

from scheduler.core.model.pods import PodRef
from scheduler.core.model.stored import Stored, mapping
from scheduler.kube.client import JSON
from scheduler.kube.resources import EVENTS, PODS, TENANTS
from scheduler.kube.times import micro_stamp

CONTROLLER = "equipoise.dev/scheduler"

LONGEST_NOTE = 1000
"""Characters; the API server takes 1024 (NoteLengthLimit, pkg/apis/core/validation/events.go)."""


def regarding_pod(pod: PodRef) -> JSON:
    """Return what an Event names a pod by."""
    return {
        "apiVersion": PODS.api_version,
        "kind": PODS.kind,
        "namespace": pod.namespace,
        "name": pod.name,
        "uid": pod.uid,
    }


def regarding_tenant(stored: Stored) -> JSON:
    """Return what an Event names a Tenant by, as it is stored; such Events are in `default`."""
    metadata = mapping(stored, "metadata")
    return {
        "apiVersion": TENANTS.api_version,
        "kind": TENANTS.kind,
        "name": str(metadata.get("name")),
        "uid": str(metadata.get("uid", "")),
    }


def event(
    regarding: JSON,
    *,
    action: str,
    reason: str,
    note: str,
    at: float,
    warning: bool = False,
    controller: str = CONTROLLER,
    instance: str,
) -> JSON:
    """Return an Event about an object, to be posted to `events_path` of its namespace.

    `action` and `reason` are stable words, `note` a sentence without numbers that move; `at` is in
    seconds since the epoch. `instance` is the replica that says so, 128 characters at most.
    """
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {
            # Not a dot: the API server checks it as if it were a name without its last dash.
            "generateName": f"{regarding['name']}-",
            "namespace": regarding.get("namespace", "default"),
        },
        "eventTime": micro_stamp(at),
        "type": "Warning" if warning else "Normal",
        "action": action,
        "reason": reason,
        "note": note if len(note) <= LONGEST_NOTE else f"{note[:LONGEST_NOTE]}…",
        "regarding": regarding,
        "reportingController": controller,
        "reportingInstance": instance,
    }


def events_path(event: JSON) -> str:
    """Return where the Event is to be posted."""
    return EVENTS.list_path(event["metadata"]["namespace"])
