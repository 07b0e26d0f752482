"""The agents' DaemonSet, and the devices that are mocked."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from hack.chart.helm import CHART
from scheduler.core.model import names
from scheduler.device.mock import load_nodes
from tests.chart.objects import JSON, container, objects, one

MOCK = "--set=agent.mock.enabled=true"
PLACE = "equipoise-agents"


def agent(*arguments: str) -> JSON:
    made = one(objects(*arguments), "DaemonSet", "equipoise-agent")
    spec: JSON = made["spec"]["template"]["spec"]
    return spec


def test_it_runs_where_the_scheduler_looks_for_gpus() -> None:
    spec = agent("--set=agent.nodeSelector.pool=gpu")
    assert spec["nodeSelector"] == {names.MANAGED_LABEL: "true", "pool": "gpu"}
    assert spec["tolerations"] == [{"operator": "Exists"}]


def test_it_sees_all_cards_and_whose_processes_are_on_them() -> None:
    spec = agent()
    env = {entry["name"]: entry.get("value") for entry in container(spec, "agent")["env"]}
    assert (spec["runtimeClassName"], spec["hostPID"]) == ("nvidia", True)
    assert env["NVIDIA_VISIBLE_DEVICES"] == "all"
    labels = one(objects(), "Namespace", PLACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "privileged"
    assert "runtimeClassName" not in agent("--set=runtimeClassName=")


def test_mocked_it_needs_nothing_of_the_node() -> None:
    spec = agent(MOCK)
    assert not {"runtimeClassName", "hostPID"} & spec.keys()
    assert not [e for e in container(spec, "agent")["env"] if e["name"].startswith("NVIDIA_")]


def test_privileged_is_said_once() -> None:
    security = container(agent("--set=agent.privileged=true"), "agent")["securityContext"]
    assert security == {"privileged": True, "readOnlyRootFilesystem": True}


def test_policies_know_it_by_its_namespace() -> None:
    found = objects("--set=agent.namespace=watchers")
    policy = one(found, "ValidatingAdmissionPolicy", "equipoise-gpunodes")
    pods = one(found, "DaemonSet", "equipoise-agent")["spec"]["template"]["spec"]
    user = f"system:serviceaccount:watchers:{pods['serviceAccountName']}"
    assert f"'{user}'" in policy["spec"]["variables"][0]["expression"]
    (subject,) = one(found, "ClusterRoleBinding", "equipoise-agent")["subjects"]
    assert subject["namespace"] == "watchers"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script of the init container."""
    spec = importlib.util.spec_from_file_location("mock_file", CHART / "files" / "mock.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("node", "models"), [("any", ["A100-SXM4-80GB"] * 4), ("odd", ["T4"])])
def test_a_node_has_its_own_devices_or_those_of_all(
    node: str, models: list[str], script: ModuleType, tmp_path: Path
) -> None:
    odd = '[{"name":"odd","devices":[{"model":"T4","memory":"16Gi"}]}]'
    config = one(objects(MOCK, f"--set-json=agent.mock.nodes={odd}"), "ConfigMap", PLACE[:-1])
    inventory: Any = yaml.safe_load(config["data"]["inventory.yaml"])
    file = tmp_path / "devices.yaml"
    file.write_text(yaml.safe_dump(script.machine(inventory, node)))
    (machine,) = load_nodes(file)
    assert machine.name == node
    assert [each.model for each in machine.driver.inventory(0.0)] == models


@pytest.mark.parametrize(
    ("value", "may"), [("", False), ("null", False), ("600", True), ("0", True)]
)
def test_it_may_evict_only_where_it_is_told_to(value: str, may: bool) -> None:
    arguments = (f"--set=settings.agent.evict_seconds={value}",) if value else ()
    role = one(objects(*arguments), "ClusterRole", "equipoise-agent")
    assert any("pods/eviction" in rule["resources"] for rule in role["rules"]) is may
