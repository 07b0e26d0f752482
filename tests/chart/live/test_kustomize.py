"""deploy/base on a real API server, as kubectl applies it."""

from tests.support.controlplane.api import Api
from tests.support.controlplane.layout import BASE
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually

HOOK = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/equipoise"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"


def test_it_applies_and_its_pods_run(plane: ControlPlane, api: Api) -> None:
    plane.apply(BASE)

    def started() -> dict[str, int]:
        labelled = {"labelSelector": "app.kubernetes.io/name=equipoise"}
        pods = api.items("/api/v1/pods", labelled)
        running = [each for each in pods if each["status"].get("phase") == "Running"]
        parts = [each["metadata"]["labels"]["app.kubernetes.io/component"] for each in running]
        return {part: parts.count(part) for part in parts}

    wanted = {"scheduler": 2, "agent": 1}
    eventually(lambda: (started() == wanted) or None, 60, what="both replicas and the agent run")
    assert api.get("/apis/equipoise.dev/v1alpha1/tenants/default")["spec"]["weight"] == 1


def test_it_is_deleted_without_its_tenants(plane: ControlPlane, api: Api) -> None:
    plane.apply(BASE)
    kept = "--selector=app.kubernetes.io/component!=tenancy"
    plane.kubectl("delete", "-k", str(BASE), kept, "--wait=false", "--ignore-not-found")
    assert api.get("/apis/equipoise.dev/v1alpha1/tenants/default")["spec"]["weight"] == 1
    for path in (HOOK, f"{ROLES}/equipoise-agent", f"{ROLES}/equipoise-scheduler"):
        assert api.find(path) is None
    namespace = api.find("/api/v1/namespaces/equipoise-system")
    assert namespace is None or "deletionTimestamp" in namespace["metadata"]
