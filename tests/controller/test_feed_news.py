"""News of pods: what costs nothing, what is read again, and what is told to others."""

from collections import Counter
from typing import Any

import pytest

from scheduler.core.model import names
from scheduler.core.model.ids import NodeName
from scheduler.core.model.names import SCHEDULER_NAME
from scheduler.core.model.placements import Placement
from scheduler.core.model.verdicts import Reason
from tests.controller.feeding import (
    HALF,
    World,
    bound,
    gated,
    pinned,
    unreadable,
    versioned,
)
from tests.support.builders import pod
from tests.support.extenders import pod_json

pytestmark = pytest.mark.usefixtures("quiet")


class Counting(World):
    """A world that counts how often a pod is read."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.reads: Counter[str] = Counter()

    def tenant(self, namespace: str) -> str:
        self.reads[namespace] += 1
        return super().tenant(namespace)


def foreign(made: dict[str, Any], scheduler: str = "default-scheduler") -> dict[str, Any]:
    made["spec"]["schedulerName"] = scheduler
    return made


def with_status(made: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {**made, "status": {**made["status"], **status}}


# ----------------------------------------------------------------------------- what costs nothing


def test_what_kubelets_write_about_a_pod_that_runs_is_not_read() -> None:
    world = Counting()
    runs = versioned(bound("p", "n1", HALF), 1, generation=1)
    world.see(runs)
    read, version = world.reads["lab"], world.controller.version
    for number in range(2, 9):
        world.see(versioned(with_status(runs, phase="Running"), number))
    assert (world.reads["lab"], world.controller.version) == (read, version)
    world.see(versioned(with_status(runs, phase="Failed"), 9))
    assert world.held == {}


def test_what_was_told_already_is_not_read() -> None:
    world = Counting()
    waits = versioned(gated("p"), 7)
    world.see(waits)
    read = world.reads["lab"]
    world.see(waits, waits)
    assert world.reads["lab"] == read


def test_what_others_write_about_a_gated_pod_is_kept_but_not_read() -> None:
    world = Counting()
    world.see(versioned(gated("p"), 1))
    read = world.reads["lab"]
    news = versioned(with_status(gated("p"), conditions=[{"type": "PodScheduled"}]), 2)
    world.see(news)
    assert world.reads["lab"] == read
    assert world.feed.pod(pod("p").uid) == news
    world.see(versioned(gated("p", "0.5", "example.com/quota"), 3))
    assert world.controller.queue.pods[pod("p").uid].foreign_gates == ("example.com/quota",)


def test_pods_that_are_nobodys_business_are_neither_kept_nor_news() -> None:
    world = Counting()
    world.see(foreign(pod_json("p", None)), foreign(pod_json("q")))
    world.see(foreign(pod_json("p", None)), event="DELETED")
    assert (world.held, world.waiting, world.feed.pod(pod("q").uid)) == ({}, set(), None)
    assert world.controller.version == World().controller.version
    assert not world.reads


def test_the_stored_json_of_a_pod_of_ours_is_there_until_it_is_bound() -> None:
    world = World()
    uid = pod("p").uid
    fat = versioned(gated("p"), 1, managedFields=[{"manager": "kubectl"}])
    world.see(fat)
    assert world.feed.pod(uid) == versioned(gated("p"), 1)
    world.see(versioned(pinned("p", "n1"), 2))
    assert world.feed.pod(uid) == versioned(pinned("p", "n1"), 2)
    world.see(versioned(bound("p", "n1", HALF), 3))
    assert world.feed.pod(uid) is None


# --------------------------------------------------------------------------------- pods of others


def test_pods_of_other_schedulers_count_once_they_have_a_node() -> None:
    world = World()
    columns = world.ledger.columns
    before = columns.free_cpu.sum(), columns.free_pods.sum()
    runs = foreign(bound("p", "n1"))
    world.see(foreign(pod_json("p")), runs)
    assert world.held == {"p": ("n1", 0, True)}
    assert (columns.free_cpu.sum(), columns.free_pods.sum()) == (before[0] - 1000, before[1] - 1)
    assert columns.free.sum() == 4000
    world.see(runs, event="DELETED")
    assert (columns.free_cpu.sum(), columns.free_pods.sum()) == before


async def test_a_pod_with_our_gate_that_another_scheduler_would_bind_is_never_released() -> None:
    world = World()
    world.see(foreign(gated("p"), "kai-scheduler"))
    await world.controller.round()
    assert (world.hands.released, world.held) == ([], {})
    (waiting,) = world.controller.standing().waiting
    assert waiting.verdict.reason is Reason.INVALID_REQUEST
    assert f'make it again with "{SCHEDULER_NAME}"' in waiting.verdict.detail
    # Somebody takes the gate off.
    world.see(foreign(pod_json("p"), "kai-scheduler"))
    assert world.waiting == set()
    assert world.feed.pod(pod("p").uid) is None


async def test_a_problem_of_its_own_is_told_before_that() -> None:
    world = World()
    world.see(foreign(gated("p", "1.5"), "kai-scheduler"))
    await world.controller.round()
    (waiting,) = world.controller.standing().waiting
    assert "gpu-fraction" in waiting.verdict.detail


def test_a_pod_of_ours_that_asks_for_no_gpu_needs_no_help() -> None:
    world = World()
    world.see(pod_json("p", None))
    world.clock.time += 60.0
    assert world.controller.standing().waiting == ()


async def test_a_pod_of_ours_that_never_had_our_gate_is_shown_as_waiting() -> None:
    world = World()
    world.see(pod_json("p"))
    world.clock.time += 60.0
    (waiting,) = world.controller.standing().waiting
    assert (waiting.uid, waiting.verdict.reason) == ("p", Reason.NO_ROOM)
    world.see(bound("p", "n1", HALF))
    assert world.controller.standing().waiting == ()


# -------------------------------------------------------------------------- cards held past us


def nvidia(uid: str, on: str | None = "n1", **limits: str) -> dict[str, Any]:
    made = foreign(pod_json(uid, None))
    made["spec"]["containers"][0]["resources"]["limits"] = limits or {names.NVIDIA_GPU: "1"}
    if on is not None:
        made["spec"]["nodeName"] = on
    return made


@pytest.mark.parametrize("ending", ["deleted", "finished", "missed"])
def test_a_card_held_past_us_is_told_until_its_pod_is_gone(ending: str) -> None:
    world = World()
    world.see(nvidia("p", None), nvidia("p"), nvidia("p"), nvidia("q", "n2", cpu="1"))
    assert world.told == [("n1", "p", True)]
    if ending == "deleted":
        world.see(nvidia("p"), event="DELETED")
    elif ending == "finished":
        world.see(with_status(nvidia("p"), phase="Succeeded"))
    else:
        world.feed.replace([])
    assert world.told == [("n1", "p", True), ("n1", "p", False)]


# ----------------------------------------------------------------------------- what is read again


def held_by(world: World) -> dict[str, int]:
    return {tenant: each.milli for tenant, each in world.ledger.held.items()}


def test_a_namespace_that_moves_takes_what_its_pods_hold_and_wait_for_with_it() -> None:
    world = World()
    world.see(bound("runs", "n1", HALF), gated("waits"), pinned("goes", "n2"))
    world.tenants["lab"] = "moved"
    world.feed.retell("lab")
    assert held_by(world) == {"moved": 500, "lab": 500}
    assert [each.tenant for each in world.controller.queue.pods.values()] == ["moved"]
    # What is only reserved moves once it is bound.
    holding = world.ledger.holdings[pod("goes").uid]
    world.see(bound("goes", "n2", holding.placement))
    assert held_by(world) == {"moved": 1000}


def test_other_namespaces_are_not_read_again() -> None:
    world = World()
    world.see(bound("runs", "n1", HALF), gated("waits"))
    world.tenants["lab"] = "moved"
    version = world.controller.version
    world.feed.retell("elsewhere")
    assert world.controller.version == version
    assert [each.tenant for each in world.controller.queue.pods.values()] == ["lab"]


def test_volumes_that_are_bound_meanwhile_are_noticed() -> None:
    world = World(volumes=None)
    claims = gated("p")
    claims["spec"]["volumes"] = [{"persistentVolumeClaim": {"claimName": "data"}}]
    claims["metadata"]["ownerReferences"] = [{"uid": "rs", "controller": True}]
    world.see(claims)
    seen = [world.controller.queue.pods[pod("p").uid].pinnable]
    world.volumes = ()
    world.feed.retell("lab")
    seen.append(world.controller.queue.pods[pod("p").uid].pinnable)
    assert seen == [False, True]


def test_containers_that_were_resized_are_counted_anew() -> None:
    world = World()
    small = versioned(bound("p", "n1", HALF), 1, generation=1)
    world.see(small)
    before = world.ledger.columns.free_cpu.sum()
    large = versioned(bound("p", "n1", HALF), 2, generation=2)
    large["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "3"}}
    world.see(large)
    assert world.ledger.columns.free_cpu.sum() == before - 2000
    assert world.held == {"p": ("n1", 500, True)}


def test_a_pod_whose_assignment_is_mended_holds_it_even_in_the_same_generation() -> None:
    world = World()
    world.see(versioned(unreadable("p", "n1"), 1, generation=1))
    world.see(versioned(bound("p", "n1", HALF), 2, generation=1))
    assert world.held == {"p": ("n1", 500, True)}
    assert not world.ledger.closed


# -------------------------------------------------------------------------------- ways and owners


async def test_only_one_eviction_per_owner_reaches_from_json_to_json() -> None:
    world = World()
    owned = {"ownerReferences": [{"uid": "rs", "controller": True}]}
    turned_down = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]
    stuck = with_status(versioned(pinned("p1", "n1"), 1, **owned), conditions=turned_down)
    world.see(stuck)
    world.clock.time += 61.0
    await world.controller.round()
    assert world.hands.evicted == ["p1"]
    world.see(stuck, event="DELETED")
    world.see(versioned(gated("p2"), 2, **owned), versioned(gated("p3"), 3))
    await world.controller.round()
    assert world.hands.pinnable == {"p2": False, "p3": False}
    world.see(with_status(versioned(pinned("p2", "n1"), 4, **owned), conditions=turned_down))
    world.clock.time += 61.0
    await world.controller.round()
    assert world.hands.evicted == ["p1"]


def test_an_unbound_placement_is_never_made_from_a_pod_that_runs_elsewhere() -> None:
    world = World()
    world.see(pinned("p", "n1"), bound("p", "n2"))
    assert world.held == {"p": ("n2", 0, True)}
    assert world.ledger.holdings[pod("p").uid].placement == Placement(NodeName("n2"))
