"""The webhook in front of a real API server: what is stored, what is refused, what fails closed."""

import base64
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.core.model import names
from tests.support.admission import (
    ADMISSION,
    KINDS,
    Admission,
    bundles,
    install,
    namespace_of,
    until_trusted,
)
from tests.support.controlplane.api import JSON, MERGE, STRATEGIC, Api, Refused
from tests.support.controlplane.layout import BASE
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.sweeping import AT_ONCE, drop_namespace
from tests.support.controlplane.waiting import eventually
from tests.webhook.pods import DEVICES, GATE, MPS, VOID, F, box, pod_of

NOTES, ON = "annotations", names.GPU_CONTAINERS
SECRET = "/api/v1/namespaces/equipoise-system/secrets/equipoise-webhook-tls"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def webhook(plane: ControlPlane) -> Iterator[Admission]:
    plane.apply(BASE / "namespace.yaml", BASE / "rbac.yaml")
    account = plane.service_account("equipoise-system", "equipoise-scheduler")
    with Admission(account, take_over=("kai-scheduler",)) as serving:
        install(plane.api, serving.url)
        until_trusted(plane.api)
        lab = namespace_of(plane.api, "webhook-probe", "probe")
        # The API server learns of configurations by a watch of its own.
        eventually(lambda: created(plane.api, lab, pod_of())["env"] == [[VOID]], 20, what="asked")
        yield serving
    drop_namespace(plane.api, "webhook-probe")


@pytest.fixture
def tenants(api: Api, webhook: Admission) -> Iterator[str]:
    """Path of the pods of a tenant's namespace."""
    name = f"webhook-tenant-{next(_numbers)}"
    yield namespace_of(api, name, "team")
    drop_namespace(api, name)


@pytest.fixture
def others(api: Api, webhook: Admission) -> Iterator[str]:
    """Path of the pods of a namespace that belongs to nobody in particular."""
    name = f"webhook-other-{next(_numbers)}"
    yield namespace_of(api, name)
    drop_namespace(api, name)


def created(api: Api, pods: str, pod: JSON) -> JSON:
    """Create the pod under a name of its own; return what matters of what is stored."""
    metadata = {**pod["metadata"], "name": f"p{next(_numbers)}"}
    metadata.pop("namespace", None)
    stored = api.post(pods, {**pod, "metadata": metadata})
    spec = stored["spec"]
    containers = (*spec.get("initContainers", ()), *spec["containers"])
    return {
        "name": metadata["name"],
        "scheduler": spec["schedulerName"],
        "gates": spec.get("schedulingGates", []),
        "tolerates": [each.get("key") for each in spec.get("tolerations", ())],
        "notes": stored["metadata"].get(NOTES, {}),
        "env": [each.get("env", []) for each in containers],
        "asks": [each["resources"] for each in containers],
    }


def refused(api: Api, pods: str, pod: JSON) -> str:
    with pytest.raises(Refused) as caught:
        created(api, pods, pod)
    return caught.value.message


WIRED = {
    "a share": (pod_of({F: "0.25"}), {F: "0.25", ON: "main"}, [[DEVICES, *MPS]]),
    "two containers": (
        pod_of({F: "0.25"}, box("a"), box("b"), initContainers=[box("i")]),
        {F: "0.25", ON: "a"},
        [[VOID], [DEVICES, *MPS], [VOID]],
    ),
    "a limit of nvidia.com/gpu": (
        pod_of(None, box(resources={"limits": {names.NVIDIA_GPU: "2"}})),
        {F: "2", ON: "main"},
        [[DEVICES]],
    ),
    "KAI's manifest": (
        pod_of({"gpu-fraction": "0.5"}, schedulerName="kai-scheduler"),
        {"gpu-fraction": "0.5", ON: "main"},
        [[DEVICES, *MPS]],
    ),
    "a variable of its own": (
        pod_of({F: "0.25"}, box(env=[{"name": "A", "value": "1"}])),
        {F: "0.25", ON: "main"},
        [[{"name": "A", "value": "1"}, DEVICES, *MPS]],
    ),
}


@pytest.mark.parametrize(("pod", "notes", "env"), WIRED.values(), ids=WIRED.keys())
def test_a_pod_that_asks_is_stored_gated_and_wired(
    api: Api, tenants: str, pod: JSON, notes: JSON, env: list[Any]
) -> None:
    found = created(api, tenants, pod)
    assert (found["scheduler"], found["gates"]) == ("equipoise", [GATE])
    assert (found["notes"], found["env"]) == (notes, env)
    assert names.MANAGED_LABEL in found["tolerates"]
    assert not any(names.NVIDIA_GPU in str(resources) for resources in found["asks"])


