"""Nobody but Equipoise says who holds which GPU, nor lets a pod out of the queue."""

from typing import Any

import pytest

from tests.cluster.policies.people import DRY, NODE, OUTSIDE, TEAM, People, refusal
from tests.cluster.policies.specimens import (
    ASSIGNMENT,
    CDI,
    DEVICES,
    FRACTION,
    GATE,
    MIRROR,
    WRITTEN,
    asking,
    binding,
    plain,
    untouched,
)
from tests.support.controlplane.api import JSON, JSON_PATCH, STRATEGIC, Refused

LEFT_OUT = " is written by Equipoise when it binds the pod; leave it out of the new pod"
ALONE = " is written by Equipoise alone; leave it as it is"
STAYS = " stays as it is while the pod exists; delete the pod to end its assignment"
ONLY_OURS = " is written by Equipoise alone; leave it out of the Binding"
SETTLED = " is settled once the pod exists; leave it out of the Binding"
GATED = (
    f"only Equipoise takes the gate {GATE} away, when it is the pod's turn; "
    "leave the gate where it is"
)
BRINGS = [*WRITTEN, "equipoise.dev/anything-else"]
UNGATED: JSON = {"spec": {"schedulingGates": [{"name": GATE, "$patch": "delete"}]}}


def path(pod: JSON, subresource: str = "") -> str:
    tail = f"/{subresource}" if subresource else ""
    return f"/api/v1/namespaces/{TEAM}/pods/{pod['metadata']['name']}{tail}"


def notes(**values: Any) -> JSON:
    return {"metadata": {"annotations": values}}


@pytest.mark.parametrize("key", BRINGS)
def test_a_new_pod_brings_no_assignment_along(people: People, key: str) -> None:
    pod = asking(notes={key: "GPU-1"})
    pods = f"/api/v1/namespaces/{TEAM}/pods"
    assert refusal(lambda: people["tenant"].post(pods, pod, DRY)) == key + LEFT_OUT


@pytest.mark.parametrize("who", ["admin", "equipoise"])
@pytest.mark.parametrize("where", [TEAM, OUTSIDE, "kube-system"])
def test_not_even_if_equipoise_itself_makes_it(people: People, who: str, where: str) -> None:
    pod = plain(notes={DEVICES: "GPU-1"})
    pods = f"/api/v1/namespaces/{where}/pods"
    assert refusal(lambda: people[who].post(pods, pod, DRY)) == DEVICES + LEFT_OUT


