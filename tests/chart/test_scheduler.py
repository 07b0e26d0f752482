"""The scheduler's Deployment, and who may reach it."""

import pytest

from tests.chart.objects import JSON, container, objects, one, pod_specs

DEFAULT = "registry.k8s.io/kube-scheduler"


def deployment(*arguments: str, kube_version: str = "v1.30.0") -> JSON:
    found = objects(*arguments, kube_version=kube_version)
    return one(found, "Deployment", "equipoise-scheduler")


@pytest.mark.parametrize(
    ("version", "tag"),
    [
        ("v1.30.2-gke.1587003", "v1.30.2"),
        ("v1.31.4-eks-7f9249a", "v1.31.4"),
        ("v1.32.1+k3s1", "v1.32.1"),
        ("v1.37.2", "v1.37.2"),
    ],
)
def test_kube_scheduler_follows_the_cluster_without_its_vendor(version: str, tag: str) -> None:
    spec = deployment(kube_version=version)["spec"]["template"]["spec"]
    assert container(spec, "kube-scheduler")["image"] == f"{DEFAULT}:{tag}"


def test_a_tag_that_is_named_wins() -> None:
    argument = "--set=kubeScheduler.image.tag=v1.36.9,image.repository=r/e,image.tag=v7"
    spec = deployment(argument, kube_version="v1.37.2")["spec"]["template"]["spec"]
    assert container(spec, "kube-scheduler")["image"] == f"{DEFAULT}:v1.36.9"
    assert container(spec, "serve")["image"] == "r/e:v7"


def test_the_probes_of_both_ask_serve() -> None:
    spec = deployment()["spec"]["template"]["spec"]
    serve, scheduler = container(spec, "serve"), container(spec, "kube-scheduler")
    assert scheduler["livenessProbe"] == serve["livenessProbe"]
    asked = scheduler["livenessProbe"]["httpGet"]
    ports = {port["name"]: port["containerPort"] for port in serve["ports"]}
    assert (asked["path"], asked["port"]) == ("/healthz", ports["http"])
    assert "--bind-address=127.0.0.1" in scheduler["args"]


def test_two_stand_on_two_nodes_if_they_can_and_one_may_be_away() -> None:
    found = objects()
    made = one(found, "Deployment", "equipoise-scheduler")
    pods = made["spec"]["template"]
    apart = pods["spec"]["affinity"]["podAntiAffinity"]
    (term,) = apart["preferredDuringSchedulingIgnoredDuringExecution"]
    selector = term["podAffinityTerm"]["labelSelector"]["matchLabels"]
    budget = one(found, "PodDisruptionBudget", "equipoise-scheduler")["spec"]
    assert made["spec"]["replicas"] == 2
    assert budget["maxUnavailable"] == 1
    for wanted in (selector, budget["selector"]["matchLabels"]):
        assert wanted.items() <= pods["metadata"]["labels"].items()


def test_a_changed_setting_rolls_the_pods() -> None:
    def checksum(*arguments: str) -> str:
        annotations = deployment(*arguments)["spec"]["template"]["metadata"]["annotations"]
        text: str = annotations["checksum/config"]
        return text

    assert checksum() == checksum()
    assert checksum() != checksum("--set=settings.packing.policy=best-fit")


def test_all_pods_but_real_agents_run_as_nobody_without_rights() -> None:
    specs = [*pod_specs(objects()), *pod_specs(objects("--set=agent.mock.enabled=true"))]
    assert len(specs) == 8
    for name, spec in specs:
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec.get("hostPID", False) is (name == "equipoise-agent" and "mock" not in str(spec))
        for each in [*spec.get("initContainers", ()), *spec["containers"]]:
            security = each["securityContext"]
            assert security["readOnlyRootFilesystem"] is True, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name


def test_the_status_page_is_for_whom_the_values_name() -> None:
    policy = one(objects(), "NetworkPolicy", "equipoise-scheduler")["spec"]
    page = next(rule for rule in policy["ingress"] if rule["ports"] == [{"port": "http"}])
    names = [peer.get("namespaceSelector", {}).get("matchLabels") for peer in page["from"]]
    assert {"kubernetes.io/metadata.name": "monitoring"} in names
    opened = objects("--set=service.type=NodePort,service.nodePort=30880")
    policy = one(opened, "NetworkPolicy", "equipoise-scheduler")["spec"]
    assert {"ports": [{"port": "http"}]} in policy["ingress"]
    (port,) = one(opened, "Service", "equipoise")["spec"]["ports"]
    assert port["nodePort"] == 30880


def test_a_journal_has_a_volume_of_its_own_and_only_where_it_is_asked_for() -> None:
    def volume(*arguments: str) -> list[JSON]:
        spec = deployment(*arguments)["spec"]["template"]["spec"]
        mounts = [each["mountPath"] for each in container(spec, "serve")["volumeMounts"]]
        assert ("/var/lib/equipoise" in mounts) is bool(arguments)
        return [each for each in spec["volumes"] if each["name"] == "journal"]

    assert volume() == []
    path = "--set=settings.journal.path=/var/lib/equipoise/journal.jsonl"
    assert volume(path) == [{"name": "journal", "emptyDir": {"sizeLimit": "256Mi"}}]
    (sized,) = volume(path, "--set=settings.journal.megabytes=10")
    assert sized["emptyDir"] == {"sizeLimit": "94Mi"}
