"""What kube-scheduler will refuse is never planned, and a pin keeps what the pod asked for."""

from collections.abc import Iterator

import pytest

from tests.cluster.pods import Room, pod
from tests.support.controlplane.api import JSON, Api
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    ours = Installation(plane)
    ours.apply()
    plane.nodes(1, gpus=8, prefix="pins-a-", labels={"zone": "a"})
    plane.nodes(1, gpus=8, prefix="pins-b-", labels={"zone": "b"})
    taint = {"key": "only", "value": "others", "effect": "NoSchedule"}
    plane.nodes(1, gpus=8, prefix="pins-tainted-", taints=[taint])
    plane.nodes(1, gpus=8, prefix="pins-cordoned-")
    plane.kubectl("cordon", "pins-cordoned-0")
    plane.nodes(1, gpus=8, prefix="pins-small-", cpu="1")
    ours.start("pins")
    yield ours
    ours.close()


@pytest.fixture
def room(api: Api, namespace: str, installed: Installation) -> Room:
    return Room(api, namespace)


def required(*terms: JSON) -> JSON:
    rule = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": rule}}


def zone(name: str) -> JSON:
    return {"matchExpressions": [{"key": "zone", "operator": "In", "values": [name]}]}


def runs(room: Room, body: JSON) -> JSON:
    room.create(body)
    name = body["metadata"]["name"]
    eventually(lambda: room.runs(name), 30, what=f"{name} runs")
    return room.get(name)


def terms(found: JSON) -> list[JSON]:
    rule = found["spec"]["affinity"]["nodeAffinity"]
    listed = rule["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    return list(listed)


def named(term: JSON) -> list[str]:
    return [name for field in term["matchFields"] for name in field["values"]]


def test_a_pod_without_affinity_is_pinned_to_the_planned_node_first(room: Room) -> None:
    found = runs(room, pod("p", "0.5", owner=room.owner()))
    assert named(terms(found)[0]) == [found["spec"]["nodeName"]]
    assert all(len(named(term)) == 1 for term in terms(found))


def test_one_required_term_gains_a_name_and_keeps_its_own(room: Room) -> None:
    found = runs(room, pod("p", "0.5", owner=room.owner(), affinity=required(zone("b"))))
    assert found["spec"]["nodeName"] == "pins-b-0"
    (term,) = terms(found)
    assert (term["matchExpressions"], named(term)) == (
        zone("b")["matchExpressions"],
        ["pins-b-0"],
    )


def test_each_of_two_required_terms_gains_a_name(room: Room) -> None:
    affinity = required(zone("a"), zone("b"))
    found = runs(room, pod("p", "0.5", owner=room.owner(), affinity=affinity))
    assert found["spec"]["nodeName"] in ("pins-a-0", "pins-b-0")
    assert sorted(name for term in terms(found) for name in named(term)) == [
        "pins-a-0",
        "pins-b-0",
    ]


def test_a_pod_without_a_controller_is_not_pinned(room: Room) -> None:
    found = runs(room, pod("p", "0.5"))
    assert "affinity" not in found["spec"]


def test_foreign_gates_are_kept_and_waited_for(room: Room) -> None:
    body = pod("p", "0.5", owner=room.owner(), schedulingGates=[{"name": "example.com/quota"}])
    room.create(body)

    def says() -> bool:
        conditions = room.get("p")["status"].get("conditions", ())
        return any(each["reason"] == "ForeignGate" for each in conditions)

    eventually(says, 20, what="it says what it waits for")
    patch = {"spec": {"schedulingGates": [{"name": "example.com/quota", "$patch": "delete"}]}}
    room.api.patch(f"{room.path}/p", patch, "application/strategic-merge-patch+json")
    eventually(lambda: room.runs("p"), 20, what="p runs")


def test_nodes_that_kube_scheduler_would_refuse_are_never_planned(room: Room) -> None:
    for number in range(24):
        body = pod(f"p{number}", "0.5", owner=room.owner())
        body["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "2"}}
        room.create(body)
    eventually(lambda: room.all_run(24), 60, what="all run")
    used = {each["spec"]["nodeName"] for each in room.api.items(room.path)}
    assert used <= {"pins-a-0", "pins-b-0"}
    pinned = {
        name for each in room.api.items(room.path) for term in terms(each) for name in named(term)
    }
    assert pinned <= {"pins-a-0", "pins-b-0"}


def test_what_no_node_could_take_is_held_and_says_so(room: Room) -> None:
    room.create(pod("p", "0.5", owner=room.owner(), nodeSelector={"zone": "nowhere"}))

    def says() -> bool:
        conditions = room.get("p")["status"].get("conditions", ())
        return any(each["reason"] == "NeverFits" for each in conditions)

    eventually(says, 20, what="it says that nothing could hold it")
