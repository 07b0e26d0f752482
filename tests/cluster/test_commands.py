"""`tenants`, `top`, `explain`, `whatif` against a cluster, found as kubectl finds it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.model import names
from tests.cluster.test_serve import phase, pod
from tests.support.controlplane import standin
from tests.support.controlplane.api import Api
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.layout import ROOT
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    ours = Installation(plane)
    ours.apply()
    plane.nodes(1, gpus=2, prefix="commands-")
    ours.start("commands")
    yield ours
    ours.close()


def run(plane: ControlPlane, *argv: str, good: int = 0, both: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "scheduler", *argv, "--kubeconfig", str(plane.kubeconfig())],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == good, done.stderr
    return done.stdout + done.stderr if both else done.stdout or done.stderr


def test_they_tell_who_has_what_and_why(
    installed: Installation, plane: ControlPlane, api: Api, namespace: str, tmp_path: Path
) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    api.post(path, pod("big", "2"))
    eventually(lambda: phase(api, namespace, "big") == "Running", 20, what="big runs")
    api.post(path, pod("late", "0.5"))
    held = eventually(
        lambda: (
            [
                each
                for each in api.get(f"{path}/late")["status"].get("conditions", ())
                if each["type"] == "equipoise.dev/Admitted"
            ]
            or None
        ),
        20,
        what="it says why it waits",
    )
    assert held[0]["status"] == "False"

    found: dict[str, Any] = json.loads(run(plane, "tenants", "--json"))
    (default,) = found["tenants"]
    assert (default["has"], default["wants"], default["waiting_pods"]) == (2.0, 2.5, 1)
    assert "default" in run(plane, "tenants")
    assert f"{namespace}/big 1" in run(plane, "top")
    assert "runs on node commands-0" in run(plane, "explain", f"{namespace}/big")
    said = run(plane, "explain", f"{namespace}/late")
    assert "no GPU that it may use has enough free now" in said
    assert "number 1 of 1 of its tenant" in said
    assert "Nothing bounds its wait" in said

    file = tmp_path / "pod.yaml"
    file.write_text(json.dumps({"kind": "Pod", **pod("more", "1")}))
    assert "no, no GPU" in run(plane, "whatif", "-f", str(file), "-n", namespace, good=1)
    api.delete(f"{path}/big", {"gracePeriodSeconds": 0})
    eventually(lambda: phase(api, namespace, "late") == "Running", 20, what="late runs")
    said = run(plane, "whatif", "-f", str(file), "-n", namespace)
    assert "yes, at once on node commands-0: 1 of GPU" in said


def test_a_pod_that_is_not_there_is_bad_input(installed: Installation, plane: ControlPlane) -> None:
    assert "there is no pod lab/none" in run(plane, "explain", "lab/none", good=2)


def test_they_go_by_the_settings_of_the_installation(
    installed: Installation, plane: ControlPlane, api: Api, namespace: str
) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    maps = f"/api/v1/namespaces/{names.NAMESPACE}/configmaps"
    deployments = standin.PATH
    api.post(pods, pod("small", "0.5"))
    eventually(lambda: phase(api, namespace, "small") == "Running", 20, what="small runs")
    told = run(plane, "explain", f"{namespace}/small", both=True)
    assert 'by policy "bid-price"' in told
    assert "there is no Deployment of Equipoise's scheduler" in told
    settings = {"metadata": {"name": "equipoise-settings-5g2f"}}
    api.post(maps, {**settings, "data": {"settings.yaml": "packing: {policy: best-fit}"}})
    api.post(deployments, standin.deployment("equipoise-settings-5g2f"))
    try:
        assert 'by policy "best-fit"' in run(plane, "explain", f"{namespace}/small")
        path = f"{maps}/equipoise-settings-5g2f"
        api.put(path, {**settings, "data": {"settings.yaml": "packing: {police: best-fit}"}})
        told = run(plane, "explain", f"{namespace}/small", both=True)
        assert 'by policy "bid-price"' in told
        assert "note: decided by the shipped settings" in told
        assert "ConfigMap equipoise-system/equipoise-settings-5g2f" in told
        assert "do you mean packing.policy?" in told
        api.put(f"{deployments}/equipoise-scheduler", standin.deployment("none", policy="spread"))
        assert "note: decided by" in run(plane, "explain", f"{namespace}/small", both=True)
        api.put(path, {**settings, "data": {"settings.yaml": ""}})
        other = standin.deployment("equipoise-settings-5g2f", policy="spread")
        api.put(f"{deployments}/equipoise-scheduler", other)
        assert 'by policy "spread"' in run(plane, "explain", f"{namespace}/small")
    finally:
        api.delete(f"{deployments}/equipoise-scheduler")
        api.delete(f"{maps}/equipoise-settings-5g2f")