def test_a_deployments_pods_come_out_the_same(plane: ControlPlane, api: Api, tenants: str) -> None:
    namespace = tenants.split("/")[4]
    template = {
        "metadata": {"labels": {"app": "x"}},
        "spec": {"containers": [box(resources={"limits": {names.NVIDIA_GPU: "1"}})]},
    }
    body = {
        "metadata": {"name": "x"},
        "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template},
    }
    api.post(f"/apis/apps/v1/namespaces/{namespace}/deployments", body)
    (pod,) = eventually(lambda: api.items(tenants) or None, 20, what="the pod is there")
    assert pod["spec"]["schedulingGates"] == [GATE]
    assert pod["metadata"][NOTES][F] == "1"


def test_a_pod_without_a_request_only_loses_its_view_of_gpus(api: Api, tenants: str) -> None:
    found = created(api, tenants, pod_of(None, box("a"), initContainers=[box("i")]))
    assert found["env"] == [[VOID], [VOID]]
    assert (found["scheduler"], found["gates"], found["notes"]) == ("default-scheduler", [], {})


def test_elsewhere_only_pods_in_words_of_ours_are_touched(api: Api, others: str) -> None:
    assert created(api, others, pod_of())["env"] == [[]]
    kai = pod_of({"gpu-fraction": "0.5"}, schedulerName="somebody-elses")
    assert created(api, others, kai)["gates"] == []
    assert created(api, others, pod_of({F: "0.5"}))["gates"] == [GATE]
    assert created(api, others, pod_of({"gpu-fraction": "0.5"}))["gates"] == [GATE]
    assert created(api, others, pod_of(schedulerName="equipoise"))["env"] == [[VOID]]


ALL = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}
BAD = {
    "an unreadable share": (pod_of({F: "half"}), "write a share such as"),
    "all devices": (pod_of({F: "0.5"}, box(env=[ALL])), "sets NVIDIA_VISIBLE_DEVICES"),
    "all devices, without a share": (pod_of(None, box(env=[ALL])), "leave it out"),
    "limits of its own": (
        pod_of({F: "0.5"}, box(env=[{"name": "CUDA_MPS_PIPE_DIRECTORY", "value": "/x"}])),
        "sets CUDA_MPS_PIPE_DIRECTORY",
    ),
    "an unknown container": (pod_of({F: "1", ON: "x"}), 'no container "x"; the pod has main'),
    "another scheduler": (pod_of({F: "1"}, schedulerName="volcano"), "another scheduler's"),
    "a node": (pod_of({F: "1"}, nodeName="n"), "passes by the shares"),
    "devices": (pod_of({F: "1", names.DEVICES: "GPU-1"}), "written by Equipoise only"),
    "a slice": (
        pod_of(None, box(resources={"limits": {"nvidia.com/mig-1g.10gb": "1"}})),
        "passes by the shares",
    ),
}


@pytest.mark.parametrize(("pod", "says"), BAD.values(), ids=BAD.keys())
def test_a_bad_pod_is_refused_with_the_sentence(
    api: Api, tenants: str, pod: JSON, says: str
) -> None:
    text = refused(api, tenants, pod)
    assert 'admission webhook "tenants.equipoise.dev" denied the request: ' in text
    assert says in text


def test_kubectl_shows_the_sentence(plane: ControlPlane, tenants: str) -> None:
    namespace = tenants.split("/")[4]
    overrides = '{"metadata":{"annotations":{"equipoise.dev/gpu-fraction":"1.5"}}}'
    with pytest.raises(RuntimeError, match="neither a share of one GPU nor a whole number"):
        plane.kubectl("run", "x", "-n", namespace, "--image=x", f"--overrides={overrides}")


def test_a_debug_container_sees_no_gpu(api: Api, tenants: str) -> None:
    path = f"{tenants}/{created(api, tenants, pod_of({F: '0.5'}))['name']}/ephemeralcontainers"
    debug = {"spec": {"ephemeralContainers": [{"name": "d", "image": "x"}]}}
    stored = api.patch(path, debug, STRATEGIC)
    assert stored["spec"]["ephemeralContainers"][0]["env"] == [VOID]
    # A second one is added beside the first.
    debug["spec"]["ephemeralContainers"][0]["name"] = "e"
    stored = api.patch(path, debug, STRATEGIC)
    assert [each["env"] for each in stored["spec"]["ephemeralContainers"]] == [[VOID], [VOID]]
    bad = {"spec": {"ephemeralContainers": [{"name": "f", "image": "x", "env": [ALL]}]}}
    with pytest.raises(Refused, match='container "f" sets NVIDIA_VISIBLE_DEVICES'):
        api.patch(path, bad, STRATEGIC)


