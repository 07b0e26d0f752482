"""ServiceAccounts and their tokens, made by the TokenRequest API as a kubelet would."""

from tests.support.controlplane.api import JSON, Api, Refused
from tests.support.controlplane.waiting import eventually

SYSTEM = "equipoise-system"
SECONDS = 3600


def token(
    api: Api, namespace: str, name: str, *, pod: JSON | None = None, seconds: int = SECONDS
) -> str:
    """Return a token of a ServiceAccount, which is made if it isn't there.

    With a pod it is bound to that pod, and names the pod's node in its claims.
    """
    _create(api, "/api/v1/namespaces", {"metadata": {"name": namespace}})
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    _create(api, accounts, {"metadata": {"name": name}})
    spec: JSON = {"expirationSeconds": seconds}
    if pod is not None:
        spec["boundObjectRef"] = {
            "kind": "Pod",
            "apiVersion": "v1",
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        }
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    made: str = api.post(f"{accounts}/{name}/token", body)["status"]["token"]
    return made


def agent_pod(api: Api, node: str, *, account: str = "equipoise-agent") -> JSON:
    """Return the pod in which the agent of a node would run; it is made if it isn't there."""
    _create(api, "/api/v1/namespaces", {"metadata": {"name": SYSTEM}})
    _create(
        api,
        f"/api/v1/namespaces/{SYSTEM}/serviceaccounts",
        {"metadata": {"name": account}},
    )
    pods = f"/api/v1/namespaces/{SYSTEM}/pods"
    name = f"{account}-{node}"
    pod = {
        "metadata": {"name": name},
        "spec": {
            "serviceAccountName": account,
            "nodeName": node,
            "containers": [{"name": "agent", "image": "equipoise"}],
            "tolerations": [{"operator": "Exists"}],
        },
    }
    _create(api, pods, pod)
    return eventually(lambda: api.find(f"{pods}/{name}"), what=f"pod {name}")


def _create(api: Api, path: str, body: JSON) -> None:
    try:
        api.post(path, body)
    except Refused as error:
        if error.status != 409:
            raise
