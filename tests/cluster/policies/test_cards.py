"""In tenants' namespaces, and for pods that ask anywhere, every other way to a card is closed."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.policies.people import DRY, NODE, OUTSIDE, TEAM, People, refusal
from tests.cluster.policies.specimens import (
    CDI,
    FRACTION,
    MIRROR,
    VISIBLE,
    VOID,
    asking,
    container,
    env,
    more,
    plain,
    untouched,
)
from tests.support.controlplane.api import JSON, STRATEGIC

SEEING = (
    "container main sets NVIDIA_VISIBLE_DEVICES, which Equipoise does; remove it, and ask by "
    "equipoise.dev/gpu-fraction"
)
UNSET = (
    "container main lacks NVIDIA_VISIBLE_DEVICES, without which its image may see every GPU; "
    "Equipoise's webhook sets it, so ask your admins whether it is installed"
)
LIMITING = (
    "container main sets variables by which NVIDIA's runtime or MPS limit a GPU; remove CUDA_MPS_* "
    "and the like, as Equipoise sets what the request allows"
)
PRIVILEGED = "container main is privileged and would see every GPU of its node; remove privileged"
RESOURCED = (
    "container main asks NVIDIA's device plugin for GPUs; remove nvidia.com/… from its resources, "
    "and ask by equipoise.dev/gpu-fraction"
)
MOUNTING = (
    "container main mounts a path by which NVIDIA's runtime hands out GPUs; mount the volume "
    "elsewhere"
)
RUNTIME = (
    "the pod names a runtimeClassName of NVIDIA's without asking for GPUs; remove it, or ask by "
    "equipoise.dev/gpu-fraction"
)
INJECTING = (
    " would give the pod devices past Equipoise; remove it, and ask by equipoise.dev/gpu-fraction"
)
TEAM_PODS, OUTSIDE_PODS = (f"/api/v1/namespaces/{name}/pods" for name in (TEAM, OUTSIDE))
CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"
INJECTORS = [
    *(CDI, "nvidia.cdi.k8s.io/pod", "cdi.k8s.io/all", "cdi-devices.nri.io/container.main"),
    *("devices.nri.io/container.main", "cdi-devices.noderesource.dev/pod"),
    *("io.kubernetes.cri-o.Devices", "devices.crio.io"),
]


def at_host(path: str) -> str:
    return (
        f"hostPath {path} leads to devices or to those who hand them out; use another volume "
        "(for /dev/shm an emptyDir with medium Memory)"
    )


def host(path: str, **fields: Any) -> JSON:
    volume = {"name": "host", "hostPath": {"path": path, **fields}}
    return {"volumes": [volume], "main": {"volumeMounts": [mount("/mnt")]}}


def mount(path: str) -> JSON:
    return {"name": "host", "mountPath": path}


def visible(value: str) -> JSON:
    return {"name": "NVIDIA_VISIBLE_DEVICES", "value": value}


def from_config(name: str) -> JSON:
    return {"name": name, "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}


def resources(name: str, amount: str = "1") -> JSON:
    return {"resources": {"limits": {name: amount}, "requests": {name: amount}}}


@pytest.fixture(scope="module", autouse=True)
def runtime_classes(people: People) -> Iterator[None]:
    names = ["nvidia", "nvidia-cdi", "nvidia-legacy", "gvisor", "nvidiafree"]
    for name in names:
        people["admin"].post(CLASSES, {"metadata": {"name": name}, "handler": "runc"})
    yield
    for name in names:
        people["admin"].delete(f"{CLASSES}/{name}")


SMUGGLED_ENV = [
    pytest.param({"env": [visible("all")]}, SEEING, id="all"),
    pytest.param({"env": [visible("0")]}, SEEING, id="by-index"),
    pytest.param({"env": [visible("GPU-1")]}, SEEING, id="by-uuid"),
    pytest.param({"env": [visible("$(OTHER)")]}, SEEING, id="by-another-variable"),
    pytest.param({"env": [visible("void,0")]}, SEEING, id="void-and-more"),
    pytest.param({"env": [visible("VOID")]}, SEEING, id="void-in-capitals"),
    pytest.param({"env": [visible("none")]}, SEEING, id="libraries-only"),
    pytest.param(more(visible("all")), SEEING, id="before-ours"),
    pytest.param({"env": [VOID, visible("all")]}, SEEING, id="after-ours"),
    pytest.param({"env": [env("NVIDIA_VISIBLE_DEVICES", "mine")]}, SEEING, id="own-annotation"),
    pytest.param({"env": [env("NVIDIA_VISIBLE_DEVICES", FRACTION)]}, SEEING, id="our-annotation"),
    pytest.param({"env": [from_config("NVIDIA_VISIBLE_DEVICES")]}, SEEING, id="config-map"),
    pytest.param({"env": []}, UNSET, id="unset"),
    pytest.param({"env": [{"name": "A", "value": "b"}]}, UNSET, id="others-only"),
    pytest.param({"env": [], "envFrom": [{"configMapRef": {"name": "c"}}]}, UNSET, id="env-from"),
    *(
        pytest.param(more({"name": name, "value": "100"}), LIMITING, id=name.lower())
        for name in (
            "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE",
            "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT",
            "CUDA_MPS_PIPE_DIRECTORY",
            "CUDA_MPS_CLIENT_PRIORITY",
            "NVIDIA_GPU_MEMORY_LIMIT",
            "NVIDIA_GPU_MEMORY_REQUEST",
            "NVIDIA_MIG_CONFIG_DEVICES",
            "NVIDIA_MIG_MONITOR_DEVICES",
            "NVIDIA_IMEX_CHANNELS",
        )
    ),
    pytest.param(
        more(env("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "equipoise.dev/gpu-models")),
        LIMITING,
        id="limit-from-a-request",
    ),
    pytest.param(more(from_config("NVIDIA_GPU_MEMORY_LIMIT")), LIMITING, id="limit-from-config"),
    pytest.param(
        {"envFrom": [{"prefix": "CUDA_MPS_", "configMapRef": {"name": "c"}}]},
        LIMITING,
        id="prefix-of-mps",
    ),
    pytest.param(
        {"envFrom": [{"prefix": "NVIDIA_", "secretRef": {"name": "c"}}]},
        LIMITING,
        id="prefix-of-nvidia",
    ),
]
"""Fields of a container that is to see more than it is given."""

SMUGGLED = [
    *SMUGGLED_ENV,
    pytest.param({"securityContext": {"privileged": True}}, PRIVILEGED, id="privileged"),
    pytest.param(resources("nvidia.com/gpu"), RESOURCED, id="device-plugin"),
    pytest.param(resources("nvidia.com/gpu.shared"), RESOURCED, id="shared-by-plugin"),
    pytest.param(resources("nvidia.com/mig-1g.10gb"), RESOURCED, id="mig-by-plugin"),
]


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
@pytest.mark.parametrize(("fields", "sentence"), SMUGGLED)
def test_no_container_of_a_tenants_pod_gets_at_a_card(
    people: People, fields: JSON, sentence: str, kind: str
) -> None:
    if kind == "containers":
        pod = plain(main=fields)
    else:
        first = container("main", **fields)
        pod = plain(initContainers=[first], containers=[container("other")])
    assert refusal(lambda: people["tenant"].post(TEAM_PODS, pod, DRY)) == sentence


@pytest.mark.parametrize("where", [TEAM_PODS, OUTSIDE_PODS], ids=["tenants", "unlabelled"])
@pytest.mark.parametrize(("fields", "sentence"), SMUGGLED)
def test_nor_does_a_second_container_of_a_pod_with_a_share(
    people: People, fields: JSON, sentence: str, where: str
) -> None:
    containers = [container("first", env=[VISIBLE]), container("main", **fields)]
    pod = asking(containers=containers)
    assert refusal(lambda: people["tenant"].post(where, pod, DRY)) == sentence


def test_an_admin_may_not_either(people: People) -> None:
    pod = plain(main={"env": [visible("all")]})
    assert refusal(lambda: people["admin"].post(TEAM_PODS, pod, DRY)) == SEEING


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        *SMUGGLED_ENV,
        pytest.param({"securityContext": {"privileged": True}}, PRIVILEGED, id="privileged"),
    ],
)
def test_no_ephemeral_container_gets_at_a_card(
    people: People, running: JSON, fields: JSON, sentence: str
) -> None:
    target = f"{TEAM_PODS}/{running['metadata']['name']}/ephemeralcontainers"
    debug = container("main", targetContainerName="sidecar", **fields)
    debug["name"] = "debug"
    body = {"spec": {"ephemeralContainers": [debug]}}
    said = refusal(lambda: people["tenant"].patch(target, body, STRATEGIC))
    assert said == sentence.replace("container main", "container debug")


def test_an_ephemeral_container_that_sees_nothing_may_debug(people: People, running: JSON) -> None:
    target = f"{TEAM_PODS}/{running['metadata']['name']}/ephemeralcontainers"
    for name in ("debug", "debug-again"):
        body = {"spec": {"ephemeralContainers": [container(name)]}}
        people["tenant"].patch(target, body, STRATEGIC)
    found = people["tenant"].get(target.removesuffix("/ephemeralcontainers"))
    assert len(found["spec"]["ephemeralContainers"]) == 2


def test_what_was_there_before_the_namespace_became_a_tenants_stays(people: People) -> None:
    """An old ephemeral container that sees all is no reason to refuse a new one that doesn't."""
    admin, tenant = people["admin"], people["tenant"]
    tenant.post(OUTSIDE_PODS, untouched("older"))
    target, body = (
        f"{OUTSIDE_PODS}/older",
        {"spec": {"ephemeralContainers": [{"name": "old", "image": "x"}]}},
    )
    tenant.patch(f"{target}/ephemeralcontainers", body, STRATEGIC)
    space = f"/api/v1/namespaces/{OUTSIDE}"
    admin.patch(space, {"metadata": {"labels": {"equipoise.dev/tenant": "a"}}})
    try:
        tenant.patch(target, {"metadata": {"labels": {"a": "b"}}})
        body = {"spec": {"ephemeralContainers": [container("new")]}}
        tenant.patch(f"{target}/ephemeralcontainers", body, STRATEGIC)
    finally:
        admin.patch(space, {"metadata": {"labels": {"equipoise.dev/tenant": None}}})