def test_a_static_pod_brings_none_along(people: People) -> None:
    kubelet = people["kubelet"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": NODE, "controller": True}
    owner["uid"] = people["admin"].get(f"/api/v1/nodes/{NODE}")["metadata"]["uid"]
    pod = untouched(notes={MIRROR: "hash", ASSIGNMENT: "{}"}, nodeName=NODE)
    pod["metadata"]["ownerReferences"] = [owner]
    pods = "/api/v1/namespaces/kube-system/pods"
    assert refusal(lambda: kubelet.post(pods, pod, DRY)) == ASSIGNMENT + LEFT_OUT
    del pod["metadata"]["annotations"][ASSIGNMENT]
    assert kubelet.post(pods, pod, DRY)["spec"]["nodeName"] == NODE


@pytest.mark.parametrize(
    ("who", "subresource"),
    [
        ("tenant", ""),
        ("tenant", "status"),
        ("admin", ""),
        ("admin", "status"),
        ("job-controller", ""),
    ],
)
@pytest.mark.parametrize("key", [DEVICES, "equipoise.dev/mps-threads"])
def test_nobody_gives_a_waiting_pod_an_assignment(
    people: People, waiting: JSON, who: str, key: str, subresource: str
) -> None:
    target = path(waiting, subresource)
    assert refusal(lambda: people[who].patch(target, notes(**{key: "1"}))) == key + ALONE


@pytest.mark.parametrize("value", ["other", None], ids=["changed", "removed"])
@pytest.mark.parametrize("subresource", ["", "status"])
@pytest.mark.parametrize("who", ["tenant", "admin"])
@pytest.mark.parametrize("key", list(WRITTEN))
def test_nobody_changes_what_a_running_pod_was_assigned(
    people: People, running: JSON, key: str, who: str, subresource: str, value: str | None
) -> None:
    target = path(running, subresource)
    assert refusal(lambda: people[who].patch(target, notes(**{key: value}))) == key + ALONE


def test_nor_does_its_kubelet_through_status(people: People, running: JSON) -> None:
    body = notes(**{DEVICES: "GPU-2"})
    said = refusal(lambda: people["kubelet"].patch(path(running, "status"), body))
    assert said == DEVICES + ALONE


@pytest.mark.parametrize("subresource", ["", "status"])
@pytest.mark.parametrize("value", ["other", None], ids=["changed", "removed"])
def test_not_even_equipoise_changes_it(
    people: People, running: JSON, subresource: str, value: str | None
) -> None:
    body = notes(**{ASSIGNMENT: value})
    said = refusal(lambda: people["equipoise"].patch(path(running, subresource), body))
    assert said == ASSIGNMENT + STAYS


def test_whoever_replaces_the_whole_pod_keeps_its_assignment(people: People, running: JSON) -> None:
    stored = people["tenant"].get(path(running))
    stored["metadata"]["annotations"] = {"equipoise.dev/gpu-containers": "main", FRACTION: "0.5"}
    assert refusal(lambda: people["tenant"].put(path(running), stored)).endswith(ALONE)


@pytest.mark.parametrize("subresource", ["ephemeralcontainers", "resize"])
def test_through_other_subresources_nothing_reaches_the_annotations(
    people: People, running: JSON, subresource: str
) -> None:
    target, body = path(running, subresource), notes(**{DEVICES: "GPU-2"})
    people["tenant"].patch(target, body, STRATEGIC)
    assert people["tenant"].get(path(running))["metadata"]["annotations"][DEVICES] == "GPU-1"


@pytest.mark.parametrize("legacy", [False, True], ids=["pods-binding", "bindings"])
@pytest.mark.parametrize("key", BRINGS)
@pytest.mark.parametrize("who", ["tenant", "admin", "kube-scheduler"])
def test_only_equipoise_posts_bindings_with_an_assignment(
    people: People, waiting: JSON, who: str, key: str, legacy: bool
) -> None:
    body = binding(waiting, NODE, {key: "GPU-1"})
    target = f"/api/v1/namespaces/{TEAM}/bindings" if legacy else path(waiting, "binding")
    assert refusal(lambda: people[who].post(target, body)) == key + ONLY_OURS


@pytest.mark.parametrize("legacy", [False, True], ids=["pods-binding", "bindings"])
@pytest.mark.parametrize("key", [FRACTION, "equipoise.dev/preemptible", "gpu-memory"])
@pytest.mark.parametrize("who", ["tenant", "equipoise"])
def test_no_binding_raises_a_request(
    people: People, waiting: JSON, who: str, key: str, legacy: bool
) -> None:
    body = binding(waiting, NODE, {key: "1"})
    target = f"/api/v1/namespaces/{TEAM}/bindings" if legacy else path(waiting, "binding")
    assert refusal(lambda: people[who].post(target, body)) == key + SETTLED


def test_a_tenants_binding_injects_no_devices(people: People, waiting: JSON) -> None:
    body = binding(waiting, NODE, {CDI: "nvidia.com/gpu=all"})
    said = refusal(lambda: people["tenant"].post(path(waiting, "binding"), body))
    assert said == CDI + " would give the pod devices past Equipoise; leave it out of the Binding"


@pytest.mark.parametrize("who", ["tenant", "admin", "job-controller"])
def test_only_equipoise_takes_its_gate_away(people: People, waiting: JSON, who: str) -> None:
    assert refusal(lambda: people[who].patch(path(waiting), UNGATED, STRATEGIC)) == GATED


def test_nor_is_it_taken_away_together_with_others(people: People, waiting: JSON) -> None:
    drop = [{"op": "remove", "path": "/spec/schedulingGates"}]
    assert refusal(lambda: people["tenant"].patch(path(waiting), drop, JSON_PATCH)) == GATED


def test_nor_through_status(people: People, waiting: JSON) -> None:
    people["tenant"].patch(path(waiting, "status"), UNGATED, STRATEGIC)
    gates = people["tenant"].get(path(waiting))["spec"]["schedulingGates"]
    assert {"name": GATE} in gates


def test_the_gate_of_somebody_else_is_somebody_elses(people: People, waiting: JSON) -> None:
    body = {"spec": {"schedulingGates": [{"name": "example.com/quota", "$patch": "delete"}]}}
    left = people["tenant"].patch(path(waiting), body, STRATEGIC)["spec"]["schedulingGates"]
    assert left == [{"name": GATE}]


def test_equipoise_releases_and_binds(people: People, running: JSON) -> None:
    stored = people["tenant"].get(path(running))
    assert stored["spec"]["nodeName"] == NODE
    assert WRITTEN.items() <= stored["metadata"]["annotations"].items()


def test_equipoise_names_cdi_devices_in_its_binding(people: People) -> None:
    pods = f"/api/v1/namespaces/{TEAM}/pods"
    made = people["tenant"].post(pods, asking("with-cdi"))
    people["equipoise"].patch(path(made), UNGATED, STRATEGIC)
    notes_of_ours = {**WRITTEN, CDI: "nvidia.com/gpu=GPU-1"}
    people["equipoise"].post(path(made, "binding"), binding(made, NODE, notes_of_ours))
    stored = people["tenant"].get(path(made))
    assert stored["metadata"]["annotations"][CDI] == "nvidia.com/gpu=GPU-1"


INNOCENT = [
    pytest.param("kubelet", "status", {"status": {"message": "pulling"}}, id="kubelet-status"),
    pytest.param("tenant", "", {"metadata": {"labels": {"app": "x"}}}, id="label"),
    pytest.param("tenant", "", notes(**{"example.com/note": "x"}), id="foreign-annotation"),
    pytest.param("tenant", "", {"metadata": {"finalizers": ["example.com/x"]}}, id="finalizer"),
    pytest.param("tenant", "", {"spec": {"activeDeadlineSeconds": 60}}, id="deadline"),
    pytest.param("kubelet", "status", notes(**{"example.com/seen": "x"}), id="kubelet-annotation"),
    pytest.param("admin", "status", {"status": {"reason": "Evicted"}}, id="admin-status"),
]


@pytest.mark.parametrize(("who", "subresource", "body"), INNOCENT)
def test_all_else_about_a_running_pod_may_change(
    people: People, running: JSON, who: str, subresource: str, body: JSON
) -> None:
    target = path(running, subresource)
    found = people[who].patch(target, body, "application/merge-patch+json", DRY)
    assert WRITTEN.items() <= found["metadata"]["annotations"].items()


def test_other_schedulers_bind_their_pods_as_ever(people: People) -> None:
    pods = f"/api/v1/namespaces/{OUTSIDE}/pods"
    made = people["tenant"].post(pods, untouched("theirs"))
    body = binding(made, NODE, {"example.com/note": "x", CDI: "example.com/nic=1"})
    people["kube-scheduler"].post(f"{pods}/theirs/binding", body)
    assert people["tenant"].get(f"{pods}/theirs")["spec"]["nodeName"] == NODE


def test_a_pod_bound_without_assignment_stays_without(people: People) -> None:
    """Who may post Bindings can bind a pod past Equipoise; it gets no GPU by that."""
    pods = f"/api/v1/namespaces/{TEAM}/pods"
    made = people["tenant"].post(pods, asking("past-us"))
    with pytest.raises(Refused, match="schedulingGates"):
        people["tenant"].post(path(made, "binding"), binding(made, NODE))
    people["equipoise"].patch(path(made), UNGATED, STRATEGIC)
    people["tenant"].post(path(made, "binding"), binding(made, NODE))
    said = refusal(lambda: people["tenant"].patch(path(made), notes(**{DEVICES: "GPU-1"})))
    assert said == DEVICES + ALONE
