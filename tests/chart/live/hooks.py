"""Runs what the chart's hooks run, with the rights that they have."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

from hack.chart.helm import CHART, NAMESPACE
from tests.chart.live.conftest import Done
from tests.chart.objects import objects
from tests.support.controlplane.plane import ControlPlane


def script(plane: ControlPlane, name: str, *arguments: str) -> Done:
    """Run a script of the chart as the account that its hook makes."""
    account = plane.service_account(NAMESPACE, f"equipoise-{name}")
    done = subprocess.run(
        [sys.executable, str(CHART / "files" / f"{name}.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "KUBECONFIG": str(account)},
    )
    return Done(done.returncode, done.stdout, done.stderr)


def grant(plane: ControlPlane, name: str, folder: Path) -> None:
    """Apply what a hook may do, and nothing else of the chart."""
    kinds = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount"}
    found = [
        each
        for each in objects()
        if each["kind"] in kinds and each["metadata"]["name"] == f"equipoise-{name}"
    ]
    file = folder / f"{name}-rights.yaml"
    file.write_text(yaml.safe_dump_all(found))
    plane.apply(file)
