"""Users of a tenant that is shared by user: who is there, who is forgotten, who is remembered."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from scheduler.controller.controller import Controller
from scheduler.controller.users import REMEMBERED, over
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model import names
from scheduler.core.model.ids import PodUID, TenantName
from tests.controller.feeding import HALF, World, bound, gated
from tests.controller.hands import Eyes, Hands, controller
from tests.support.builders import node, place, pod, tenant, whole
from tests.support.extenders import ManualClock

TEAM = tenant("team", by_user=True)


@pytest.fixture
def made(clock: ManualClock, hands: Hands, eyes: Eyes) -> Controller:
    ledger = Ledger([node("n1", 2)])
    return controller(ledger, [TEAM, tenant("b")], clock=clock, hands=hands, eyes=eyes)


def of(user: str, name: str, **changes: Any) -> Any:
    return pod(name, whole(), f"team/{user}", user=user, **changes)


async def test_a_user_is_there_while_it_has_a_pod(made: Controller) -> None:
    made.add(of("jo", "p"))
    await made.round()
    assert made.tree.users == ("team/jo",)
    made.bound(of("jo", "p"), place("n1", (0, 1000, 16_000)))
    await made.round()
    assert made.tree.users == ("team/jo",)
    made.gone(PodUID("p"))
    await made.round()
    assert not made.tree.users


async def test_what_was_held_beyond_its_part_is_remembered_when_it_is_away(
    made: Controller, clock: ManualClock
) -> None:
    """Else who comes back would begin anew."""
    made.bound(of("jo", "p"), place("n1", (0, 1000, 16_000)))
    made.bound(of("jo", "q"), place("n1", (1, 1000, 16_000)))
    made.add(of("al", "a"))
    await made.round()
    clock.time += 100.0
    for uid in "pq":
        made.gone(PodUID(uid))
    await made.round()
    assert made.tree.users == ("team/al", "team/jo")
    assert made.lags[TenantName("team/jo")] == pytest.approx(-100.0)
    assert made.lags[TenantName("team/al")] == pytest.approx(100.0)
    assert made.lags[TenantName("team")] == 0.0


def test_so_many_are_remembered_the_largest_debts_of_each_tenant() -> None:
    users = [TenantName(f"team/{number:03}") for number in range(REMEMBERED + 2)]
    other = TenantName("other/jo")
    tree = TenantTree([TEAM, tenant("other", by_user=True)]).with_users([*users, other])
    lags = {leaf: -10.0 - number for number, leaf in enumerate(users)} | {other: -1.5}
    assert over(tree, (), lags) == set(users[:2])
    assert over(tree, users, lags) == frozenset()
    assert over(tree, (), {**lags, other: -0.5}) == {*users[:2], other}


async def test_the_tenant_s_own_lag_doesn_t_move_when_it_is_shared_by_user_from_now_on(
    hands: Hands, eyes: Eyes
) -> None:
    world = World(hands=hands, eyes=eyes)
    jo = labelled(bound("p", "n1", HALF), "jo")
    world.see(jo, labelled(gated("q", "0.5", "example.com/quota"), "al"))
    await world.controller.round()
    world.clock.time += 60.0
    before = dict(world.controller.lags)
    world.controller.set_tenants([replace(tenant("lab"), by_user=True), tenant("moved")])
    world.feed.retell_shared()
    assert world.controller.tree.users == ("lab/al", "lab/jo")
    assert set(world.ledger.held) == {"lab/jo"}
    assert {each.tenant for each in world.controller.queue.pods.values()} == {"lab/al"}
    after = world.controller.lags
    assert {name: after[name] for name in before} == before
    assert after.get(TenantName("lab/jo"), 0.0) == 0.0


async def test_and_when_it_no_longer_is_its_pods_are_its_own_again() -> None:
    world = World()
    world.controller.set_tenants([replace(tenant("lab"), by_user=True)])
    world.see(labelled(bound("p", "n1", HALF), "jo"), gated("q"))
    assert set(world.ledger.held) == {"lab/jo"}
    assert {each.tenant for each in world.controller.queue.pods.values()} == {"lab/"}
    world.controller.set_tenants([tenant("lab")])
    world.feed.retell_shared()
    assert not world.controller.tree.users
    assert set(world.ledger.held) == {"lab"}
    plan = await world.controller.round()
    assert [admit.pod.tenant for admit in plan.admits] == ["lab"]


async def test_a_label_says_nothing_where_the_tenant_isn_t_shared_by_user() -> None:
    world = World()
    world.see(labelled(gated("p"), "jo"), labelled(gated("q"), "al"))
    assert world.controller.tree.names == ("lab", "moved")
    assert {each.tenant for each in world.controller.queue.pods.values()} == {"lab"}


async def test_a_plan_counts_though_a_user_came_while_it_was_made(
    clock: ManualClock, hands: Hands, eyes: Eyes
) -> None:
    """Else whoever invents users could keep everybody from being served."""
    ledger = Ledger([node("n1", 2)])
    made = controller(ledger, [TEAM], clock=clock, hands=hands, eyes=eyes, worker_above=0)
    made.add(of("jo", "p"))
    under_way = asyncio.create_task(made.round())
    await asyncio.sleep(0)
    made.add(of("new", "q"))
    plan = await under_way
    assert [admit.pod.uid for admit in plan.admits] == ["p"]
    await made.round()
    assert made.tree.users == ("team/jo", "team/new")


async def test_a_user_who_comes_while_a_round_is_prepared_is_in_it(made: Controller) -> None:
    async def meanwhile() -> None:
        made.add(of("new", "q"))

    made.add(of("jo", "p"))
    made.prepare_rounds(meanwhile)
    plan = await made.round()
    assert {admit.pod.tenant for admit in plan.admits} == {"team/jo", "team/new"}


async def test_lags_of_users_go_on_after_a_restart(made: Controller) -> None:
    owed = {TenantName("team/jo"): -40.0, TenantName("team/al"): 40.0, TenantName("b/x"): 1.0}
    made.restore(owed)
    assert {leaf: made.lags[leaf] for leaf in made.tree.users} == {
        "team/al": 40.0,
        "team/jo": -40.0,
    }
    await made.round()
    # Credit is lost by who wants nothing, debt is not.
    assert made.tree.users == ("team/jo",)


async def test_a_tenant_is_shown_once_and_its_users_beside_it(
    made: Controller, eyes: Eyes, clock: ManualClock
) -> None:
    made.add(of("jo", "p"))
    made.add(of("jo", "q", created=1.0))
    made.add(of("al", "r", created=2.0))
    made.add(of("al", "s", created=3.0))
    plan = await made.round()
    for admit in plan.admits:
        made.bound(admit.pod, admit.placement)
    clock.time += 10.0
    standing = made.standing()
    assert [(each.name, each.leaf) for each in standing.tenants] == [("b", True), ("team", True)]
    team = standing.tenants[1]
    users = {each.name: each for each in standing.users}
    assert set(users) == {"jo", "al"}
    for word in ("fair_share", "allocated", "demand", "pending_pods", "running_pods"):
        assert sum(getattr(each, word) for each in users.values()) == getattr(team, word)
    assert {(each.tenant, each.user) for each in standing.waiting} == {
        ("team", "jo"),
        ("team", "al"),
    }
    assert {piece.user for device in standing.devices for piece in device.slices} == {"jo", "al"}
    assert set(made.service()) == {"team", "b"}
    assert {tenant for tenant, *_ in eyes.waits} == {"team"}


def labelled(stored: dict[str, Any], user: str) -> dict[str, Any]:
    stored["metadata"].setdefault("labels", {})[names.USER_LABEL] = user
    return stored
