"""What a pod asks for is settled when it is created, and Equipoise alone serves it."""

from typing import Any

import pytest

from tests.cluster.policies.people import DRY, NODE, OUTSIDE, TEAM, People, refusal
from tests.cluster.policies.specimens import (
    DEVICES,
    FRACTION,
    GATE,
    MIRROR,
    VISIBLE,
    VOID,
    asking,
    changed,
    container,
    plain,
    untouched,
    without,
)
from tests.support.controlplane.api import JSON, STRATEGIC, Refused

SETTLED = (
    " is settled once the pod exists; delete the pod and create it with the request that you want"
)
OTHER_SCHEDULER = (
    "the pod asks for GPUs but names another scheduler; write schedulerName: equipoise"
)
NO_GATE = (
    f"the pod asks for GPUs but lacks the gate {GATE}, which Equipoise's webhook adds; "
    "ask your admins whether the webhook is installed"
)
NOT_WIRED = (
    "the pod asks for GPUs but none of its containers would see them, because Equipoise's webhook "
    "did not wire NVIDIA_VISIBLE_DEVICES; ask your admins whether the webhook is installed"
)
NODE_CHOSEN = (
    "Equipoise chooses the node of this pod; leave nodeName out, and narrow the choice by "
    "nodeSelector or nodeAffinity"
)
KEYS = [
    *(f"equipoise.dev/gpu-{name}" for name in ("fraction", "memory", "count", "models")),
    *(f"equipoise.dev/{name}" for name in ("gpu-containers", "placement", "preemptible")),
    "equipoise.dev/max-runtime",
    *("equipoise.dev/gang", "equipoise.dev/gang-size"),
    *("equipoise.dev/required-topology", "equipoise.dev/preferred-topology"),
    "equipoise.dev/nvlink",
    *("gpu-fraction", "gpu-memory", "gpu-fraction-num-devices"),
]
USER = "equipoise.dev/user"
TEAM_PODS, OUTSIDE_PODS = (f"/api/v1/namespaces/{name}/pods" for name in (TEAM, OUTSIDE))


def path(pod: JSON, subresource: str = "") -> str:
    tail = f"/{subresource}" if subresource else ""
    metadata = pod["metadata"]
    return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}{tail}"


def notes(**values: Any) -> JSON:
    return {"metadata": {"annotations": values}}


@pytest.fixture(scope="module")
def asked(people: People) -> JSON:
    """A waiting pod that carries every annotation by which one can ask."""
    everything = dict.fromkeys(KEYS, "1")
    pod = asking("asked", notes=everything)
    pod["metadata"]["labels"] = {USER: "al"}
    return people["tenant"].post(TEAM_PODS, pod)


@pytest.fixture(scope="module")
def idle(people: People) -> JSON:
    """A pod that asks for nothing."""
    return people["tenant"].post(TEAM_PODS, plain("idle"))


@pytest.mark.parametrize("subresource", ["", "status"])
@pytest.mark.parametrize("value", ["2", None], ids=["changed", "removed"])
@pytest.mark.parametrize("key", KEYS)
def test_a_request_stays_as_it_is(
    people: People, asked: JSON, key: str, value: str | None, subresource: str
) -> None:
    target, body = path(asked, subresource), notes(**{key: value})
    assert refusal(lambda: people["tenant"].patch(target, body)) == key + SETTLED


@pytest.mark.parametrize("subresource", ["", "status"])
@pytest.mark.parametrize("key", KEYS)
def test_a_pod_without_a_request_gets_none_later(
    people: People, idle: JSON, key: str, subresource: str
) -> None:
    target, body = path(idle, subresource), notes(**{key: "1"})
    assert refusal(lambda: people["tenant"].patch(target, body)) == key + SETTLED


@pytest.mark.parametrize("who", ["tenant", "admin", "equipoise"])
def test_nobody_raises_the_request_of_a_running_pod(
    people: People, running: JSON, who: str
) -> None:
    body = notes(**{FRACTION: "1"})
    assert refusal(lambda: people[who].patch(path(running), body)) == FRACTION + SETTLED


@pytest.mark.parametrize("subresource", ["", "status"])
@pytest.mark.parametrize("user", ["jo", None], ids=["set", "removed"])
@pytest.mark.parametrize("who", ["tenant", "equipoise"])
def test_whose_a_pod_is_stays_as_it_is(
    people: People, asked: JSON, idle: JSON, who: str, user: str | None, subresource: str
) -> None:
    labels = {"metadata": {"labels": {USER: user}}}
    pod = idle if user else asked
    assert refusal(lambda: people[who].patch(path(pod, subresource), labels)) == USER + SETTLED


def test_other_labels_may_change(people: People, asked: JSON) -> None:
    labels = {"metadata": {"labels": {"app": "x"}}}
    assert people["tenant"].patch(path(asked), labels)["metadata"]["labels"]["app"] == "x"


@pytest.mark.parametrize("subresource", ["ephemeralcontainers", "resize"])
def test_through_other_subresources_no_request_is_raised(
    people: People, running: JSON, subresource: str
) -> None:
    people["tenant"].patch(path(running, subresource), notes(**{FRACTION: "1"}))
    assert people["tenant"].get(path(running))["metadata"]["annotations"][FRACTION] == "0.5"


ON_A_NODE: JSON = {"spec": {"nodeName": NODE}}


def test_nobody_puts_a_waiting_pod_on_a_node(people: People, waiting: JSON) -> None:
    with pytest.raises(Refused, match="may not change fields"):
        people["tenant"].patch(path(waiting), ON_A_NODE, STRATEGIC)


