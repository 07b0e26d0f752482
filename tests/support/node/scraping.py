"""A Prometheus beside the node that goes by deploy/monitoring, as one in the cluster would.

Debian builds it without Kubernetes' discovery. So what that would find is written to a file, with
its labels, and the rest of the configuration is the one that is shipped.
"""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from hack.dashboards.check import RULES
from scheduler.core.model.errors import InvalidInput
from tests.support.controlplane import accounts
from tests.support.controlplane.api import JSON
from tests.support.controlplane.layout import ROOT
from tests.support.controlplane.ports import free_port
from tests.support.controlplane.processes import Process
from tests.support.node.machine import Machine

MONITORING = ROOT / "deploy" / "monitoring"
NAMESPACE, ACCOUNT = "monitoring", "prometheus"
SCRAPE_SECONDS = 1
"""A story of a minute would have few points at the usual distance."""

_API_SERVER = "kubernetes.default.svc:443", "10.96.0.1:443"
"""Its name, which only pods can resolve, and its address, which proves itself as well."""


@contextmanager
def prometheus(machine: Machine) -> Iterator[str]:
    """Run it while the block lasts; gives its URL. It asks the pods that are there now."""
    folder = machine.folder / "prometheus"
    folder.mkdir(exist_ok=True)
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(_configuration(machine, folder)), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    argv = [_program(), f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]
    log = machine.folder / "prometheus.log"
    process = Process([*argv, f"--web.listen-address={address}"], log)
    try:
        yield f"http://{address}"
    finally:
        process.stop()


def _configuration(machine: Machine, folder: Path) -> dict[str, Any]:
    """Return the shipped one, where only what the surroundings demand is another."""
    text = (MONITORING / "files" / "prometheus.yml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text.replace(*_API_SERVER))
    seconds = f"{SCRAPE_SECONDS}s"
    loaded["global"] = {"scrape_interval": seconds, "evaluation_interval": seconds}
    loaded["rule_files"] = [str(RULES)]
    token = _log_in(machine)
    (folder / "token").write_text(token, encoding="utf-8")
    for job in loaded["scrape_configs"]:
        if "scrape_interval" in job:
            # All that the API server counts takes it more than a second at times.
            job["scrape_interval"] = f"{5 * SCRAPE_SECONDS}s"
        if job.pop("kubernetes_sd_configs", None):
            job["file_sd_configs"] = [{"files": [str(_discover(machine, folder))]}]
        if "authorization" in job:
            job["authorization"]["credentials_file"] = str(folder / "token")
            job["tls_config"]["ca_file"] = str(machine.plane.authority.certificate)
    return loaded


def _log_in(machine: Machine) -> str:
    """Give its account the shipped rights, and return a token."""
    machine.plane.apply(MONITORING / "namespace.yaml")
    token = accounts.token(machine.api, NAMESPACE, ACCOUNT)
    rights = (MONITORING / "prometheus-rbac.yaml").read_text(encoding="utf-8")
    machine.plane.kubectl("apply", f"--namespace={NAMESPACE}", "--filename=-", stdin=rights)
    return token


def _discover(machine: Machine, folder: Path) -> Path:
    """Find the pods with its own rights."""
    kubeconfig = machine.plane.service_account(NAMESPACE, ACCOUNT)
    listed = machine.plane.kubectl(
        "get", "pods", "--all-namespaces", "--output=json", kubeconfig=kubeconfig
    )
    groups = [group for pod in json.loads(listed)["items"] for group in _targets(pod)]
    file = folder / "pods.json"
    file.write_text(json.dumps(groups), encoding="utf-8")
    return file


def _targets(pod: JSON) -> Iterator[dict[str, Any]]:
    """As Prometheus' documentation of the role `pod` says: one for each port of each container."""
    metadata, status = pod["metadata"], pod["status"]
    address = status.get("podIP", "")
    labels = {
        "__meta_kubernetes_namespace": metadata["namespace"],
        "__meta_kubernetes_pod_name": metadata["name"],
        "__meta_kubernetes_pod_ip": address,
        "__meta_kubernetes_pod_phase": status.get("phase", ""),
    }
    for kind in ("label", "annotation"):
        for name, value in metadata.get(f"{kind}s", {}).items():
            labels[f"__meta_kubernetes_pod_{kind}_{re.sub('[^a-zA-Z0-9_]', '_', name)}"] = value
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or [{}]:
            target = f"{address}:{port['containerPort']}" if port else address
            yield {"targets": [target], "labels": labels}


def _program() -> str:
    found = shutil.which("prometheus")
    if found is None:
        raise InvalidInput("Prometheus is missing; on Debian: make node-packages")
    return found
