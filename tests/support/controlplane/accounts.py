"""ServiceAccounts and their tokens, made by the TokenRequest API as a kubelet would."""

from tests.support.controlplane.api import JSON, Api
from tests.support.controlplane.waiting import eventually

AGENTS = "equipoise-agents"
"""The namespace of the agents: they need what Equipoise's own doesn't allow."""

SECONDS = 3600


def token(
    api: Api, namespace: str, name: str, *, holder: JSON | None = None, seconds: int = SECONDS
) -> str:
    """Return a token of a ServiceAccount, which is made if it isn't there.

    With a holder, a pod or a Secret, it is good as long as that exists; one that is bound to a pod
    names the pod's node in its claims.
    """
    api.ensure("/api/v1/namespaces", {"metadata": {"name": namespace}})
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    api.ensure(accounts, {"metadata": {"name": name}})
    spec: JSON = {"expirationSeconds": seconds}
    if holder is not None:
        spec["boundObjectRef"] = {
            "kind": holder["kind"],
            "apiVersion": "v1",
            "name": holder["metadata"]["name"],
            "uid": holder["metadata"]["uid"],
        }
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    made: str = api.post(f"{accounts}/{name}/token", body)["status"]["token"]
    return made


def agent_pod(api: Api, node: str, *, account: str = "equipoise-agent") -> JSON:
    """Return the pod in which the agent of a node would run; it is made if it isn't there."""
    api.ensure("/api/v1/namespaces", {"metadata": {"name": AGENTS}})
    api.ensure(f"/api/v1/namespaces/{AGENTS}/serviceaccounts", {"metadata": {"name": account}})
    pods = f"/api/v1/namespaces/{AGENTS}/pods"
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
    api.ensure(pods, pod)
    return eventually(lambda: api.find(f"{pods}/{name}"), what=f"pod {name}")
