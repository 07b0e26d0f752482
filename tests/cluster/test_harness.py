"""The control plane for tests does what the tests believe of it."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from tests.support.controlplane import namespaces
from tests.support.controlplane.api import Api, Refused
from tests.support.controlplane.auditor import Auditor
from tests.support.controlplane.layout import BASE, ROOT
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.replicas import Ports, Replica, replica
from tests.support.controlplane.sweeping import drop_namespace
from tests.support.controlplane.waiting import eventually

SYSTEM = "equipoise-system"
AGENTS = "equipoise-agents"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/equipoise-scheduler"
ANSWERING = """
import http.server, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""
STARTING = """
from tests.support.controlplane.plane import ControlPlane
plane = ControlPlane()
plane.start()
print(plane.folder, *(each.pid for each in plane.processes.values()), flush=True)
input()
"""

Pod = dict[str, Any]


@pytest.fixture(scope="module")
def account(plane: ControlPlane) -> Path:
    """The kubeconfig of Equipoise's own account, with what is shipped as its rights."""
    plane.apply(BASE / "namespace.yaml", BASE / "rbac.yaml")
    return plane.service_account(SYSTEM, "equipoise-scheduler")


@pytest.fixture
def auditor(plane: ControlPlane) -> Iterator[Auditor]:
    auditor = Auditor(plane.kubeconfig())
    auditor.start()
    yield auditor
    auditor.close()


@pytest.fixture
def pair(plane: ControlPlane, account: Path) -> Iterator[list[Replica]]:
    """Two replicas whose `serve` only answers; the first leads."""
    both = [_replica(plane, account, name) for name in ("first", "second")]
    for each in both:
        each.start()
        eventually(lambda: _holder(plane.api), what="one of them leads")
    yield both
    for each in both:
        each.close()
    plane.api.delete(LEASE)


def _replica(plane: ControlPlane, account: Path, name: str) -> Replica:
    ports = Ports()
    argv = [sys.executable, "-c", ANSWERING, str(ports.web)]
    return replica(plane, name=name, serve=argv, kubeconfig=account, ports=ports)


def _holder(api: Api) -> str:
    lease = api.find(LEASE)
    return lease["spec"].get("holderIdentity", "") if lease else ""


def pod(name: str, **spec: Any) -> Pod:
    plain = {"schedulerName": "equipoise", "containers": [{"name": "c", "image": "x"}]}
    asks = {"equipoise.dev/gpu-fraction": "0.5"}
    return {"metadata": {"name": name, "annotations": asks}, "spec": {**plain, **spec}}


def bind(api: Api, namespace: str, made: Pod, assignment: str = "") -> None:
    name = made["metadata"]["name"]
    annotations = {"equipoise.dev/assignment": assignment} if assignment else {}
    body = {
        "metadata": {"name": name, "annotations": annotations},
        "target": {"kind": "Node", "name": "n"},
    }
    api.post(f"/api/v1/namespaces/{namespace}/pods/{name}/binding", body)


def assigned(milli: int, *, node: str = "n", uuid: str = "GPU-0") -> str:
    return f'{{"version":1,"node":"{node}","slots":[[0,"{uuid}",{milli},100]]}}'


def test_pods_run_and_end_as_on_real_nodes(plane: ControlPlane, api: Api, namespace: str) -> None:
    (node,) = plane.nodes(1, prefix="runs-", shared=False)
    pods = f"/api/v1/namespaces/{namespace}/pods"

    api.post(pods, pod("p", nodeName=node))

    eventually(lambda: api.get(f"{pods}/p")["status"]["phase"] == "Running")
    api.delete(f"{pods}/p")
    eventually(lambda: api.find(f"{pods}/p") is None)


