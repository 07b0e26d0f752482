"""Taking away what a test left on a shared control plane."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx

from tests.support.controlplane.api import JSON, Api, Refused
from tests.support.controlplane.waiting import eventually

AT_ONCE: JSON = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}

_OURS = ("equipoise-system", "equipoise-agents")
_KEPT = {"default", "kube-node-lease", "kube-public", "kube-system", *_OURS}
_GROUP = "/apis/equipoise.dev/v1alpha1"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_RULES = tuple(
    f"{_ADMISSION}/{kind}"
    for kind in (
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "validatingadmissionpolicybindings",
        "validatingadmissionpolicies",
    )
)


def sweep(api: Api) -> None:
    """Delete our webhooks and policies, all pods and nodes, the tests' namespaces, our objects.

    CRDs, RBAC and the namespaces of Equipoise and its agents stay.
    """
    _delete_rules(api)
    for namespace in _names(api, "/api/v1/namespaces") - _KEPT:
        drop_namespace(api, namespace)
    for namespace in ("default", *_OURS):
        _delete(api, f"/api/v1/namespaces/{namespace}/pods")
    _delete(api, "/apis/coordination.k8s.io/v1/namespaces/equipoise-system/leases")
    for resource in ("/api/v1/nodes", f"{_GROUP}/gpunodes", f"{_GROUP}/tenants"):
        _delete(api, resource)
    eventually(lambda: not api.items("/api/v1/pods"), 30, what="all pods are gone")
    eventually(lambda: _ungoverned(api), 30, what="the policies are forgotten")


def drop_rules(api: Api) -> None:
    """Delete our webhooks and policies; wait until the API server goes by none of them."""
    _delete_rules(api)
    eventually(lambda: _ungoverned(api), 30, what="the policies are forgotten")


def drop_namespace(api: Api, name: str) -> None:
    """Delete a namespace and what is in it; wait until its pods are gone, not until it is."""
    pods = f"/api/v1/namespaces/{name}/pods"
    _try_delete(api, f"/api/v1/namespaces/{name}")
    _delete(api, pods)
    eventually(lambda: not api.items(pods), 30, what=f"the pods of {name} are gone")
    _nudge(api, f"/api/v1/namespaces/{name}")


def _nudge(api: Api, path: str) -> None:
    """Have kube-controller-manager look at a namespace on its way out.

    While pods are in it, it looks again when half of their longest grace period is over, at the
    latest; a change makes it look in five seconds.
    """
    with _gone_is_fine():
        api.patch(path, {"metadata": {"annotations": {"equipoise.dev/dropped": "true"}}})


def _delete_rules(api: Api) -> None:
    for rules in _RULES:
        _delete(api, rules, prefix="equipoise")


def _delete(api: Api, resource: str, *, prefix: str = "") -> None:
    names = [name for name in _names(api, resource) if name.startswith(prefix)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: _try_delete(api, f"{resource}/{name}"), names))


def _names(api: Api, resource: str) -> set[str]:
    def look() -> set[str] | None:
        try:
            return {item["metadata"]["name"] for item in api.items(resource)}
        except Refused as error:
            # The storage of a kind takes a moment to be there, and again after a restart.
            if error.status == httpx.codes.TOO_MANY_REQUESTS:
                return None
            if error.status != httpx.codes.NOT_FOUND:
                raise
            return set()

    return eventually(look, 30, what=f"{resource} can be listed")


def _ungoverned(api: Api) -> bool:
    """Whether the policies that were deleted are forgotten: the API server takes a while."""
    body = {
        "metadata": {"name": "probe", "annotations": {"equipoise.dev/assignment": "none"}},
        "spec": {"containers": [{"name": "main", "image": "none"}]},
    }
    try:
        api.post("/api/v1/namespaces/default/pods", body, {"dryRun": "All"})
    except Refused as error:
        if error.status != httpx.codes.FORBIDDEN:
            raise
        return False
    return True


def _try_delete(api: Api, path: str) -> None:
    with _gone_is_fine():
        api.delete(path, AT_ONCE)


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except Refused as error:
        if error.status not in {httpx.codes.NOT_FOUND, httpx.codes.CONFLICT}:
            raise
