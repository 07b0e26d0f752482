"""Where a pod stands in its life, as the API server stores it."""

from scheduler.core.model.stored import Stored, mapping, objects

FINISHED = ("Succeeded", "Failed")
"""Phases of a pod that holds nothing any more."""


def finished(pod: Stored) -> bool:
    """Whether all its containers have ended for good."""
    return mapping(pod, "status").get("phase") in FINISHED


def runs_no_more(pod: Stored) -> bool:
    """Whether it is finished, or being deleted without a node: then it can't be bound any more."""
    deleted = "deletionTimestamp" in mapping(pod, "metadata")
    return finished(pod) or (deleted and not mapping(pod, "spec").get("nodeName"))


def owner_of(pod: Stored) -> str:
    """Return the UID of what would make the pod again, "" for nothing."""
    owners = objects(mapping(pod, "metadata"), "ownerReferences")
    return next((str(each.get("uid")) for each in owners if each.get("controller") is True), "")