def test_a_namespace_can_be_made_anew_though_its_pods_had_a_year_to_end(
    plane: ControlPlane, api: Api
) -> None:
    """kube-controller-manager looks at it again when half of the longest grace period is over."""
    (node,) = plane.nodes(1, prefix="patient-")
    namespaces.create(api, "patient")
    slow = pod("slow", nodeName=node, terminationGracePeriodSeconds=31_536_000)
    slow["metadata"]["finalizers"] = ["equipoise.dev/held"]
    pods = "/api/v1/namespaces/patient/pods"
    api.post(pods, slow)
    let_go = Timer(15, api.patch, (f"{pods}/slow", {"metadata": {"finalizers": None}}))
    let_go.start()
    drop_namespace(api, "patient")
    namespaces.create(api, "patient")
    drop_namespace(api, "patient")
    let_go.join()


def test_the_shipped_scheduler_configuration_and_rights_suffice(
    plane: ControlPlane, account: Path, namespace: str
) -> None:
    plane.nodes(2, prefix="stock-", shared=False)
    plane.audit.mark()
    pods = f"/api/v1/namespaces/{namespace}/pods"

    scheduler = plane.scheduler(name="shipped", kubeconfig=account, elect=True)
    eventually(lambda: scheduler.leads, what="it leads")
    plane.api.post(pods, pod("p"))

    eventually(lambda: plane.api.get(f"{pods}/p")["status"].get("phase") == "Running")
    user = f"system:serviceaccount:{SYSTEM}:equipoise-scheduler"
    assert plane.audit.entries(user=user, status=201)
    assert plane.audit.entries(user=user, status=403) == []
    scheduler.process.stop()
    plane.api.delete(LEASE)


def test_an_agents_token_names_its_node(plane: ControlPlane) -> None:
    plane.nodes(2, prefix="named-", shared=False)

    with Api(plane.agent_kubeconfig("named-1")) as agent:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        review = agent.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", body)

    user = review["status"]["userInfo"]
    assert user["username"] == f"system:serviceaccount:{AGENTS}:equipoise-agent"
    assert user["extra"]["authentication.kubernetes.io/node-name"] == ["named-1"]


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", "/api/v1/namespaces/default/pods"),
        ("GET", f"/api/v1/namespaces/{SYSTEM}/secrets"),
        ("GET", "/api/v1/namespaces/default/secrets/any"),
        ("GET", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/others"),
    ],
)
def test_equipoise_may_do_no_more_than_it_needs(account: Path, verb: str, path: str) -> None:
    with Api(account) as api, pytest.raises(Refused) as caught:
        api.post(path, pod("p")) if verb == "POST" else api.get(path)
    assert caught.value.status == 403


def test_nothing_outlives_tests_that_are_killed() -> None:
    argv = [sys.executable, "-c", STARTING]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as tests:
        assert tests.stdout is not None
        folder, *pids = tests.stdout.readline().split()
        tests.send_signal(signal.SIGKILL)

    assert len(pids) == 4
    eventually(lambda: not any(_runs(int(pid)) for pid in pids), 5)
    shutil.rmtree(folder)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


class TestReplica:
    def test_a_serve_that_dies_is_started_again(
        self, plane: ControlPlane, pair: list[Replica]
    ) -> None:
        first, leader = pair[0], _holder(plane.api)

        first.kill_serve()

        eventually(lambda: first.containers["serve"].starts == 2, 5)
        eventually(lambda: first.ready, 5)
        assert _holder(plane.api) == leader
        assert first.containers["kube-scheduler"].starts == 1

    def test_a_serve_that_answers_nothing_ends_both_and_the_other_leads(
        self, plane: ControlPlane, pair: list[Replica]
    ) -> None:
        first, leader = pair[0], _holder(plane.api)

        first.stop_serve()

        eventually(lambda: _holder(plane.api) not in {"", leader}, 20)
        eventually(lambda: {each.starts for each in first.containers.values()} == {2}, 10)
        eventually(lambda: first.ready, 10)

    def test_a_replica_that_is_killed_stays_dead_and_the_other_leads(
        self, plane: ControlPlane, pair: list[Replica]
    ) -> None:
        first, leader = pair[0], _holder(plane.api)

        first.kill()

        eventually(lambda: _holder(plane.api) not in {"", leader}, 20)
        assert not first.ready
        assert first.pid("serve") is first.pid("kube-scheduler") is None


