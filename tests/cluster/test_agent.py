"""`equipoise agent` on a real API server, with scripted cards and the rights that it ships with."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scheduler.core.model import assignment
from scheduler.core.model.ids import DeviceUUID, NodeName
from scheduler.core.model.placements import Placement, Slot
from scheduler.device.mock import FIRST_PID, device_uuid
from tests.cluster.policies.specimens import GATE, asking, binding
from tests.support.controlplane.api import JSON, JSON_PATCH, STRATEGIC, Api
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.layout import ROOT
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.ports import free_port
from tests.support.controlplane.processes import Process
from tests.support.controlplane.waiting import eventually, stays

USER = "system:serviceaccount:equipoise-agents:equipoise-agent"
GPUNODES = "/apis/equipoise.dev/v1alpha1/gpunodes"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/equipoise-agent"
EVICTIONS = {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]}
MAY_EVICT = {"op": "add", "path": "/rules/-", "value": EVICTIONS}
"""As the chart adds it with evict_seconds, which is not set by default."""
CARDS = """
models: {T4: {memory: 16Gi}}
nodes:
  - name: agents
    count: 6
    cpu: 8
    memory: 32Gi
    devices:
      - {model: T4, load: [{at: 0, utilisation: 0.3, foreign: 6Gi}]}
      - {model: T4, fault: {at: 6, lost: true}}
"""
FAST = {
    "READ_SECONDS": "1",
    "GRACE_SECONDS": "2",
    "USE_SECONDS": "2",
}


class Agents:
    """Agents as child processes, each with a token that names a node."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane, self.proc = plane, plane.folder / "proc"
        self.cards = plane.folder / "cards.yaml"
        self.cards.write_text(CARDS, encoding="utf-8")
        self.proc.mkdir(exist_ok=True)
        self.started: list[Process] = []

    def start(self, node: str, *, as_node: str = "", **settings: str) -> tuple[Process, str]:
        """Start the agent of a node; return it, and where it serves its metrics."""
        kubeconfig = self.plane.agent_kubeconfig(as_node or node)
        port = free_port()
        argv = [sys.executable, "-m", "scheduler", "agent", "--mock", str(self.cards)]
        argv += ["--node", node, "--kubeconfig", str(kubeconfig)]
        argv += ["--host", "127.0.0.1", "--port", str(port)]
        wanted = {"PROC": str(self.proc), **FAST, **settings}
        env = {f"EQUIPOISE_AGENT_{name}": value for name, value in wanted.items()}
        log = self.plane.folder / f"agent-{len(self.started)}.log"
        made = Process(argv, log, env={"PYTHONPATH": str(ROOT), **env})
        self.started.append(made)
        return made, f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def agents(plane: ControlPlane) -> Iterator[Agents]:
    installed = Installation(plane)
    installed.apply(webhook=False)
    plane.api.patch(ROLE, [MAY_EVICT], JSON_PATCH)
    plane.nodes(6, gpus=0, prefix="agents-")
    plane.audit.mark()
    made = Agents(plane)
    yield made
    for process in made.started:
        process.stop()
    installed.close()


def status(api: Api, node: str) -> JSON:
    found = api.find(f"{GPUNODES}/{node}") or {}
    return dict(found.get("status") or {})


def condition(api: Api, node: str) -> JSON:
    listed = status(api, node).get("conditions") or [{}]
    return next((each for each in listed if each.get("type") == "Healthy"), {})


def test_it_makes_its_gpunode_with_its_node_as_owner_and_kubectl_shows_it(
    agents: Agents, plane: ControlPlane, api: Api
) -> None:
    agents.start("agents-0")
    eventually(lambda: status(api, "agents-0").get("use"), what="use is published")
    stored = api.get(f"{GPUNODES}/agents-0")
    node = api.get("/api/v1/nodes/agents-0")
    (owner,) = stored["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Node", node["metadata"]["uid"])
    assert {entry["manager"] for entry in stored["metadata"]["managedFields"]} == {
        "equipoise-agent"
    }
    first = stored["status"]["devices"][0]
    assert (first["uuid"], first["memoryMiB"]) == (device_uuid("agents-0", 0), 16_384)
    assert stored["status"]["use"][0]["foreignMiB"] == 6144
    row = plane.kubectl("get", "gpunodes", "agents-0", "--no-headers").split()
    assert row[:2] == ["agents-0", "2"]
    assert "T4" in row


def test_a_lost_card_is_told_while_it_runs_and_closes(agents: Agents, api: Api) -> None:
    process, metrics = agents.start("agents-1")
    eventually(lambda: condition(api, "agents-1").get("status") == "True", what="all is well")
    eventually(lambda: condition(api, "agents-1").get("status") == "False", what="one is lost")
    lost = device_uuid("agents-1", 1)
    assert condition(api, "agents-1")["message"] == f"{lost}: the GPU is lost"
    assert [each["healthy"] for each in status(api, "agents-1")["devices"]] == [True, False]
    assert status(api, "agents-1")["summary"]["healthy"] == 1
    text = httpx.get(f"{metrics}/metrics", trust_env=False).text
    assert f'gpu_healthy{{device="1",model="T4",node="agents-1",uuid="{lost}"}} 0.0' in text
    assert httpx.get(f"{metrics}/healthz", trust_env=False).status_code == 200
    process.stop()
    assert process.exit_status == 0, process.tail()


