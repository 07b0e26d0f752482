"""`equipoise defrag` on the real control plane: looked at first, then ordered by an admin."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.cli.defragorder import Order, give
from scheduler.core.model import names
from scheduler.core.model.ids import TenantName
from scheduler.kube.client import Client
from tests.cluster.pods import Room
from tests.cluster.tenants import installation, rooms_of
from tests.cluster.test_gangs import (
    bound,
    card,
    deploy,
    members,
    running,
    spread_halves,
    told,
)
from tests.support.builders import pod
from tests.support.controlplane import standin
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.layout import ROOT
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually, stays

GPUS = 4
SETTINGS = {"reclaim": {"patience_seconds": None, "min_runtime_seconds": 1, "grace_seconds": 2}}
ONE, OTHER = "defrag-one", "defrag-other"
TENANTS = "/apis/equipoise.dev/v1alpha1/tenants"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
MAP = "equipoise-settings-defrag"


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    with installation(plane, "defrag", (ONE, OTHER), gpus=GPUS, settings=SETTINGS) as ours:
        # The command goes by the settings that it finds in the cluster.
        maps = f"/api/v1/namespaces/{names.NAMESPACE}/configmaps"
        body = {"metadata": {"name": MAP}, "data": {"settings.yaml": json.dumps(SETTINGS)}}
        plane.api.post(maps, body)
        plane.api.post(standin.PATH, standin.deployment(MAP))
        yield ours
        plane.api.delete(f"{standin.PATH}/equipoise-scheduler")
        plane.api.delete(f"{maps}/{MAP}")


@pytest.fixture
def rooms(plane: ControlPlane, installed: Installation) -> Iterator[tuple[Room, Room]]:
    with rooms_of(plane, (ONE, OTHER)) as (first, second):
        yield first, second


def orders(plane: ControlPlane) -> dict[str, str]:
    """What stands on the tenant about it."""
    notes = plane.api.get(f"{TENANTS}/{ONE}")["metadata"].get("annotations") or {}
    return {name: text for name, text in notes.items() if "defrag" in name}


def reader(plane: ControlPlane) -> Path:
    """Somebody who may read everything, and change nothing."""
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]
    named = {"metadata": {"name": "defrag-reader"}}
    plane.api.ensure(f"{RBAC}/clusterroles", {**named, "rules": rules})
    role = {"apiGroup": RBAC.split("/")[2], "kind": "ClusterRole", "name": "defrag-reader"}
    subject = {"apiGroup": role["apiGroup"], "kind": "User", "name": "reader"}
    bound = {**named, "roleRef": role, "subjects": [subject]}
    plane.api.ensure(f"{RBAC}/clusterrolebindings", bound)
    return plane.kubeconfig("reader")


def defrag(plane: ControlPlane, *argv: str, status: int = 0, kubeconfig: Path | None = None) -> str:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "scheduler",
            "defrag",
            *argv,
            "--kubeconfig",
            str(kubeconfig or plane.kubeconfig()),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_it_says_what_it_would_do_then_it_is_ordered_and_done(
    rooms: tuple[Room, Room], plane: ControlPlane
) -> None:
    room, _ = rooms
    assert "No pod waits" in defrag(plane, "--dry-run", status=1)
    left = spread_halves(room)
    deploy(room, "large", "1")
    eventually(lambda: len(members(room, "large")) == 1, 20, what="the large one waits")
    stays(lambda: bound(room, "large") == 0, 3, every=0.2, what="by itself nobody is moved")

    (large,) = members(room, "large")
    found = json.loads(defrag(plane, "--dry-run", "--json", "--tenant", ONE))
    (gain,) = found["fits"]
    assert gain["pod"] == f"{room.namespace}/{large['metadata']['name']}"
    assert (found["moves"], found["gpus"], found["placed"]) == (1, 1.0, None)
    assert "No pod of defrag-other waits" in defrag(plane, "--dry-run", "--tenant", OTHER, status=1)
    assert "there is no tenant" in defrag(plane, "--dry-run", "--tenant", "nobody", status=2)
    stays(lambda: bound(room, "large") == 0, 2, every=0.2, what="that has changed nothing")

    assert "403" in defrag(plane, "--for", "60s", status=2, kubeconfig=reader(plane))
    assert orders(plane) == {}

    said = defrag(plane, "--max-moves", "1", "--for", "60s")
    assert "1 of 1 waiting pod fit by 1 move" in said
    assert f"{gain['pod']} has its place on node" in said
    eventually(lambda: running(room, "large") == 1, 20, what="the large one runs")
    eventually(lambda: [running(room, name) for name in left] == [1, 1], 20, what="the others too")
    assert card(room, left[0]) == card(room, left[1])
    assert len(told(room, "Moved")) == 1
    # The order is over.
    assert orders(plane) == {}


async def test_an_order_that_somebody_wrote_over_ours_stays(
    rooms: tuple[Room, Room], plane: ControlPlane
) -> None:
    theirs = {names.DEFRAG_UNTIL: "2099-01-01T00:00:00Z", names.DEFRAG_MOVES: "7"}
    path = f"{TENANTS}/{ONE}"

    def write_over(text: str) -> None:
        if text.startswith("Ordered"):
            plane.api.patch(path, {"metadata": {"annotations": theirs}})

    # The pod isn't there, so nothing is waited for.
    order = Order((pod("gone"),), {TenantName(ONE): 1}, 60.0)
    async with await Client.connect(kubeconfig=str(plane.kubeconfig())) as client:
        assert await give(client, order, wait=True, tell=write_over)
        assert orders(plane) == theirs
        plane.api.patch(path, {"metadata": {"annotations": dict.fromkeys(theirs)}})
        assert await give(client, order, wait=True, tell=lambda _: None)
        assert orders(plane) == {}
