"""Who tries: RBAC lets each of them do more than it should, so that only a policy can refuse."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cluster.policies.specimens import untouched
from tests.support.controlplane import namespaces
from tests.support.controlplane.api import JSON, Api, Refused
from tests.support.controlplane.layout import BASE
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually

RBAC = "/apis/rbac.authorization.k8s.io/v1"
EQUIPOISE, AGENT = "equipoise-scheduler", "equipoise-agent"
SYSTEM = "equipoise-system"
HOMES = {EQUIPOISE: SYSTEM, AGENT: "equipoise-agents"}
DRY = {"dryRun": "All"}
CUSTOM = ("tenants", "gpunodes")
PODS = tuple(f"pods/{part}" for part in ("binding", "status", "eviction", "ephemeralcontainers"))
GPUNODES = ("gpunodes", "gpunodes/status")

TEAM, OUTSIDE = "team-a", "outside"
"""A tenant's namespace, and one without the label."""

NODE, OTHER_NODE = "gpu-0", "gpu-1"


@dataclass(slots=True)
class People:
    """Clients by name.

    tenant: everything in the namespaces TEAM and OUTSIDE, nothing elsewhere. admin: everything.
    operator: everything but tenants. equipoise, kube-scheduler, kubelet: what their names say.
    """

    plane: ControlPlane
    _clients: dict[str, Api] = field(default_factory=dict)

    def __getitem__(self, who: str) -> Api:
        if who not in self._clients:
            self._clients[who] = Api(self._kubeconfig(who))
        return self._clients[who]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _kubeconfig(self, who: str) -> Path:
        kubeconfigs: dict[str, Callable[[], Path]] = {
            "admin": self.plane.kubeconfig,
            "equipoise": lambda: self.plane.service_account(SYSTEM, EQUIPOISE),
            "kube-scheduler": lambda: self.plane.kubeconfig("system:kube-scheduler"),
            "kubelet": lambda: self.plane.kubelet_kubeconfig(NODE),
            "job-controller": lambda: self.plane.service_account("kube-system", "job-controller"),
            "nameless-agent": lambda: self.plane.service_account(HOMES[AGENT], AGENT),
            "agent": lambda: self.plane.agent_kubeconfig(NODE),
        }
        return kubeconfigs.get(who, lambda: self.plane.kubeconfig(who))()


def police(plane: ControlPlane) -> None:
    """Apply CRDs and policies, and wait until the policies are in force."""
    plane.apply(BASE / "namespace.yaml", BASE / "crds")
    for home in HOMES.values():
        namespaces.furnish(plane.api, home)
    group = "/apis/equipoise.dev/v1alpha1"
    eventually(lambda: all(_allowed(plane.api, f"{group}/{kind}") for kind in CUSTOM), what="CRDs")
    plane.apply(*sorted((BASE / "policies").glob("*.yaml")))
    # The API server takes all policies in at once, in the order in which they were stored: the
    # one that was applied last refuses only when the others do.
    pod = untouched(schedulerName="equipoise", nodeName="anywhere")
    pods = "/api/v1/namespaces/default/pods"
    eventually(lambda: _refused(plane.api, pods, pod), 30, what="the policies are in force")


def settle(plane: ControlPlane) -> None:
    """Make the namespaces, the nodes (objects only) and the roles of the people."""
    namespaces.create(plane.api, TEAM, labels={"equipoise.dev/tenant": "a"})
    namespaces.create(plane.api, OUTSIDE)
    plane.nodes(2, prefix="gpu-", kwok=False)
    operators = [{"apiGroups": [""], "resources": ["*"], "verbs": ["*"]}]
    custom = [*GPUNODES, "tenants/status"]
    operators += [{"apiGroups": ["equipoise.dev"], "resources": custom, "verbs": ["*"]}]
    _role(plane.api, "operator", operators, [_user("operator")])
    spaces = ["namespaces", "namespaces/status"]
    ours: list[JSON] = [
        {"apiGroups": [""], "resources": ["pods", *PODS, "bindings", *spaces], "verbs": ["*"]},
        {"apiGroups": ["equipoise.dev"], "resources": custom, "verbs": ["*"]},
    ]
    _role(plane.api, "equipoise", ours, [_account(EQUIPOISE), _account(AGENT)])
    for name in (TEAM, OUTSIDE):
        _ruler(plane.api, name, "tenant")
    account = f"system:serviceaccount:{SYSTEM}:{EQUIPOISE}"
    for user, where in (("tenant", TEAM), ("tenant", OUTSIDE), ("operator", ""), (account, "")):
        eventually(lambda user=user, where=where: _may(plane.api, user, where), what=user)  # type: ignore[misc]


def disown(api: Api) -> None:
    """Take the roles for the whole cluster away: the next file's Equipoise has its own only."""
    for name in ("test-operator", "test-equipoise"):
        for kind in ("clusterrolebindings", "clusterroles"):
            api.delete(f"{RBAC}/{kind}/{name}")


def refusal(action: Callable[[], object]) -> str:
    """Return the sentence with which a policy refuses; anything else fails the test."""
    with pytest.raises(Refused) as caught:
        action()
    message = caught.value.message
    assert caught.value.status == 403, message
    assert "ValidatingAdmissionPolicy" in message, f"no policy refused this: {message}"
    return message.partition(" denied request: ")[2]


def _user(name: str) -> JSON:
    return {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}


def _account(name: str) -> JSON:
    return {"kind": "ServiceAccount", "name": name, "namespace": HOMES[name]}


def _role(api: Api, name: str, rules: list[JSON], subjects: list[JSON]) -> None:
    name = f"test-{name}"
    ref = {"kind": "ClusterRole", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
    for path, body in (
        ("clusterroles", {"rules": rules}),
        ("clusterrolebindings", {"roleRef": ref, "subjects": subjects}),
    ):
        api.ensure(f"{RBAC}/{path}", {"metadata": {"name": name}, **body})


def _ruler(api: Api, namespace: str, user: str) -> None:
    """Everything in one namespace, subresources included."""
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    ref = {"kind": "Role", "name": "ruler", "apiGroup": "rbac.authorization.k8s.io"}
    for path, body in (
        ("roles", {"rules": rules}),
        ("rolebindings", {"roleRef": ref, "subjects": [_user(user)]}),
    ):
        where = f"{RBAC}/namespaces/{namespace}/{path}"
        api.ensure(where, {"metadata": {"name": "ruler"}, **body})


def _may(api: Api, user: str, where: str) -> bool:
    """Whether the authorizer has taken in that the user may bind pods."""
    asked = {"verb": "create", "resource": "pods", "subresource": "binding", "namespace": where}
    body = {"spec": {"user": user, "resourceAttributes": asked}}
    answer = api.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
    allowed: bool = answer["status"]["allowed"]
    return allowed


def _allowed(api: Api, path: str) -> bool:
    try:
        return api.get(path) is not None
    except Refused:
        return False


def _refused(api: Api, path: str, body: JSON) -> bool:
    try:
        api.post(path, body, DRY)
    except Refused as error:
        return "ValidatingAdmissionPolicy" in error.message
    return False