def test_the_gpunode_of_another_node_is_refused_to_it(agents: Agents, api: Api) -> None:
    process, _ = agents.start("agents-2", as_node="agents-3")
    refusal = "the agent of node agents-3 may write the GPUNode of its own node only, not agents-2"
    eventually(lambda: refusal in process.tail(), what="it says why")
    assert process.running
    assert api.find(f"{GPUNODES}/agents-2") is None
    api.post(
        GPUNODES, {"apiVersion": "equipoise.dev/v1alpha1", "kind": "GPUNode"} | named("agents-2")
    )
    process.kill()
    second, _ = agents.start("agents-2", as_node="agents-3")
    eventually(lambda: refusal in second.tail(), what="it says why")
    assert status(api, "agents-2") == {}


def named(name: str) -> JSON:
    return {"metadata": {"name": name}}


def test_a_quiet_agent_only_watches(agents: Agents, plane: ControlPlane, api: Api) -> None:
    agents.start("agents-3", USE_SECONDS="15")
    eventually(lambda: condition(api, "agents-3").get("status") == "False", what="one is lost")
    before = api.get(f"{GPUNODES}/agents-3")
    stays(lambda: api.get(f"{GPUNODES}/agents-3") == before, 12, what="it writes nothing")


def test_a_deleted_gpunode_is_made_again_and_one_goes_with_its_node(
    agents: Agents, api: Api
) -> None:
    agents.start("agents-4", HEARTBEAT_SECONDS="2")
    eventually(lambda: status(api, "agents-4").get("use"), what="use is published")
    uid = api.get(f"{GPUNODES}/agents-4")["metadata"]["uid"]
    api.delete(f"{GPUNODES}/agents-4")
    eventually(lambda: status(api, "agents-4").get("use"), what="it is there again")
    assert api.get(f"{GPUNODES}/agents-4")["metadata"]["uid"] != uid
    api.delete("/api/v1/nodes/agents-4")
    eventually(lambda: api.find(f"{GPUNODES}/agents-4") is None, 60, what="it went with its node")


def running_pod(plane: ControlPlane, api: Api, namespace: str, node: str) -> JSON:
    """A pod that Equipoise bound there with 4 GiB of the first card."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    made = api.post(path, asking("hungry"))
    slot = Slot(0, DeviceUUID(device_uuid(node, 0)), 250, 4096)
    notes = assignment.encode(Placement(NodeName(node), (slot,)))
    gate = {"spec": {"schedulingGates": [{"name": GATE, "$patch": "delete"}]}}
    with Api(plane.service_account("equipoise-system", "equipoise-scheduler")) as ours:
        ours.patch(f"{path}/hungry", gate, STRATEGIC)
        ours.post(f"{path}/hungry/binding", binding(made, node, notes))
    return made


def test_a_pod_that_takes_more_than_its_promise_is_told_of_and_evicted(
    agents: Agents, plane: ControlPlane, api: Api, namespace: str
) -> None:
    pod = running_pod(plane, api, namespace, "agents-5")
    uid, pod_path = pod["metadata"]["uid"], f"/api/v1/namespaces/{namespace}/pods/hungry"
    # The script's stranger on the first card is a process of the pod.
    folder = Path(agents.proc) / str(FIRST_PID)
    folder.mkdir()
    (folder / "cgroup").write_text(f"0::/kubepods/burstable/pod{uid}/x\n", encoding="utf-8")
    agents.start("agents-5", EVICT_SECONDS="5")
    events = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"

    def actions() -> list[str]:
        return [each["action"] for each in api.items(events) if each["reason"] == "MemoryOveruse"]

    eventually(lambda: "Measure" in actions(), what="it is told")
    eventually(lambda: bool(status(api, "agents-5").get("use")), what="use is published")
    assert status(api, "agents-5")["use"][0]["foreignMiB"] == 0
    eventually(lambda: sorted(actions()) == ["Evict", "Measure"], what="it is evicted")
    eventually(lambda: gone(api, pod_path), what="it is gone")


def gone(api: Api, path: str) -> bool:
    found = api.find(path)
    return found is None or "deletionTimestamp" in found["metadata"]


def test_nothing_that_they_asked_for_was_refused_but_what_is_anothers(
    agents: Agents, plane: ControlPlane
) -> None:
    refused = plane.audit.entries(user=USER, status=403)
    assert {entry.path for entry in refused} == {GPUNODES, f"{GPUNODES}/agents-2/status"}
