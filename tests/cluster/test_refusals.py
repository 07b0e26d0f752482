"""What must not happen on a shared cluster: a pod killed for CPU, a card sold past us."""

from collections.abc import Iterator

import httpx
import pytest

from tests.cluster.pods import Room, pod
from tests.support.controlplane.api import Api
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    ours = Installation(plane)
    ours.apply()
    plane.nodes(1, gpus=2, prefix="full-", cpu="2")
    ours.start("full")
    yield ours
    ours.close()


def test_with_cpu_full_nobody_is_killed_for_a_pod_of_high_priority(
    installed: Installation, api: Api, namespace: str
) -> None:
    api.post(
        "/apis/scheduling.k8s.io/v1/priorityclasses",
        {"metadata": {"name": "urgent-test"}, "value": 1_000_000},
    )
    room = Room(api, namespace)
    busy = pod("busy", "0.5", owner=room.owner())
    busy["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1500m"}}
    room.create(busy)
    eventually(lambda: room.runs("busy"), 20, what="busy runs")
    urgent = {
        "metadata": {"name": "urgent"},
        "spec": {**busy["spec"], "schedulerName": "equipoise", "priorityClassName": "urgent-test"},
    }
    room.create(urgent)
    room.create(pod("share", "0.5", owner=room.owner(), **_only(urgent, "priorityClassName")))

    eventually(lambda: room.turned_down("urgent"), what="kube-scheduler has looked at it")
    assert room.get("busy")["status"]["phase"] == "Running"
    assert "deletionTimestamp" not in room.get("busy")["metadata"]
    assert "nominatedNodeName" not in room.get("urgent")["status"]


def test_a_node_that_advertises_nvidia_gpus_takes_no_pod_and_says_why(
    installed: Installation, plane: ControlPlane, api: Api, namespace: str
) -> None:
    api.patch(
        "/api/v1/nodes/full-0/status",
        {"status": {"capacity": {"nvidia.com/gpu": "2"}, "allocatable": {"nvidia.com/gpu": "2"}}},
        "application/merge-patch+json",
    )

    def says() -> bool:
        found = api.get("/apis/equipoise.dev/v1alpha1/gpunodes/full-0")
        conditions = {each["type"]: each for each in found["status"].get("conditions", ())}
        takes = conditions.get("TakesPods", {})
        return takes.get("status") == "False" and "nvidia.com/gpu" in takes["message"]

    eventually(says, 20, what="its GPUNode says why")
    room = Room(api, namespace)
    room.create(pod("p", "0.5", owner=room.owner()))

    def waits() -> bool:
        conditions = room.get("p")["status"].get("conditions", ())
        return any(each["type"] == "equipoise.dev/Admitted" for each in conditions)

    eventually(waits, 20, what="the pod says that it waits")
    page = f"http://127.0.0.1:{installed.ports['full'].web}/metrics"
    assert "equipoise_oversold_gpus 0.0" in httpx.get(page, trust_env=False).text


def _only(body: dict[str, dict[str, object]], key: str) -> dict[str, object]:
    return {key: body["spec"][key]}