@pytest.mark.parametrize("key", INJECTORS)
@pytest.mark.parametrize("make", [plain, asking])
def test_no_annotation_injects_devices(people: People, make: Any, key: str) -> None:
    pod = make(notes={key: "nvidia.com/gpu=all"})
    assert refusal(lambda: people["tenant"].post(TEAM_PODS, pod, DRY)) == key + INJECTING


@pytest.mark.parametrize("subresource", ["", "/status"])
@pytest.mark.parametrize("key", INJECTORS)
def test_nor_is_one_added_later(people: People, running: JSON, key: str, subresource: str) -> None:
    target = f"{TEAM_PODS}/{running['metadata']['name']}{subresource}"
    body = {"metadata": {"annotations": {key: "nvidia.com/gpu=all"}}}
    assert refusal(lambda: people["tenant"].patch(target, body)) == key + INJECTING


PATHS = [
    *("/", "/dev", "/dev/", "//dev", "/./dev/./", "/dev/nvidia0", "/dev/nvidiactl", "/dev/shm"),
    *("/proc", "/sys", "/sys/fs/cgroup", "/var", "/var/run", "/var/run/nvidia-persistenced/socket"),
    *("/run", "/run/containerd/containerd.sock", "/run/nvidia/driver", "/var/lib"),
    *("/var/lib/kubelet", "/var/lib/kubelet/device-plugins", "/var/lib/kubelet/pod-resources"),
    *("/etc", "/etc/cdi", "/etc/kubernetes/manifests", "/tmp", "/tmp/nvidia-mps"),
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("make", [plain, asking])
def test_no_host_path_leads_to_devices(people: People, make: Any, path: str) -> None:
    pod = make(**host(path))
    parts = [part for part in path.split("/") if part not in {"", "."}]
    clean = "/" + "".join(f"{part}/" for part in parts)
    assert refusal(lambda: people["tenant"].post(TEAM_PODS, pod, DRY)) == at_host(clean)


@pytest.mark.parametrize("path", ["/data", "/srv/dev", "/device", "/var/lib/data", "/opt/run"])
def test_other_host_paths_are_left_to_pod_security(people: People, path: str) -> None:
    people["tenant"].post(TEAM_PODS, plain(**host(path)), DRY)


@pytest.mark.parametrize(
    "path",
    [
        "/var/run/nvidia-container-devices/all",
        "/var/run/../run/nvidia-container-devices/0",
        "//var/run/nvidia-container-devices",
    ],
)
def test_no_mount_asks_nvidias_runtime_for_cards(people: People, path: str) -> None:
    volumes = [{"name": "host", "emptyDir": {}}]
    pod = plain(volumes=volumes, main={"volumeMounts": [mount(path)]})
    assert refusal(lambda: people["tenant"].post(TEAM_PODS, pod, DRY)) == MOUNTING


@pytest.mark.parametrize("name", ["nvidia", "nvidia-cdi", "nvidia-legacy"])
def test_nvidias_runtime_is_for_pods_that_ask(people: People, name: str) -> None:
    pod = plain(runtimeClassName=name)
    assert refusal(lambda: people["tenant"].post(TEAM_PODS, pod, DRY)) == RUNTIME
    people["tenant"].post(TEAM_PODS, asking(runtimeClassName=name), DRY)


@pytest.mark.parametrize("make", [plain, untouched])
def test_who_dresses_a_pod_up_as_static_gets_no_further(people: People, make: Any) -> None:
    """The annotation of static pods keeps the webhook away, so the policy must not heed it."""
    seen = {"env": [visible("all")]}
    pod = make(notes={MIRROR: "hash"}, nodeName=NODE, main=seen)
    assert refusal(lambda: people["tenant"].post(TEAM_PODS, pod, DRY)) == SEEING


def test_a_kubelets_picture_of_a_static_pod_is_stored(people: People) -> None:
    owner: JSON = {"apiVersion": "v1", "kind": "Node", "name": NODE, "controller": True}
    owner["uid"] = people["admin"].get(f"/api/v1/nodes/{NODE}")["metadata"]["uid"]
    pod = untouched(notes={MIRROR: "hash"}, nodeName=NODE)
    pod["metadata"]["ownerReferences"] = [owner]
    people["kubelet"].post(TEAM_PODS, pod, DRY)


INNOCENT = [
    pytest.param(plain(), id="plain"),
    pytest.param(asking(), id="with-a-share"),
    pytest.param(plain(main={"env": [VISIBLE]}), id="sees-what-it-is-assigned-nothing"),
    pytest.param(
        plain(main=more({"name": "CUDA_VISIBLE_DEVICES", "value": "0"})), id="cuda-numbering"
    ),
    pytest.param(
        plain(main=more({"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "all"})), id="capabilities"
    ),
    pytest.param(plain(main={"envFrom": [{"configMapRef": {"name": "c"}}]}), id="env-from"),
    pytest.param(plain(main={"securityContext": {"privileged": False}}), id="not-privileged"),
    pytest.param(plain(main=resources("nvidia.com/gpu", "0")), id="no-gpu-of-the-plugin"),
    pytest.param(plain(main=resources("nvidia.com/hostdev")), id="a-nic-of-nvidias"),
    pytest.param(plain(main=resources("cpu")), id="cpu"),
    pytest.param(plain(runtimeClassName="gvisor"), id="other-runtime"),
    pytest.param(plain(runtimeClassName="nvidiafree"), id="runtime-alike"),
    pytest.param(
        plain(notes={"example.com/cdi": "x", "mycdi.k8s.io.example.com/x": "y"}), id="notes-alike"
    ),
]


@pytest.mark.parametrize("pod", INNOCENT)
def test_all_others_run_in_a_tenants_namespace(people: People, pod: JSON) -> None:
    assert people["tenant"].post(TEAM_PODS, pod, DRY)["metadata"]["name"] == "p"


FREE = [
    pytest.param(OUTSIDE, untouched(), id="untouched"),
    pytest.param(OUTSIDE, untouched(main={"env": [visible("all")]}), id="sees-all"),
    pytest.param(OUTSIDE, untouched(main=resources("nvidia.com/gpu")), id="device-plugin"),
    pytest.param(OUTSIDE, untouched(runtimeClassName="nvidia", **host("/dev")), id="driver"),
    pytest.param(OUTSIDE, untouched(notes={CDI: "management.nvidia.com/gpu=all"}), id="cdi"),
    pytest.param(
        "kube-system", untouched(main={"securityContext": {"privileged": True}}), id="kube-system"
    ),
    pytest.param("kube-system", untouched(**host("/dev")), id="kube-system-devices"),
    pytest.param(
        "equipoise-agents",
        untouched(main={"env": [visible("all")], "securityContext": {"privileged": True}}),
        id="our-own-agent",
    ),
]


@pytest.mark.parametrize(("where", "pod"), FREE)
def test_other_namespaces_are_none_of_our_business(people: People, where: str, pod: JSON) -> None:
    people["admin"].post(f"/api/v1/namespaces/{where}/pods", pod, DRY)


CLAIMS = f"/apis/resource.k8s.io/v1/namespaces/{TEAM}"


def claim(kind: str, request: JSON) -> JSON:
    spec: JSON = {"devices": {"requests": [{"name": "a", **request}]}}
    if kind == "resourceclaimtemplates":
        spec = {"spec": spec}
    return {"metadata": {"name": "c"}, "spec": spec}


@pytest.mark.parametrize("name", ["gpu.nvidia.com", "mig.nvidia.com"])
@pytest.mark.parametrize("kind", ["resourceclaims", "resourceclaimtemplates"])
@pytest.mark.parametrize("choice", [False, True], ids=["exactly", "first-available"])
def test_no_resource_claim_asks_for_nvidias_devices(
    people: People, kind: str, name: str, choice: bool
) -> None:
    one = {"exactly": {"deviceClassName": name}}
    several = [
        {"name": "x", "deviceClassName": "other.example.com"},
        {"name": "y", "deviceClassName": name},
    ]
    body = claim(kind, {"firstAvailable": several} if choice else one)
    assert refusal(lambda: people["tenant"].post(f"{CLAIMS}/{kind}", body, DRY)) == (
        f"device class {name} would give pods GPUs past Equipoise; ask by the annotation "
        "equipoise.dev/gpu-fraction on the pod"
    )


@pytest.mark.parametrize("kind", ["resourceclaims", "resourceclaimtemplates"])
def test_resource_claims_for_other_devices_are_free(people: People, kind: str) -> None:
    body = claim(kind, {"exactly": {"deviceClassName": "nic.example.com"}})
    people["tenant"].post(f"{CLAIMS}/{kind}", body, DRY)
    outside = CLAIMS.replace(TEAM, OUTSIDE)
    body = claim(kind, {"exactly": {"deviceClassName": "gpu.nvidia.com"}})
    people["tenant"].post(f"{outside}/{kind}", body, DRY)
