"""`equipoise serve` beside a stock kube-scheduler on a real API server: a pod's whole way."""

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.cluster.pods import Room
from tests.support.controlplane.api import Api
from tests.support.controlplane.auditor import Auditor
from tests.support.controlplane.installed import USER, Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually, stays

WRITTEN = {"equipoise.dev/assignment", "equipoise.dev/devices"}
QUIET_SECONDS = 10.0


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    ours = Installation(plane)
    ours.apply()
    plane.nodes(2, gpus=8, prefix="serve-")
    ours.start("a")
    yield ours
    ours.close()


def pod(name: str, fraction: str, **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "annotations": {"equipoise.dev/gpu-fraction": fraction, **annotations},
        },
        "spec": {"containers": [{"name": "main", "image": "none"}]},
    }


def phase(api: Api, namespace: str, name: str) -> str:
    found = api.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
    return str(found["status"].get("phase"))


def test_an_annotated_pod_runs_where_it_was_planned_and_sees_its_gpu(
    installed: Installation, api: Api, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    made = api.post(path, pod("p", "0.25"))
    assert made["spec"]["schedulerName"] == "equipoise"
    assert made["spec"]["schedulingGates"] == [{"name": "equipoise.dev/fair-share"}]
    eventually(lambda: phase(api, namespace, "p") == "Running", 20, what="p runs")
    found = api.get(f"{path}/p")
    assert found["metadata"]["annotations"]["equipoise.dev/devices"].startswith("GPU-")
    env = {each["name"]: each for each in found["spec"]["containers"][0]["env"]}
    reference = env["NVIDIA_VISIBLE_DEVICES"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert reference == "metadata.annotations['equipoise.dev/devices']"


def test_node_and_assignment_come_in_one_event(
    installed: Installation, api: Api, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    made = api.post(path, pod("p", "0.5"))
    eventually(lambda: phase(api, namespace, "p") == "Running", 20, what="p runs")
    since = {"resourceVersion": made["metadata"]["resourceVersion"], "timeoutSeconds": "1"}
    seen = [
        (bool(each["spec"].get("nodeName")), each["metadata"]["annotations"].keys() >= WRITTEN)
        for each in (event["object"] for event in api.watch(path, since))
    ]
    # Not even for one event it has the one without the other.
    assert set(seen) == {(False, False), (True, True)}


def test_it_is_refused_nothing_that_it_asks_the_api_server_for(
    installed: Installation, plane: ControlPlane, api: Api, namespace: str
) -> None:
    api.post(f"/api/v1/namespaces/{namespace}/pods", pod("p", "0.5"))
    eventually(lambda: phase(api, namespace, "p") == "Running", 20, what="p runs")
    assert not list(plane.audit.entries(user=USER, status=403))


def test_ready_and_metrics_are_served(installed: Installation) -> None:
    page = f"http://127.0.0.1:{installed.ports['a'].web}"
    assert httpx.get(f"{page}/readyz", trust_env=False).status_code == 200
    metrics = httpx.get(f"{page}/metrics", trust_env=False).text
    assert "equipoise_acts 1.0" in metrics
    assert "equipoise_oversold_gpus 0.0" in metrics


def test_sixteen_halves_at_once_share_eight_gpus_two_by_two(
    installed: Installation, plane: ControlPlane, api: Api, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    with contextlib.closing(Auditor(plane.kubeconfig())) as auditor:
        auditor.start()
        for number in range(32):
            api.post(path, pod(f"p{number}", "0.5"))
        eventually(
            lambda: all(each["status"].get("phase") == "Running" for each in api.items(path)),
            40,
            what="all run",
        )
        auditor.caught_up()
        assert auditor.problems() == []
        assert len(auditor.held()) == 32


def test_while_nothing_changes_it_only_watches(
    installed: Installation, plane: ControlPlane, api: Api, namespace: str
) -> None:
    room = Room(api, namespace)
    for name in ("first", "second"):
        room.create(pod(name, "8"))
    eventually(lambda: room.all_run(2), what="all GPUs are taken")
    room.create(pod("waits", "0.5"))
    eventually(lambda: room.waits("waits"), what="the third is told why it waits")

    def silent() -> bool:
        """Whether our account, kube-scheduler's too, asked for nothing but watches and Leases."""
        sent = {(each.verb, each.resource) for each in plane.audit.entries(user=USER)}
        assert {each for each in sent if each[0] != "watch"} <= {("get", "leases")}
        return True

    def quiet(seconds: float) -> bool:
        plane.audit.mark()
        stays(silent, seconds)
        return True

    eventually(lambda: quiet(3.0), 30, what="all is told and written")
    quiet(QUIET_SECONDS)