@pytest.mark.parametrize("subresource", ["status", "ephemeralcontainers", "resize"])
def test_nor_through_a_subresource(people: People, waiting: JSON, subresource: str) -> None:
    people["tenant"].patch(path(waiting, subresource), ON_A_NODE, STRATEGIC)
    assert "nodeName" not in people["tenant"].get(path(waiting))["spec"]


PAST_THE_WEBHOOK = [
    pytest.param(asking(schedulerName="default-scheduler"), OTHER_SCHEDULER, id="scheduler"),
    pytest.param(asking(schedulerName="kai-scheduler"), OTHER_SCHEDULER, id="other-scheduler"),
    pytest.param(without(asking(), "schedulingGates"), NO_GATE, id="no-gate"),
    pytest.param(asking(schedulingGates=[{"name": "example.com/x"}]), NO_GATE, id="other-gate"),
    pytest.param(asking(containers=[container("main")]), NOT_WIRED, id="not-wired"),
    pytest.param(without(asking(nodeName=NODE), "schedulingGates"), NODE_CHOSEN, id="node-chosen"),
    pytest.param(
        untouched(schedulerName="equipoise", nodeName=NODE), NODE_CHOSEN, id="node-for-plain-pod"
    ),
    *(
        pytest.param(untouched(notes={key: "1"}), OTHER_SCHEDULER, id=f"untouched-{key}")
        for key in ("equipoise.dev/gpu-fraction", "equipoise.dev/gpu-memory")
    ),
    pytest.param(
        untouched(notes={"equipoise.dev/gpu-count": "2"}), OTHER_SCHEDULER, id="untouched-count"
    ),
]


@pytest.mark.parametrize("where", [TEAM_PODS, OUTSIDE_PODS], ids=["tenants", "unlabelled"])
@pytest.mark.parametrize(("pod", "sentence"), PAST_THE_WEBHOOK)
def test_a_pod_that_asks_past_the_webhook_is_refused(
    people: People, pod: JSON, sentence: str, where: str
) -> None:
    pod = changed(pod)
    for each in pod["spec"]["containers"]:
        # Only one thing is wrong with it, so that it is known which policy refuses.
        each.setdefault("env", [VOID])
    assert refusal(lambda: people["tenant"].post(where, pod, DRY)) == sentence


@pytest.mark.parametrize("key", ["gpu-fraction", "gpu-memory", "gpu-fraction-num-devices"])
def test_kais_words_are_ours_in_tenants_namespaces(people: People, key: str) -> None:
    pod = plain(notes={key: "1"}, schedulerName="kai-scheduler")
    assert refusal(lambda: people["tenant"].post(TEAM_PODS, pod, DRY)) == OTHER_SCHEDULER
    assert people["tenant"].post(OUTSIDE_PODS, pod, DRY)["spec"]["schedulerName"] == "kai-scheduler"


def test_an_admin_is_not_past_that_either(people: People) -> None:
    pod = without(asking(), "schedulingGates")
    assert refusal(lambda: people["admin"].post(TEAM_PODS, pod, DRY)) == NO_GATE


def test_a_static_pod_asks_for_nothing(people: People) -> None:
    owner: JSON = {"apiVersion": "v1", "kind": "Node", "name": NODE, "controller": True}
    owner["uid"] = people["admin"].get(f"/api/v1/nodes/{NODE}")["metadata"]["uid"]
    pod = untouched(notes={MIRROR: "hash", FRACTION: "1"}, nodeName=NODE)
    pod["metadata"]["ownerReferences"] = [owner]
    assert refusal(lambda: people["kubelet"].post(OUTSIDE_PODS, pod, DRY)) == NODE_CHOSEN


INNOCENT = [
    pytest.param(asking(), id="as-the-webhook-leaves-it"),
    pytest.param(
        asking(containers=[container("main"), container("second", env=[VISIBLE])]),
        id="second-container",
    ),
    pytest.param(
        asking(initContainers=[container("first", env=[VISIBLE])], containers=[container("main")]),
        id="init-container",
    ),
    pytest.param(asking(notes=dict.fromkeys(KEYS, "1")), id="every-annotation"),
    pytest.param(plain(), id="plain"),
    pytest.param(plain(nodeName=NODE), id="plain-with-node"),
    pytest.param(plain(schedulerName="equipoise"), id="plain-of-our-scheduler"),
    pytest.param(plain(schedulerName="another"), id="plain-of-another-scheduler"),
    pytest.param(plain(notes={"gpu-type": "x", "example.com/gpu-fraction": "1"}), id="alike"),
]


@pytest.mark.parametrize("where", [TEAM_PODS, OUTSIDE_PODS], ids=["tenants", "unlabelled"])
@pytest.mark.parametrize("pod", INNOCENT)
def test_all_others_are_created(people: People, pod: JSON, where: str) -> None:
    assert people["tenant"].post(where, pod, DRY)["metadata"]["name"] == "p"


def test_equipoise_may_make_a_pod_without_gate(people: People) -> None:
    pod = without(asking(), "schedulingGates")
    people["equipoise"].post(TEAM_PODS, pod, DRY)


def test_in_system_namespaces_requests_are_nobodys_business(people: People) -> None:
    pods = "/api/v1/namespaces/kube-system/pods"
    people["admin"].post(pods, untouched(notes={FRACTION: "1"}), DRY)


@pytest.mark.parametrize("subresource", ["", "status"])
def test_all_else_about_a_waiting_pod_may_change(
    people: People, asked: JSON, subresource: str
) -> None:
    body = {"metadata": {"labels": {"a": "b"}, "annotations": {"example.com/x": "y"}}}
    found = people["tenant"].patch(path(asked, subresource), body)
    assert found["metadata"]["annotations"]["example.com/x"] == "y"
    assert DEVICES not in found["metadata"]["annotations"]
