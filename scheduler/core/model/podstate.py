"""Where a pod stands in its life, as the API server stores it."""

from scheduler.core.model.stored import Stored, mapping, objects
from scheduler.core.model.timestamps import seconds_of

FINISHED = ("Succeeded", "Failed")
"""Phases of a pod that holds nothing any more."""


def finished(pod: Stored) -> bool:
    """Whether all its containers have ended for good."""
    return mapping(pod, "status").get("phase") in FINISHED


def succeeded(pod: Stored) -> bool:
    """Whether all its containers have ended well."""
    return mapping(pod, "status").get("phase") == "Succeeded"


def runs_no_more(pod: Stored) -> bool:
    """Whether it is finished, or being deleted without a node: then it can't be bound any more."""
    deleted = "deletionTimestamp" in mapping(pod, "metadata")
    return finished(pod) or (deleted and not mapping(pod, "spec").get("nodeName"))


def owner_of(pod: Stored) -> str:
    """Return the UID of what would make the pod again, "" for nothing."""
    owners = objects(mapping(pod, "metadata"), "ownerReferences")
    return next(
        (str(each.get("uid") or "") for each in owners if each.get("controller") is True), ""
    )


def bound_at(pod: Stored) -> float:
    """Return when a bound pod came to its node (seconds); 0.0 if nothing says so."""
    status = mapping(pod, "status")
    scheduled = (
        seconds_of(each.get("lastTransitionTime"))
        for each in objects(status, "conditions")
        if each.get("type") == "PodScheduled" and each.get("status") == "True"
    )
    return next(scheduled, 0.0) or seconds_of(status.get("startTime"))


def ends_at(pod: Stored) -> float | None:
    """Return when the grace period of a pod that is being deleted is over (seconds)."""
    deleted = mapping(pod, "metadata").get("deletionTimestamp")
    return None if deleted is None else seconds_of(deleted)
