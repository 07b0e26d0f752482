"""A tenant that is shared by user, on the real control plane: whose turn, and who says whose."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.pods import NOW, Room, pod
from tests.cluster.tenants import TENANTS, installation, rooms_of
from tests.support.controlplane.api import JSON
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually

TEAM, GPUS = "users-team", 4
USER = "equipoise.dev/user"


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    settings: dict[str, Any] = {"webhook": {"label_users": True}}
    with installation(plane, "users", [TEAM], gpus=GPUS, settings=settings) as ours:
        plane.api.patch(f"{TENANTS}/{TEAM}", {"spec": {"shareByUser": True}})
        yield ours


@pytest.fixture
def room(installed: Installation, plane: ControlPlane) -> Iterator[Room]:
    with rooms_of(plane, [TEAM]) as (found,):
        yield found


def submit(room: Room, user: str, pods: int) -> None:
    """Have so many pods of a user made by a controller, which makes those anew that end."""
    template = pod("", "1")
    template["metadata"] = {**template["metadata"], "labels": {"app": user, USER: user}}
    del template["metadata"]["name"]
    spec = {"replicas": pods, "selector": {"matchLabels": {"app": user}}, "template": template}
    path = f"/apis/apps/v1/namespaces/{room.namespace}/replicasets"
    room.api.post(path, {"metadata": {"name": user}, "spec": spec})


def running(room: Room, user: str) -> list[str]:
    return [
        each["metadata"]["name"]
        for each in room.api.items(room.path)
        if each["metadata"]["labels"].get(USER) == user and each["status"]["phase"] == "Running"
    ]


def told(room: Room) -> dict[str, JSON]:
    """What its status says of the users."""
    lag = room.api.get(f"{TENANTS}/{TEAM}").get("status", {}).get("lag", {})
    return {each["name"]: each for each in lag.get("users", ())}


def test_who_came_first_with_many_pods_doesn_t_keep_others_waiting(room: Room) -> None:
    submit(room, "greedy", 2 * GPUS)
    eventually(lambda: len(running(room, "greedy")) == GPUS, 30, what="all is taken")
    submit(room, "al", GPUS)
    eventually(lambda: len(room.api.items(room.path)) == 3 * GPUS, 30, what="al's are there")
    eventually(lambda: told(room).get("al", {}).get("slope", 0.0) > 0, 30, what="al is owed")
    assert told(room)["greedy"]["slope"] == -told(room)["al"]["slope"]
    for name in running(room, "greedy"):
        room.api.delete(f"{room.path}/{name}", NOW)
    # Those of greedy's that waited are older than al's.
    eventually(lambda: len(running(room, "al")) >= GPUS // 2, 60, what="al has its part")
    eventually(lambda: len(running(room, "greedy")) >= 1, 60, what="greedy has some")


def test_a_person_s_pod_is_labelled_with_the_person_and_a_controller_s_is_not(room: Room) -> None:
    bare = pod("bare", "1")
    bare["metadata"]["labels"] = {USER: "somebody-else"}
    made = room.create(bare)
    assert made["metadata"]["labels"][USER] not in ("", "somebody-else")
    submit(room, "jo", 1)

    def labels() -> set[str]:
        return {each["metadata"]["labels"][USER] for each in room.api.items(room.path)}

    eventually(lambda: "jo" in labels(), 30, what="the controller's pod carries its template's")
