"""A place at once on the real control plane: while nobody waits, and for nobody by its own word."""

from collections.abc import Iterator

import pytest

from tests.cluster.pods import Room, pod
from tests.support.controlplane.api import Api, Refused
from tests.support.controlplane.auditor import Auditor
from tests.support.controlplane.installed import USER, Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually, stays

GPUS = 4
SECONDS = 3.0
GATE = [{"name": "equipoise.dev/fair-share"}]
GRANTED = "equipoise.dev/granted"


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    ours = Installation(plane)
    ours.apply()
    plane.nodes(1, gpus=GPUS, prefix="grants-")
    ours.start("grants", settings={"webhook": {"grant_seconds": SECONDS}})
    yield ours
    ours.close()


@pytest.fixture
def room(installed: Installation, api: Api, namespace: str) -> Room:
    return Room(api, namespace)


def submit(room: Room, name: str, fraction: str, pods: int) -> None:
    """Have so many pods made, and made again whenever one ends."""
    template = pod("", fraction)
    template["metadata"] = {**template["metadata"], "labels": {"app": name}}
    del template["metadata"]["name"]
    spec = {"replicas": pods, "selector": {"matchLabels": {"app": name}}, "template": template}
    path = f"/apis/apps/v1/namespaces/{room.namespace}/replicasets"
    room.api.post(path, {"metadata": {"name": name}, "spec": spec})


def test_pods_run_without_a_gate_and_without_a_patch(room: Room, plane: ControlPlane) -> None:
    plane.audit.mark()
    auditor = Auditor(plane.kubeconfig())
    auditor.start()
    submit(room, "quick", "0.5", 2 * GPUS)
    eventually(lambda: room.all_run(2 * GPUS), 30, what="all run")
    auditor.caught_up()
    auditor.close()
    assert (auditor.problems(), auditor.oversold_gpus) == ([], 0.0)
    for each in room.api.items(room.path):
        assert GRANTED in each["metadata"]["annotations"]
        assert each["metadata"]["annotations"]["equipoise.dev/devices"].startswith("GPU-")
    written = [
        (entry.verb, entry.resource)
        for entry in plane.audit.entries(user=USER)
        if entry.raw["objectRef"].get("namespace") == room.namespace
        and entry.verb != "watch"
        # kube-scheduler's, which goes by the same account.
        and entry.resource != "events"
    ]
    assert written == [("create", "pods/binding")] * (2 * GPUS)


def test_once_it_is_full_they_wait_behind_their_gates_again(room: Room) -> None:
    submit(room, "all", "1", GPUS)
    eventually(lambda: room.all_run(GPUS), 30, what="all is taken")
    late = room.create(pod("late", "1", owner=room.owner()))
    assert late["spec"]["schedulingGates"] == GATE
    eventually(lambda: room.waits("late"), what="it is told why it waits")
    # One that asks for less passes nobody over either.
    assert room.create(pod("later", "0.25", owner=room.owner()))["spec"]["schedulingGates"] == GATE


def test_a_dry_run_shows_a_pod_that_waits_and_takes_nothing(room: Room) -> None:
    body = pod("p", "1", owner=room.owner())
    for _ in range(2 * GPUS):
        shown = room.api.post(room.path, body, {"dryRun": "All"})
        assert shown["spec"]["schedulingGates"] == GATE
    submit(room, "real", "1", GPUS)
    eventually(lambda: room.all_run(GPUS), SECONDS, what="all is free")


def test_a_word_that_was_copied_opens_nothing(room: Room) -> None:
    submit(room, "first", "1", 1)
    eventually(lambda: room.all_run(1), 20, what="it runs")
    (first,) = room.api.items(room.path)
    copied = pod("copy", "1", owner=room.owner(), affinity=first["spec"]["affinity"])
    word = first["metadata"]["annotations"][GRANTED]
    copied["metadata"]["annotations"][GRANTED] = word
    # It is looked at like any other, and as nobody waits it has a place of its own.
    assert room.create(copied)["metadata"]["annotations"][GRANTED] != word
    submit(room, "rest", "1", GPUS)
    eventually(lambda: list(room.phases().values()).count("Running") == GPUS, 20, what="it is full")
    copied["metadata"]["name"] = "another"
    made = room.create(copied)
    assert made["spec"]["schedulingGates"] == GATE
    assert GRANTED not in made["metadata"]["annotations"]


def test_nor_is_one_written_later(room: Room, api: Api) -> None:
    body = pod("p", "1", owner=room.owner(), schedulingGates=[{"name": "example.com/mine"}])
    room.create(body)
    word = {"metadata": {"annotations": {GRANTED: "word"}}}
    with pytest.raises(Refused, match="is written by Equipoise alone"):
        api.patch(f"{room.path}/p", word)
    stays(lambda: room.gated("p"), 1.0, what="it waits")


def test_what_is_refused_after_us_holds_its_place_for_seconds_only(room: Room) -> None:
    quotas = f"/api/v1/namespaces/{room.namespace}/resourcequotas"
    room.api.post(quotas, {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
    for number in range(GPUS):

        def refused(number: int = number) -> bool:
            try:
                room.create(pod(f"p-{number}", "1", owner=room.owner()))
            except Refused as refusal:
                return "exceeded quota" in str(refusal)
            raise AssertionError("the quota let it pass")

        eventually(refused, what="the quota refuses it")
    room.api.delete(f"{quotas}/none")
    # The tenant is given none at once for a while, which is why this comes last.
    submit(room, "after", "1", GPUS)
    eventually(lambda: room.all_run(GPUS), SECONDS + 15, what="nothing is held for nobody")
