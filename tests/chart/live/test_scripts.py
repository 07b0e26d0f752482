"""What `helm test` and `helm uninstall` run, run here with the rights that they have there."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from hack.chart.helm import CHART, NAMESPACE
from tests.chart.live.conftest import Done
from tests.chart.objects import objects
from tests.support.controlplane import namespaces
from tests.support.controlplane.api import JSON, Api
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually

GATE = "equipoise.dev/fair-share"
FOREIGN = "example.com/quota"
BARE = {"containers": [{"name": "main", "image": "none"}]}


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


@pytest.fixture
def space(plane: ControlPlane, request: pytest.FixtureRequest) -> str:
    name: str = request.node.name.removeprefix("test_").replace("_", "-")[:50].strip("-")
    namespaces.create(plane.api, name)
    return name


def gated(name: str, *gates: str) -> JSON:
    gates = gates or (GATE,)
    spec = {
        **BARE,
        "schedulerName": "equipoise",
        "schedulingGates": [{"name": gate} for gate in gates],
    }
    return {"metadata": {"name": name}, "spec": spec}


def gates(api: Api, space: str, name: str) -> list[str]:
    pod = api.get(f"/api/v1/namespaces/{space}/pods/{name}")
    return [each["name"] for each in pod["spec"].get("schedulingGates", ())]


def test_waiting_pods_are_let_go_and_running_ones_left(
    plane: ControlPlane, api: Api, space: str, tmp_path: Path
) -> None:
    grant(plane, "uninstall", tmp_path)
    pods = f"/api/v1/namespaces/{space}/pods"
    spec = {**BARE, "nodeName": "gpu-0", "schedulerName": "equipoise"}
    running = {"metadata": {"name": "running"}, "spec": spec}
    for body in (running, gated("bare"), gated("foreign", FOREIGN, GATE), gated("theirs", FOREIGN)):
        api.post(pods, body)
    template = {"metadata": {"labels": {"app": "owned"}}, "spec": gated("owned")["spec"]}
    selector = {"matchLabels": {"app": "owned"}}
    owner = {"metadata": {"name": "owned"}, "spec": {"selector": selector, "template": template}}
    sets = f"/apis/apps/v1/namespaces/{space}/replicasets"
    api.post(sets, owner)

    def owned(*but: JSON) -> list[JSON] | None:
        known = {each["metadata"]["uid"] for each in but}
        found = api.items(pods, {"labelSelector": "app=owned"})
        return [each for each in found if each["metadata"]["uid"] not in known] or None

    (before,) = eventually(owned, 30, what="the owner makes its pod")
    # Without the webhook its template would make pods without gate and scheduler.
    plain = {"spec": {"template": {"spec": {"schedulingGates": None, "schedulerName": None}}}}
    api.patch(f"{sets}/owned", plain)

    done = script(plane, "uninstall")

    assert done.status == 0, done.err
    assert f"{space}/owned-" in done.out
    assert f"{space}/bare: its gate is open" in done.out
    (after,) = eventually(lambda: owned(before), 30, what="the owner makes another pod")
    assert after["spec"]["schedulerName"] == "default-scheduler"
    assert gates(api, space, "bare") == []
    assert gates(api, space, "foreign") == gates(api, space, "theirs") == [FOREIGN]
    assert "deletionTimestamp" not in api.get(f"{pods}/running")["metadata"]


class Ready(BaseHTTPRequestHandler):
    """Answers as serve does."""

    status, body = 200, b"ok\n"

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # its name above
        """Keep the test's output clean."""


class Unready(Ready):
    """Answers as serve does before it has read the cluster."""

    status, body = 503, b"not ready: nodes and pods are still being read\n"


@pytest.fixture
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), request.param)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("url", [Ready], indirect=True)
def test_without_the_webhook_the_test_fails(plane: ControlPlane, url: str, tmp_path: Path) -> None:
    grant(plane, "test", tmp_path)
    done = script(plane, "test", url, "default")
    assert (done.status, done.out) == (1, f"{url} is ready\n")
    assert "the webhook was not asked" in done.err


@pytest.mark.parametrize("url", [Unready], indirect=True)
def test_before_serve_is_ready_the_test_fails(
    plane: ControlPlane, url: str, tmp_path: Path
) -> None:
    grant(plane, "test", tmp_path)
    done = script(plane, "test", url, "default")
    assert (done.status, done.err) == (1, "not ready: nodes and pods are still being read\n")


def test_with_equipoise_at_work_the_test_succeeds(plane: ControlPlane, tmp_path: Path) -> None:
    grant(plane, "test", tmp_path)
    ours = Installation(plane)
    try:
        ours.apply()
        ours.start("asked")
        web = ours.ports["asked"].web
        done = script(plane, "test", f"http://127.0.0.1:{web}", "default")
        assert done.status == 0, done.err
        assert "would wait for its turn" in done.out
    finally:
        ours.close()
