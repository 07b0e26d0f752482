"""The Binding: one write, and after it either a fact or an honest "not known"."""

import pytest

from scheduler.core.model.errors import AlreadyAssigned, BindRefused, NotLeading
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.pods import PodRef
from scheduler.kube.binder import KubeBinder
from scheduler.kube.errors import ServerFailed, Unreachable
from tests.kube.scripted import Scripted, refusal
from tests.kube.stored import JSON, gated_json

POD = PodRef("lab", "p", PodUID("p"))
NOTES = {"equipoise.dev/devices": "GPU-1"}
PATH = "/api/v1/namespaces/lab/pods/p"


async def _bind(api: Scripted) -> None:
    await KubeBinder(api, lambda: None).bind(POD, NodeName("n"), NOTES)


def _there(uid: str = "p", **spec: str) -> JSON:
    found = gated_json("p", **spec)
    found["metadata"] |= {"uid": uid, "annotations": {"equipoise.dev/devices": "GPU-2"}}
    return found


async def test_a_binding_carries_uid_node_and_assignment_in_one_write() -> None:
    api = Scripted()
    await _bind(api)
    (sent,) = api.sent
    assert (sent.verb, sent.path) == ("POST", f"{PATH}/binding")
    assert sent.body["metadata"] == {
        "name": "p",
        "namespace": "lab",
        "uid": "p",
        "annotations": NOTES,
    }
    assert sent.body["target"]["name"] == "n"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429])
async def test_what_is_refused_was_not_bound(status: int) -> None:
    api = Scripted().then("POST", refusal(status, "the reason"))
    with pytest.raises(BindRefused, match="the reason"):
        await _bind(api)
    assert len(api.sent) == 1


@pytest.mark.parametrize("outcome", [refusal(500), refusal(504), Unreachable("gone")], ids=str)
async def test_what_may_have_been_stored_is_not_sent_again_nor_called_refused(
    outcome: Exception,
) -> None:
    api = Scripted().then("POST", outcome)
    with pytest.raises((ServerFailed, Unreachable)):
        await _bind(api)
    assert len(api.sent) == 1


async def test_a_pod_that_is_bound_says_where_it_is_and_what_it_carries() -> None:
    api = Scripted().then("POST", refusal(409)).then("GET", _there(nodeName="m"))
    with pytest.raises(AlreadyAssigned) as found:
        await _bind(api)
    assert (found.value.node, found.value.annotations) == ("m", {"equipoise.dev/devices": "GPU-2"})
    assert api.paths("GET") == [PATH]


@pytest.mark.parametrize(
    "found",
    [_there(), _there("another", nodeName="m"), refusal(404)],
    ids=["gated or being deleted", "another of that name", "gone"],
)
async def test_a_conflict_about_a_pod_that_is_not_bound_is_a_refusal(
    found: JSON | Exception,
) -> None:
    api = Scripted().then("POST", refusal(409, "is being deleted")).then("GET", found)
    with pytest.raises(BindRefused, match="is being deleted"):
        await _bind(api)


async def test_a_conflict_that_can_not_be_looked_into_leaves_it_open() -> None:
    api = Scripted().then("POST", refusal(409)).then("GET", Unreachable("gone"))
    with pytest.raises(Unreachable):
        await _bind(api)


async def test_nothing_is_sent_once_another_replica_may_act() -> None:
    def fence() -> None:
        raise NotLeading("another replica may act by now")

    api = Scripted()
    with pytest.raises(BindRefused, match="another replica"):
        await KubeBinder(api, fence).bind(POD, NodeName("n"), NOTES)
    assert not api.sent


async def test_annotations_that_no_update_would_get_past_are_not_sent() -> None:
    api = Scripted()
    with pytest.raises(BindRefused, match="bytes"):
        await KubeBinder(api, lambda: None).bind(POD, NodeName("n"), {"k": "x" * 40_000})
    assert not api.sent
