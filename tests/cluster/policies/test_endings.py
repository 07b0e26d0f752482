"""A GPU is free when its pod is finished or gone, and nobody can make it look so before."""

import pytest

from tests.cluster.policies.people import DRY, OUTSIDE, TEAM, People, refusal
from tests.cluster.policies.specimens import plain, untouched
from tests.support.controlplane.api import JSON

ITS_KUBELET = (
    "the pod holds a GPU, and only its kubelet can tell that it has finished; delete the pod "
    "instead"
)
NO_FORCE = (
    "the pod may still be using a GPU, so it can't be removed by force; delete it without --force, "
    "with a grace period of at least 1 second"
)
AT_ONCE: JSON = {"gracePeriodSeconds": 0}
NOW: JSON = {"gracePeriodSeconds": 1}
DRY_RUN: JSON = {"dryRun": ["All"]}
PODS = f"/api/v1/namespaces/{TEAM}/pods"


def path(pod: JSON, subresource: str = "") -> str:
    return f"{PODS}/{pod['metadata']['name']}{subresource}"


def phase(name: str) -> JSON:
    return {"status": {"phase": name}}


@pytest.mark.parametrize("name", ["Succeeded", "Failed"])
def test_a_tenant_declares_no_pod_of_its_own_finished(
    people: People, running: JSON, name: str
) -> None:
    target = path(running, "/status")
    assert refusal(lambda: people["tenant"].patch(target, phase(name))) == ITS_KUBELET


@pytest.mark.parametrize("who", ["kubelet", "admin", "equipoise", "operator"])
@pytest.mark.parametrize("name", ["Succeeded", "Failed"])
def test_whoever_looks_after_all_pods_may(
    people: People, running: JSON, who: str, name: str
) -> None:
    people[who].patch(path(running, "/status"), phase(name), params=DRY)


def test_a_tenant_may_tell_all_else_in_the_status(people: People, running: JSON) -> None:
    ready = {"type": "example.com/ready", "status": "True"}
    people["tenant"].patch(path(running, "/status"), {"status": {"conditions": [ready]}})
    people["tenant"].patch(path(running, "/status"), phase("Unknown"), params=DRY)


def test_a_tenant_takes_no_pod_away_by_force(people: People, running: JSON) -> None:
    assert refusal(lambda: people["tenant"].delete(path(running), AT_ONCE)) == NO_FORCE


def test_nor_all_of_them_together(people: People, running: JSON) -> None:
    assert refusal(lambda: people["tenant"].delete(PODS, AT_ONCE)) == NO_FORCE
    assert people["tenant"].get(path(running))["status"]["phase"] == "Running"


def test_nor_by_eviction(people: People, running: JSON) -> None:
    body = eviction(running, AT_ONCE)
    assert refusal(lambda: people["tenant"].post(path(running, "/eviction"), body)) == NO_FORCE


@pytest.mark.parametrize("options", [NOW, {}, {"gracePeriodSeconds": 30}], ids=str)
def test_deleting_with_a_grace_period_is_anybodys_right(
    people: People, running: JSON, options: JSON
) -> None:
    people["tenant"].delete(path(running), {**options, **DRY_RUN})
    people["tenant"].post(path(running, "/eviction"), eviction(running, {**options, **DRY_RUN}))


@pytest.mark.parametrize("who", ["kubelet", "admin", "equipoise", "operator"])
def test_whoever_looks_after_all_pods_may_remove_what_is_left(
    people: People, running: JSON, who: str
) -> None:
    people[who].delete(path(running), {**AT_ONCE, **DRY_RUN})


def test_a_kubelet_removes_its_pod_when_it_has_ended(people: People, running: JSON) -> None:
    people["tenant"].delete(path(running), NOW)
    people["kubelet"].patch(path(running, "/status"), phase("Succeeded"))
    people["kubelet"].delete(path(running), AT_ONCE)
    assert people["admin"].find(path(running)) is None


def test_a_finished_pod_is_removed_as_one_likes(people: People, running: JSON) -> None:
    people["kubelet"].patch(path(running, "/status"), phase("Succeeded"))
    people["tenant"].patch(path(running, "/status"), {"status": {"reason": "x"}})
    people["tenant"].delete(path(running), AT_ONCE)


def test_so_is_a_pod_that_waits(people: People, waiting: JSON) -> None:
    people["tenant"].delete(path(waiting), AT_ONCE)


@pytest.mark.parametrize("where", [TEAM, OUTSIDE])
def test_so_is_a_pod_without_gpus(people: People, where: str) -> None:
    pods = f"/api/v1/namespaces/{where}/pods"
    people["tenant"].post(pods, plain("without") if where == TEAM else untouched("without"))
    people["tenant"].patch(f"{pods}/without/status", phase("Failed"), params=DRY)
    people["tenant"].delete(f"{pods}/without", AT_ONCE)


def eviction(pod: JSON, options: JSON) -> JSON:
    return {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod["metadata"]["name"]},
        "deleteOptions": options,
    }
