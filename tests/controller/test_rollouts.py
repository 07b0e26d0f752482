"""A Deployment that rolls at its tenant's limit: one of the old revision makes way, and no more."""

from fractions import Fraction
from typing import Any

import pytest

from scheduler.controller.rollouts import Rollouts
from scheduler.core.fairness.spending import Used
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.budgets import Budget, Period
from scheduler.core.model.ids import TenantName
from scheduler.core.model.plans import Hold
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.settings import Kube
from tests.controller.feeding import World, bound, gated
from tests.support.builders import node, place, pod, share, tenant

pytestmark = pytest.mark.usefixtures("quiet")

PATIENCE = Kube().rollout_seconds
HOUR = 3600.0


def of(pod: dict[str, Any], revision: str, deployment: str = "web") -> dict[str, Any]:
    """The pod, as that revision of the Deployment makes it."""
    owner = {"kind": "ReplicaSet", "name": f"{deployment}-{revision}", "uid": f"rs-{revision}"}
    pod["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
    pod["metadata"]["labels"] = {"pod-template-hash": revision}
    return pod


def running(uid: str, slot: int, revision: str, deployment: str = "web") -> dict[str, Any]:
    return of(bound(uid, "n1", place("n1", (slot, 500, 8_000))), revision, deployment)


@pytest.fixture
def world() -> World:
    """A tenant at its limit: two pods run, and the next revision's first one waits."""
    made = World()
    made.controller.set_tenants([tenant("lab", limit=1), tenant("moved")])
    made.see(running("old-1", 0, "1"), running("old-2", 1, "1"))
    made.see(of(gated("new"), "2"))
    return made


async def after(world: World, seconds: float, rounds: int = 1) -> list[tuple[str, str]]:
    for _ in range(rounds):
        world.clock.time += seconds / rounds
        await world.controller.round()
    return world.hands.made_way


async def test_the_youngest_of_the_old_ones_makes_way_after_a_while(world: World) -> None:
    assert await after(world, 0) == []
    assert await after(world, PATIENCE - 1, rounds=10) == []
    assert await after(world, 1) == [("old-2", "new")]
    assert ("evict", Reason.MAKES_WAY) in world.eyes.decisions


async def test_one_that_stays_is_asked_again_after_another_while(world: World) -> None:
    world.hands.going = False
    await after(world, 0)
    assert len(await after(world, PATIENCE)) == 1
    assert len(await after(world, PATIENCE - 1, rounds=10)) == 1
    assert len(await after(world, 1)) == 2


async def test_once_there_is_room_nobody_makes_way(world: World) -> None:
    await after(world, 0)
    world.see(running("old-2", 1, "1"), event="DELETED")
    assert await after(world, 3 * PATIENCE, rounds=6) == []
    assert world.hands.released == ["new"]


@pytest.mark.parametrize("change", ["another Deployment's", "of the same revision", "no limit"])
async def test_nobody_else_makes_way(world: World, change: str) -> None:
    match change:
        case "another Deployment's":
            world.see(of(gated("new"), "2", "api"))
        case "of the same revision":
            world.see(of(gated("new"), "1"))
        case "no limit":
            world.controller.set_tenants([tenant("lab"), tenant("moved")])
    await after(world, 0)
    assert await after(world, 3 * PATIENCE, rounds=6) == []


async def test_for_one_that_waits_one_makes_way_whatever_comes_of_it(world: World) -> None:
    await after(world, 0)
    assert await after(world, PATIENCE) == [("old-2", "new")]
    # Another one took the room, or the new one can't use it: nobody else ends for that.
    world.see(running("old-2", 1, "1"), event="DELETED")
    world.see(running("other", 1, "1", "api"))
    assert await after(world, 5 * PATIENCE, rounds=20) == [("old-2", "new")]
    # The next one of the rollout has its own turn.
    world.see(of(gated("new"), "2"), event="DELETED")
    world.see(of(gated("new-2"), "2"))
    await after(world, 0)
    assert await after(world, PATIENCE) == [("old-2", "new"), ("old-1", "new-2")]


HOPELESS = {
    "more than one leaves": of(gated("new", "0.6"), "2"),
    "less urgent than the one that would be made again": of(gated("new"), "2"),
    "not preemptible, without a guarantee": of(gated("new"), "2"),
}
HOPELESS["less urgent than the one that would be made again"]["spec"]["priority"] = -1
HOPELESS["not preemptible, without a guarantee"]["metadata"]["annotations"] |= {
    "equipoise.dev/preemptible": "false"
}


@pytest.mark.parametrize("new", HOPELESS.values(), ids=HOPELESS.keys())
async def test_nobody_makes_way_for_one_that_could_not_have_the_room(
    world: World, new: dict[str, Any]
) -> None:
    world.see(of(gated("new"), "2"), event="DELETED")
    world.see(new)
    await after(world, 0)
    assert await after(world, 3 * PATIENCE, rounds=6) == []


@pytest.mark.parametrize(
    ("meanwhile", "asked"), [(Reason.IN_LINE, True), (Reason.WAITS_FOR_TURN, False)]
)
def test_a_round_that_did_not_get_to_it_is_no_new_beginning(meanwhile: Reason, asked: bool) -> None:
    ledger, half = Ledger([node("n1", 1)]), share(500)
    old, new = (pod(x, half, "lab", workload="web", revision=x) for x in ("old", "new"))
    ledger.bind(old, place("n1", (0, 500, 8_000)))
    tree = TenantTree([tenant("lab", limit="1/2")])
    rollouts = Rollouts(ledger, lambda: tree, seconds=PATIENCE)
    capped, other = (Hold(new, Verdict(why)) for why in (Reason.OVER_LIMIT, meanwhile))
    assert rollouts.due([capped], 0.0) == []
    assert rollouts.due([other], PATIENCE - 1) == []
    assert rollouts.due([other], PATIENCE) == []
    assert rollouts.due([capped], PATIENCE + 1) == ([(new, old)] if asked else [])
    assert rollouts.due([], PATIENCE + 2) == []


@pytest.mark.parametrize("used", [0.0, HOUR])
async def test_nobody_makes_way_for_one_that_has_no_guarantee_while_over_budget(
    used: float,
) -> None:
    world = World()
    budget = Budget(Fraction(1), Period.MONTH)
    world.controller.set_tenants([tenant("lab", guarantee=1, budget=budget), tenant("moved")])
    world.controller.restore({}, {TenantName("lab"): Used(world.clock.now(), used)})
    pods = [running("old-1", 0, "1"), running("old-2", 1, "1"), of(gated("new"), "2")]
    for each in pods:
        each["metadata"]["annotations"]["equipoise.dev/preemptible"] = "false"
    world.see(*pods)
    await after(world, 0)
    assert {reason for _, reason in world.hands.held} == {Reason.OVER_GUARANTEE}
    assert await after(world, PATIENCE) == ([] if used else [("old-2", "new")])


async def test_without_a_gpu_there_is_nothing_to_make_way_with(world: World) -> None:
    world.see(*(running(uid, 0, "1") for uid in ("old-1", "old-2")), event="DELETED")
    world.see(of(bound("bare", "n1"), "1"), running("other", 0, "1", "api"))
    world.see(running("other-2", 1, "1", "api"))
    await after(world, 0)
    assert await after(world, 3 * PATIENCE, rounds=6) == []