def test_a_kubelets_picture_of_a_static_pod_is_left_alone(
    plane: ControlPlane, tenants: str
) -> None:
    plane.nodes(1, prefix="static-", kwok=False)
    pod = pod_of({"kubernetes.io/config.mirror": "1"}, nodeName="static-0")
    with Api(plane.kubelet_kubeconfig("static-0")) as kubelet:
        assert created(kubelet, tenants, pod)["env"] == [[]]
    # Somebody else who writes that annotation is treated like anybody.
    assert created(plane.api, tenants, pod)["env"] == [[VOID]]


def test_the_certificate_is_in_a_secret_and_its_authority_comes_back(
    api: Api, webhook: Admission
) -> None:
    secret = api.get(SECRET)
    assert secret["type"] == "kubernetes.io/tls"
    trusted = secret["data"]["ca.crt"]
    assert base64.b64decode(trusted).startswith(b"-----BEGIN CERTIFICATE-----")
    assert bundles(api) == [trusted] * 4
    for kind in KINDS:
        found = api.get(f"{ADMISSION}/{kind}/equipoise")
        for entry in found["webhooks"]:
            entry["clientConfig"].pop("caBundle")
        api.put(f"{ADMISSION}/{kind}/equipoise", found)
    eventually(lambda: bundles(api) == [trusted] * 4, 10, what="the authority is back")


def test_a_second_replica_serves_the_same_certificate(
    plane: ControlPlane, api: Api, webhook: Admission
) -> None:
    before = api.get(SECRET)
    account = plane.service_account("equipoise-system", "equipoise-scheduler")
    with Admission(account):
        assert api.get(SECRET)["metadata"] == before["metadata"]


def test_all_that_it_makes_passes_the_policies(
    plane: ControlPlane, api: Api, tenants: str, others: str
) -> None:
    plane.apply(BASE / "policies")
    privileged = pod_of(None, box(securityContext={"privileged": True}))
    eventually(lambda: _refused_by_policy(api, tenants, privileged), 20, what="policies are on")
    for pod, _, _ in WIRED.values():
        assert created(api, tenants, pod)["gates"] == [GATE]
    assert created(api, tenants, pod_of())["env"] == [[VOID]]
    none = pod_of(None, box(env=[{"name": "NVIDIA_VISIBLE_DEVICES", "value": "none"}]))
    assert created(api, tenants, none)["env"] == [[VOID]]
    assert created(api, others, pod_of({"gpu-fraction": "0.5"}))["gates"] == [GATE]


def _refused_by_policy(api: Api, pods: str, pod: JSON) -> bool:
    try:
        created(api, pods, pod)
    except Refused as problem:
        return "ValidatingAdmissionPolicy" in problem.message
    return False


def test_its_account_may_do_all_that_it_does(plane: ControlPlane, webhook: Admission) -> None:
    account = "system:serviceaccount:equipoise-system:equipoise-scheduler"
    assert plane.audit.entries(user=account)
    assert [(each.verb, each.path) for each in plane.audit.entries(user=account, status=403)] == []


# Last: from here on nobody answers.


def test_without_a_webhook_ours_fail_closed_and_nobody_else_notices(
    plane: ControlPlane, api: Api, tenants: str, others: str
) -> None:
    path = f"{tenants}/{created(api, tenants, pod_of({F: '0.5'}))['name']}"
    nowhere = "https://127.0.0.1:1"
    install(api, nowhere)
    failed = "failed calling webhook"
    eventually(lambda: failed in _problem(api, tenants, pod_of()), 20, what="nobody answers")
    assert failed in refused(api, others, pod_of({F: "0.5"}))
    assert created(api, others, pod_of())["env"] == [[]]
    system = "/api/v1/namespaces/kube-system/pods"
    api.delete(f"{system}/{created(api, system, pod_of({F: '0.5'}))['name']}", AT_ONCE)
    # What exists goes on: labels, annotations, a status, its end.
    api.patch(path, {"metadata": {"labels": {"a": "b"}, NOTES: {"a": "b"}}}, MERGE)
    api.patch(f"{path}/status", {"status": {"message": "x"}}, MERGE)
    api.delete(path)


def _problem(api: Api, pods: str, pod: JSON) -> str:
    try:
        created(api, pods, pod)
    except Refused as problem:
        return problem.message
    return ""
