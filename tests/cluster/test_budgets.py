"""A budget on the real control plane: used up in seconds, told, and the others go first."""

from collections.abc import Iterator

import pytest

from tests.cluster.pods import Room, pod
from tests.cluster.tenants import TENANTS, installation, rooms_of
from tests.support.controlplane.api import JSON, Api
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually

SPENDER, OTHER, GPUS = "budgets-spender", "budgets-other", 2
HOURS = 0.004
"""A bit more than fourteen GPU-seconds."""


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    settings: JSON = {"webhook": {"grant_seconds": None}}
    with installation(plane, "budgets", [SPENDER, OTHER], gpus=GPUS, settings=settings) as ours:
        # Of a month it is the least likely that it ends meanwhile.
        budget = {"gpuHours": HOURS, "period": "Month"}
        plane.api.patch(f"{TENANTS}/{SPENDER}", {"spec": {"budget": budget, "guarantee": GPUS}})
        yield ours


@pytest.fixture
def rooms(installed: Installation, plane: ControlPlane) -> Iterator[list[Room]]:
    with rooms_of(plane, [SPENDER, OTHER]) as found:
        yield found


def word(api: Api) -> str:
    """The reason of the condition WithinBudget."""
    status = api.get(f"{TENANTS}/{SPENDER}").get("status", {})
    found = [each for each in status.get("conditions", ()) if each["type"] == "WithinBudget"]
    return str(found[0]["reason"]) if found else ""


def events(api: Api) -> list[str]:
    found = api.items("/apis/events.k8s.io/v1/namespaces/default/events")
    return [each["reason"] for each in found if each["regarding"]["name"] == SPENDER]


def test_who_has_used_up_its_budget_goes_last_though_it_is_guaranteed_all(
    rooms: list[Room], api: Api
) -> None:
    spender, other = rooms
    owner = spender.owner()
    for name in ("s0", "s1"):
        spender.create(pod(name, "1", owner=owner))
    eventually(lambda: spender.all_run(GPUS), 30, what="all is taken")
    eventually(lambda: word(api) == "UsedUp", 60, what="the budget is used up")
    eventually(lambda: "UsedUp" in events(api), 20, what="people are told")
    assert len(events(api)) == len(set(events(api)))
    told = api.get(f"{TENANTS}/{SPENDER}")["status"]["budget"]
    assert (told["slope"], told["since"][8:]) == (GPUS, "01T00:00:00Z")
    # Older, and yet after the other one.
    spender.create(pod("s2", "1", owner=owner))
    eventually(lambda: spender.waits("s2"), 30, what="s2 waits")
    other.create(pod("o0", "1", owner=other.owner()))
    eventually(lambda: other.waits("o0"), 30, what="o0 waits")
    spender.delete("s0")
    eventually(lambda: other.runs("o0"), 30, what="the other one goes first")
    assert spender.waits("s2")
    # What nobody else asks for is its own all the same.
    spender.delete("s1")
    eventually(lambda: spender.runs("s2"), 30, what="it gets what is idle")
