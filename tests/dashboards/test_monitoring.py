"""deploy/monitoring: Prometheus takes its configuration, and everything named is there."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.dashboards.__main__ import BOARDS, path_of
from hack.dashboards.check import RULES

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "monitoring"
CONFIGURATION = FOLDER / "files" / "prometheus.yml"
PROMTOOL = shutil.which("promtool")


def _documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


def _of_kind(kind: str) -> list[dict[str, Any]]:
    listed = [doc for path in FOLDER.glob("*.yaml") for doc in _documents(path.name)]
    return [doc for doc in listed if doc["kind"] == kind]


@pytest.mark.skipif(
    PROMTOOL is None, reason="no promtool here; install Debian's package prometheus"
)
def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    """Debian builds it without Kubernetes' discovery: all but that is looked at."""
    assert PROMTOOL is not None
    loaded = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    found = [job for job in loaded["scrape_configs"] if job.pop("kubernetes_sd_configs", None)]
    assert [job["job_name"] for job in found] == ["equipoise"]
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(loaded), encoding="utf-8")
    argv = [PROMTOOL, "check", "config", "--syntax-only", str(file)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_doors_are_those_that_kind_maps() -> None:
    mapped = yaml.safe_load((ROOT / "kind-config.yaml").read_text(encoding="utf-8"))
    ports = {p["containerPort"] for n in mapped["nodes"] for p in n.get("extraPortMappings", [])}
    doors = {port["nodePort"] for each in _of_kind("Service") for port in each["spec"]["ports"]}
    assert doors == {30090, 30300}
    assert doors <= ports


def test_images_are_pinned() -> None:
    (kustomization,) = _documents("kustomization.yaml")
    pinned = {each["name"] for each in kustomization["images"] if re.search(r"\d", each["newTag"])}
    pods = [each["spec"]["template"]["spec"] for each in _of_kind("Deployment")]
    assert {c["image"] for pod in pods for c in pod["containers"]} == pinned


def test_pods_keep_to_the_pod_security_level_that_their_namespace_enforces() -> None:
    (namespace,) = _of_kind("Namespace")
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod in (each["spec"]["template"]["spec"] for each in _of_kind("Deployment")):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_dashboards_and_rules_are_those_of_the_chart() -> None:
    dashboards = yaml.safe_load((path_of(BOARDS[0]).parent / "Kustomization").read_text())
    (made,) = dashboards["configMapGenerator"]
    assert set(made["files"]) == {path_of(board).name for board in BOARDS}
    (made,) = yaml.safe_load((RULES.parent / "Kustomization").read_text())["configMapGenerator"]
    assert made["files"] == [RULES.name]


def test_agents_own_labels_win_over_prometheus_ones() -> None:
    """They name the pods that they measure."""
    loaded = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    assert [job.get("honor_labels") for job in loaded["scrape_configs"]] == [True, None]
