"""helm on a real API server: install, upgrade, uninstall. kwok plays the kubelet."""

import shutil
from pathlib import Path

import pytest

from hack.chart.helm import CHART, NAMESPACE
from tests.chart.live.conftest import NODE, Helm
from tests.chart.objects import JSON, objects, one
from tests.support.controlplane import namespaces
from tests.support.controlplane.api import Api, Refused
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually

TENANTS = "/apis/equipoise.dev/v1alpha1/tenants"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/tenants.equipoise.dev"
HOOK = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/equipoise"
CERTIFICATE = "Y2VydGlmaWNhdGU="


def running(api: Api, namespace: str) -> list[JSON]:
    pods = api.items(f"/api/v1/namespaces/{namespace}/pods")
    return [each for each in pods if each["status"].get("phase") == "Running"]


def test_all_is_taken_under_the_levels_that_it_names(released: Helm, api: Api) -> None:
    assert len(running(api, NAMESPACE)) == 2
    (agent,) = running(api, "equipoise-agents")
    assert agent["spec"]["nodeName"] == NODE
    assert "runtimeClassName" in agent["spec"]
    assert api.get(f"{TENANTS}/default")["spec"]["weight"] == 1
    assert "helm test equipoise" in released("get", "notes", "equipoise").out


def test_mocked_agents_pass_restricted(helm: Helm, api: Api) -> None:
    helm.install("--set=agent.mock.enabled=true", f"--set=agent.namespace={NAMESPACE}")
    try:
        assert len(running(api, NAMESPACE)) == 3
    finally:
        helm.run("uninstall", "equipoise", "--no-hooks", "--wait")


def test_the_pod_of_helm_test_passes_restricted(released: Helm, api: Api) -> None:
    pod = one(objects(), "Pod", "equipoise-test")
    accounts = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
    account = pod["spec"]["serviceAccountName"]
    api.post(accounts, {"metadata": {"name": account}})
    api.post(f"/api/v1/namespaces/{NAMESPACE}/pods", pod, {"dryRun": "All"})
    api.delete(f"{accounts}/{account}")


def test_an_upgrade_brings_new_fields_and_leaves_what_runs(
    released: Helm, api: Api, tmp_path: Path
) -> None:
    before = {each["metadata"]["uid"] for each in running(api, "equipoise-agents")}
    api.patch(f"{TENANTS}/default", {"spec": {"weight": 5}})
    trusted = [{"name": "pods.equipoise.dev", "clientConfig": {"caBundle": CERTIFICATE}}]
    api.patch(HOOK, {"webhooks": trusted}, "application/strategic-merge-patch+json")
    newer = shutil.copytree(CHART, tmp_path / "equipoise")
    definition = newer / "templates" / "crds" / "tenants.yaml"
    field = "              properties:\n                motto: {type: string}\n"
    marked = definition.read_text().replace("              properties:\n", field, 1)
    definition.write_text(marked)

    released.upgrade("--set=settings.packing.policy=best-fit", chart=newer)

    schema = api.get(CRD)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert "motto" in schema["properties"]["spec"]["properties"]
    assert {each["metadata"]["uid"] for each in running(api, "equipoise-agents")} == before
    assert api.get(f"{TENANTS}/default")["spec"]["weight"] == 5
    hook = next(e for e in api.get(HOOK)["webhooks"] if e["name"] == "pods.equipoise.dev")
    assert hook["clientConfig"]["caBundle"] == CERTIFICATE


def test_what_admins_wrote_survives_an_uninstall(released: Helm, api: Api) -> None:
    kind = {"apiVersion": "equipoise.dev/v1alpha1", "kind": "Tenant"}
    api.post(TENANTS, {**kind, "metadata": {"name": "research"}, "spec": {"weight": 3}})
    released("uninstall", "equipoise", "--no-hooks", "--wait")
    assert api.get(f"{TENANTS}/research")["spec"]["weight"] == 3
    with pytest.raises(Refused, match="404"):
        api.get(HOOK)
    released.install()
    assert api.get(f"{TENANTS}/research")["spec"]["weight"] == 3
    assert api.get(f"{TENANTS}/default")["spec"]["priority"] == 100


def test_a_second_one_is_refused(released: Helm, plane: ControlPlane) -> None:
    namespaces.create(plane.api, "elsewhere")
    done = released.run("install", "another", str(CHART))
    assert done.status != 0
    assert "exists and cannot be imported into the current release" in done.err


def test_an_uninstall_leaves_nothing_of_its_own(released: Helm, api: Api) -> None:
    """Its hooks run to the end where a kubelet plays along; kwok completes Jobs."""
    released("uninstall", "equipoise", "--wait", "--timeout=1m")
    left = eventually(
        lambda: not api.items(f"/api/v1/namespaces/{NAMESPACE}/pods"), 30, what="all is gone"
    )
    assert left
    for path in ("serviceaccounts", "configmaps"):
        names = [
            each["metadata"]["name"] for each in api.items(f"/api/v1/namespaces/{NAMESPACE}/{path}")
        ]
        assert not [name for name in names if name.startswith("equipoise")]
