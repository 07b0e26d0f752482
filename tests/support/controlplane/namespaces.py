"""Namespaces that take pods from the moment in which they are there."""

from collections.abc import Mapping

from tests.support.controlplane.api import JSON, Api, Refused
from tests.support.controlplane.waiting import eventually

SPACES = "/api/v1/namespaces"


def create(api: Api, name: str, *, labels: Mapping[str, str] | None = None) -> None:
    """Create it; an older one of that name may be on its way out still."""
    body: JSON = {"metadata": {"name": name, "labels": dict(labels or {})}}
    eventually(lambda: _made(api, body), 60, what=f"namespace {name} can be made")


def _made(api: Api, body: JSON) -> bool:
    name = body["metadata"]["name"]
    if not api.ensure(SPACES, body) and not _stays(api, name):
        return False
    try:
        furnish(api, name)
    except Refused as refusal:
        # The API server believes that the older one was there still; the new one stays.
        if refusal.status != 403:
            raise
        return False
    return True


def _stays(api: Api, name: str) -> bool:
    """Whether it is there, and not on its way out."""
    found = api.find(f"{SPACES}/{name}")
    return found is not None and "deletionTimestamp" not in found["metadata"]


def furnish(api: Api, name: str) -> None:
    """Make the account without which the API server refuses pods, unless it is there.

    kube-controller-manager makes it too, but after restarts of kube-apiserver it may take a minute
    to hear of a new namespace.
    """
    api.ensure(f"{SPACES}/{name}/serviceaccounts", {"metadata": {"name": "default"}})
