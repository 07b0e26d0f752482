"""A control plane with the chart's namespace, and helm on it: `make test-chart` builds both."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hack.chart.helm import CHART, NAMESPACE, TOOLS
from tests.support.controlplane import namespaces
from tests.support.controlplane.api import JSON, Api
from tests.support.controlplane.plane import ControlPlane

NODE = "gpu-0"


@dataclass(frozen=True, slots=True)
class Done:
    """What a command printed, and how it ended."""

    status: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Helm:
    """helm as a cluster's admin."""

    plane: ControlPlane

    def run(self, *arguments: str) -> Done:
        environment = {**os.environ, "HELM_CACHE_HOME": str(self.plane.folder / "helm")}
        done = subprocess.run(
            [
                TOOLS / "helm",
                *arguments,
                f"--kubeconfig={self.plane.kubeconfig()}",
                f"--namespace={NAMESPACE}",
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env=environment,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def __call__(self, *arguments: str) -> Done:
        """Run it; it must succeed without a warning."""
        done = self.run(*arguments)
        assert done.status == 0, done.err
        assert "warning" not in done.err.lower(), done.err
        return done

    def install(self, *arguments: str, chart: Path = CHART) -> Done:
        return self("install", "equipoise", str(chart), "--wait", "--timeout=2m", *arguments)

    def upgrade(self, *arguments: str, chart: Path = CHART) -> Done:
        return self("upgrade", "equipoise", str(chart), "--wait", "--timeout=2m", *arguments)


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """With one node, and the namespace as the guide makes it. Helm wants it empty, so each file
    has its own.
    """
    with ControlPlane() as plane:
        level = "pod-security.kubernetes.io"
        restricted = {f"{level}/enforce": "restricted", f"{level}/warn": "restricted"}
        namespaces.create(plane.api, NAMESPACE, labels=restricted)
        plane.nodes(1, prefix="gpu-", gpus=0)
        # The cluster's own scheduler, for Equipoise's pods.
        plane.scheduler(changes={"profiles": [{"schedulerName": "default-scheduler"}]})
        runtime: JSON = {"metadata": {"name": "nvidia"}, "handler": "nvidia"}
        plane.api.ensure("/apis/node.k8s.io/v1/runtimeclasses", runtime)
        yield plane


@pytest.fixture(scope="module")
def helm(plane: ControlPlane) -> Helm:
    return Helm(plane)


@pytest.fixture
def api(plane: ControlPlane) -> Api:
    return plane.api


@pytest.fixture
def released(helm: Helm) -> Iterator[Helm]:
    """The chart, installed for one test; as kwok runs nothing, no hook is asked for at the end."""
    helm.install()
    yield helm
    helm.run("uninstall", "equipoise", "--no-hooks", "--wait", "--ignore-not-found")
