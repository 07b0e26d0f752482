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
    if not api.ensure(SPACES, body):
        return False
    try:
        furnish(api, body["metadata"]["name"])
    except Refused as refusal:
        # The older one was there still, and takes nothing new.
        if refusal.status != 403:
            raise
        return False
    return True


def furnish(api: Api, name: str) -> None:
    """Make the account without which the API server refuses pods, unless it is there.

    kube-controller-manager makes it too, but after restarts of kube-apiserver it may take a minute
    to hear of a new namespace.
    """
    api.ensure(f"{SPACES}/{name}/serviceaccounts", {"metadata": {"name": "default"}})
