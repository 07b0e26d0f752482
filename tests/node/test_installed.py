"""What `helm install --wait` leaves: a ready node, ready pods, no complaint."""

import pytest

from tests.support.controlplane.api import JSON, Api
from tests.support.controlplane.waiting import eventually
from tests.support.node.layout import NODE
from tests.support.node.release import ACCOUNTS, AGENTS, NAMESPACE, Release


def test_the_node_is_ready(release: Release, api: Api) -> None:
    assert release.machine.ready()
    info = api.get(f"/api/v1/nodes/{NODE}")["status"]["nodeInfo"]
    assert info["containerRuntimeVersion"].startswith("containerd://")


def test_its_pods_are_ready_and_were_never_restarted(release: Release) -> None:
    def three() -> list[JSON] | None:
        pods = [*release.pods("scheduler"), *release.pods("agent", AGENTS)]
        return pods if len(pods) == 3 else None

    pods = eventually(three, what="those of an earlier release are gone")
    for pod in pods:
        states = pod["status"]["containerStatuses"]
        assert all(each["ready"] and not each["restartCount"] for each in states), pod["status"]


@pytest.mark.usefixtures("release")
def test_its_namespaces_enforce_the_levels_that_the_chart_names(api: Api) -> None:
    level = "pod-security.kubernetes.io/enforce"
    labels = {
        name: api.get(f"/api/v1/namespaces/{name}")["metadata"]["labels"][level]
        for name in (NAMESPACE, AGENTS)
    }
    assert labels == {NAMESPACE: "restricted", AGENTS: "privileged"}


def test_the_node_has_the_cards_that_the_agent_told_of(release: Release) -> None:
    (node,) = [each for each in release.state()["nodes"] if each["name"] == NODE]
    assert [gpu["capacity"] for gpu in node["gpus"]] == [1.0] * 4


def test_helm_test_is_green(release: Release) -> None:
    assert "Phase:          Succeeded" in release.helm("test", "equipoise")


def test_nothing_was_refused_to_it(release: Release) -> None:
    assert release.refusals() == []
    asked = {entry.user for entry in release.machine.plane.audit.entries()}
    assert asked >= set(ACCOUNTS)
