"""A small tenant gets its due on the real control plane, whatever a large one does against it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.cluster.pods import Room, pod
from tests.cluster.tenants import installation, rooms_of
from tests.support.controlplane.api import JSON, Api
from tests.support.controlplane.installed import USER, Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually, stays

GPUS = 4
PATIENCE, BUDGET, GRACE, AGAIN = 2.0, 4.0, 3.0, 5.0
BOUND = PATIENCE + BUDGET + AGAIN + GRACE
SETTINGS = {
    "reclaim": {
        "patience_seconds": PATIENCE,
        "min_runtime_seconds": 1,
        "budget_seconds": BUDGET,
        "grace_seconds": GRACE,
    }
}
LARGE, SMALL = "reclaim-large", "reclaim-small"
YEAR = 31_536_000


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    with installation(plane, "reclaim", (LARGE, SMALL), gpus=GPUS, settings=SETTINGS) as ours:
        yield ours


@pytest.fixture
def rooms(plane: ControlPlane, installed: Installation) -> Iterator[tuple[Room, Room]]:
    """The large tenant's and the small one's."""
    with rooms_of(plane, (LARGE, SMALL)) as (first, second):
        yield first, second


def deployment(name: str, replicas: int, **spec: Any) -> JSON:
    """So many pods with a whole GPU each, which are made again whenever one ends."""
    template = pod("", "1", **spec)
    template["metadata"] = {**template["metadata"], "labels": {"app": name}}
    del template["metadata"]["name"]
    selector = {"matchLabels": {"app": name}}
    body = {"replicas": replicas, "selector": selector, "template": template}
    return {"metadata": {"name": name}, "spec": body}


def running(room: Room) -> int:
    return list(room.phases().values()).count("Running")


def deploy(room: Room, body: JSON) -> None:
    room.api.post(f"/apis/apps/v1/namespaces/{room.namespace}/deployments", body)


def all_taken_by(large: Room, **spec: Any) -> None:
    """The large tenant has all GPUs, and wants twice as many."""
    deploy(large, deployment("greedy", 2 * GPUS, **spec))
    eventually(lambda: running(large) == GPUS, 30, what="the large one has everything")


def gets_its_due(small: Room, large: Room, within: float) -> None:
    """The small tenant wants more than its half, and gets that; then all stays as it is."""
    deploy(small, deployment("modest", 3))
    eventually(lambda: running(small) == GPUS // 2, within + 5, what="the small one has its due")
    eventually(lambda: running(large) == GPUS // 2, 10, what="so has the large one")
    stays(
        lambda: (running(small), running(large)) == (GPUS // 2, GPUS // 2),
        3 * PATIENCE + 1,
        every=0.2,
        what="nobody is stopped for the reverse",
    )


def told(room: Room) -> list[tuple[str, str]]:
    """What events say about whom was stopped."""
    events = room.api.items(f"/apis/events.k8s.io/v1/namespaces/{room.namespace}/events")
    return [(each["action"], each["note"]) for each in events if each["reason"] == "Reclaimed"]


def asked(plane: ControlPlane, room: Room, resource: str, verb: str) -> list[JSON]:
    """Requests of Equipoise that were done, on pods of the room."""
    return [
        entry.raw
        for entry in plane.audit.entries(user=USER)
        if (entry.resource, entry.verb) == (resource, verb)
        and entry.status in (200, 201)
        and entry.raw["objectRef"]["namespace"] == room.namespace
    ]


def test_a_small_tenant_that_comes_late_gets_its_due_and_everybody_is_told(
    rooms: tuple[Room, Room], plane: ControlPlane, installed: Installation
) -> None:
    large, small = rooms
    all_taken_by(large)
    gets_its_due(small, large, PATIENCE + GRACE)
    assert len(asked(plane, large, "pods/eviction", "create")) == GPUS // 2
    assert asked(plane, small, "pods/eviction", "create") == []
    eventually(lambda: len(told(large)) == GPUS // 2, what="who was stopped is told why")
    assert set(told(large)) == {
        ("Evict", "its tenant holds more than its due, and another one has less than its own")
    }
    page = f"http://127.0.0.1:{installed.ports['reclaim'].web}/metrics"
    metrics = httpx.get(page, trust_env=False).text
    assert f'equipoise_evictions_total{{reason="Reclaimed"}} {GPUS // 2}.0\n' in metrics


def test_a_disruption_budget_delays_it_and_no_more(
    rooms: tuple[Room, Room], plane: ControlPlane, api: Api
) -> None:
    large, small = rooms
    budgets = f"/apis/policy/v1/namespaces/{LARGE}/poddisruptionbudgets"
    spec = {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "greedy"}}}
    api.post(budgets, {"metadata": {"name": "never"}, "spec": spec})
    all_taken_by(large)
    eventually(lambda: api.get(f"{budgets}/never")["status"].get("expectedPods"), what="it counts")
    gets_its_due(small, large, BOUND)
    assert asked(plane, large, "pods/eviction", "create") == []
    assert len(asked(plane, large, "pods", "delete")) == GPUS // 2


def test_a_year_of_grace_is_cut_short(rooms: tuple[Room, Room], plane: ControlPlane) -> None:
    large, small = rooms
    all_taken_by(large, terminationGracePeriodSeconds=YEAR)
    gets_its_due(small, large, PATIENCE + GRACE)
    evictions = asked(plane, large, "pods/eviction", "create")
    cut = {each["requestObject"]["deleteOptions"]["gracePeriodSeconds"] for each in evictions}
    assert cut == {int(GRACE)}


def test_a_pod_is_stopped_when_its_time_is_over_and_made_again(
    rooms: tuple[Room, Room], plane: ControlPlane
) -> None:
    _, small = rooms
    body = deployment("brief", 1)
    body["spec"]["template"]["metadata"]["annotations"]["equipoise.dev/max-runtime"] = "3s"
    deploy(small, body)
    eventually(lambda: running(small) == 1, 20, what="it runs")
    (first,) = small.phases()
    eventually(
        lambda: running(small) == 1 and first not in small.phases(), 20, what="another one runs"
    )
    assert len(asked(plane, small, "pods/eviction", "create")) >= 1


def test_pods_that_can_not_be_stopped_have_no_room_above_the_guarantee(
    rooms: tuple[Room, Room],
) -> None:
    large, small = rooms
    body = deployment("greedy", GPUS)
    body["spec"]["template"]["metadata"]["annotations"]["equipoise.dev/preemptible"] = "false"
    deploy(large, body)
    eventually(lambda: len(large.phases()) == GPUS, what="they are there")
    deploy(small, deployment("modest", 3))
    eventually(lambda: running(small) == 3, what="the small one has what is free")
    assert running(large) == 0