class TestAuditor:
    def test_it_sees_who_holds_what_until_the_pod_is_gone(
        self, api: Api, namespace: str, auditor: Auditor
    ) -> None:
        made = api.post(f"/api/v1/namespaces/{namespace}/pods", pod("p"))
        bind(api, namespace, made, assigned(500))

        auditor.caught_up()
        assert auditor.held() == {made["metadata"]["uid"]: ("n", {"GPU-0": 500})}

        api.delete(f"/api/v1/namespaces/{namespace}/pods/p", {"gracePeriodSeconds": 0})
        auditor.caught_up()
        assert auditor.held() == {}
        assert auditor.problems() == []

    def test_a_finished_pod_holds_nothing(self, api: Api, namespace: str, auditor: Auditor) -> None:
        pods = f"/api/v1/namespaces/{namespace}/pods"
        for name in ("first", "second"):
            bind(api, namespace, api.post(pods, pod(name)), assigned(600))
            api.patch(f"{pods}/{name}/status", {"status": {"phase": "Succeeded"}})

        auditor.caught_up()
        assert auditor.held() == {}
        assert auditor.problems() == []

    def test_it_remembers_a_card_that_was_oversold_for_a_moment(
        self, api: Api, namespace: str, auditor: Auditor
    ) -> None:
        pods = f"/api/v1/namespaces/{namespace}/pods"
        for name in ("first", "second"):
            bind(api, namespace, api.post(pods, pod(name)), assigned(600))
        api.delete(f"{pods}/first", {"gracePeriodSeconds": 0})

        auditor.caught_up()
        assert auditor.problems() == ["GPU-0 of n was oversold by 200 milli, 0 MiB"]

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("", "was bound to n without an assignment"),
            ("[]", "has an assignment that can't be read"),
            (assigned(500, node="other"), "on n has the assignment"),
        ],
        ids=["none", "unreadable", "another node"],
    )
    def test_it_complains_of_a_wrong_assignment(
        self, api: Api, namespace: str, auditor: Auditor, text: str, complaint: str
    ) -> None:
        made = api.post(f"/api/v1/namespaces/{namespace}/pods", pod("p"))
        bind(api, namespace, made, text)

        auditor.caught_up()
        (problem,) = auditor.problems()
        assert problem.startswith(f"{namespace}/p {complaint}")

    def test_it_complains_of_an_assignment_that_changes(
        self, api: Api, namespace: str, auditor: Auditor
    ) -> None:
        pods = f"/api/v1/namespaces/{namespace}/pods"
        made = api.post(pods, pod("p"))
        bind(api, namespace, made, assigned(500))
        later = {"equipoise.dev/assignment": assigned(250)}
        api.patch(f"{pods}/p", {"metadata": {"annotations": later}})

        auditor.caught_up()
        (problem,) = auditor.problems()
        assert problem.startswith(f"{namespace}/p was bound to n with ")
        assert auditor.held() == {made["metadata"]["uid"]: ("n", {"GPU-0": 250})}

    def test_it_goes_on_over_a_restart_of_the_api_server(
        self, plane: ControlPlane, api: Api, namespace: str, auditor: Auditor
    ) -> None:
        pods = f"/api/v1/namespaces/{namespace}/pods"
        bind(api, namespace, api.post(pods, pod("before")), assigned(500))

        plane.restart_apiserver(kill=True)
        bind(api, namespace, api.post(pods, pod("after")), assigned(500))

        auditor.caught_up()
        assert len(auditor.held()) == 2
        assert auditor.problems() == []
