"""Statuses: differences only, at a gentle pace, and what a successor needs to go on."""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import pytest

from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.budgets import Budget, Period
from scheduler.core.model.ids import DeviceUUID, NodeName, PodUID, TenantName
from scheduler.core.model.standing import (
    BudgetStanding,
    DeviceStanding,
    Slice,
    Standing,
    TenantStanding,
    UserStanding,
)
from scheduler.core.model.tenants import Brought
from scheduler.kube.budgetline import used_of
from scheduler.kube.client import Patch
from scheduler.kube.errors import Unreachable
from scheduler.kube.nodebook import NodeBook
from scheduler.kube.status import Sources, StatusWriter, lags_of
from scheduler.kube.tenantbook import TenantBook
from scheduler.kube.times import micro_stamp, stamp
from tests.kube.scripted import Scripted, Sent, refusal
from tests.kube.stored import JSON, NOW, FastClock, gpunode_json, tenant_json
from tests.support import builders
from tests.support import standings as st


def _tenant(name: str, parent: str | None = None, **changes: object) -> TenantStanding:
    plain: dict[str, object] = {
        "parent": TenantName(parent) if parent else None,
        "leaf": True,
        "fair_share": Fraction(2),
        "allocated": Fraction(2),
        "demand": Fraction(4),
        "lag": 0.0,
        "pending_pods": 3,
        "running_pods": 2,
    }
    return st.tenant(name, **(plain | changes))


def _device(node: str, index: int, *milli: int, healthy: bool = True) -> DeviceStanding:
    slices = [
        Slice(PodUID(str(at)), f"lab/{at}", TenantName("a"), part, 100, bound=True)
        for at, part in enumerate(milli)
    ]
    return st.device(
        node=NodeName(node),
        index=index,
        uuid=DeviceUUID(f"{node}/{index}"),
        milli=1000,
        healthy=healthy,
        slices=tuple(slices),
    )


@dataclass
class World:
    """A writer, what it reads, and an API server whose watch shows at once what was stored."""

    api: Scripted = field(default_factory=Scripted)
    clock: FastClock = field(default_factory=FastClock)
    standing: Standing = field(default_factory=lambda: Standing(NOW))
    version: Hashable = 0
    active: bool = True
    asked: int = 0
    events: list[JSON] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tenants = TenantBook(lambda _tenants: None)
        self.nodes = NodeBook(lambda _nodes: None, lambda _name: None, clock=self.clock)
        self.ledger = Ledger()
        self.writer = self.another()

    def another(self) -> StatusWriter:
        """Return the writer of another replica, or of this one after a restart."""
        sources = Sources(
            tenants=self.tenants,
            nodes=self.nodes,
            ledger=self.ledger,
            standing=self._stand,
            version=lambda: self.version,
            active=lambda: self.active,
        )
        return StatusWriter(self.api, sources, clock=self.clock, seconds=10.0)

    async def _stand(self) -> Standing:
        self.asked += 1
        return replace(self.standing, at=self.clock.now())

    async def tell(self, *tenants: JSON) -> None:
        self.tenants.replace(tenants)
        await self.tenants.told()

    async def written(self, *, after: float = 100.0) -> dict[str, Any]:
        """Have it write, `after` seconds later, and return the new status by name."""
        self.clock.time += after
        await self.writer.write()
        sent = [each for each in self.api.sent if each.verb == "PATCH"]
        self.events += [each.body for each in self.api.sent if each.verb == "POST"]
        self.api.sent = []
        return {each.body["metadata"]["name"]: each.body["status"] for each in sent}

    def stand(self, *tenants: TenantStanding, devices: tuple[DeviceStanding, ...] = ()) -> None:
        self.standing = Standing(NOW, tenants, devices)


def _words(status: JSON, kind: str) -> tuple[str, str, str]:
    (found,) = [each for each in status["conditions"] if each["type"] == kind]
    return found["status"], found["reason"], found["message"]


async def test_a_tenants_status_is_applied_by_our_field_manager() -> None:
    world = World()
    await world.tell(tenant_json("a", guarantee=1))
    world.stand(_tenant("a", fair_share=Fraction(7, 3), allocated=Fraction(1, 2)))
    await world.writer.write()
    (sent,) = world.api.sent
    assert (sent.path, sent.kind) == (
        "/apis/equipoise.dev/v1alpha1/tenants/a/status",
        Patch.APPLY,
    )
    assert sent.params == {"fieldManager": "equipoise", "force": "true"}
    assert (sent.body["kind"], sent.body["apiVersion"]) == ("Tenant", "equipoise.dev/v1alpha1")
    status = sent.body["status"]
    assert {key: status[key] for key in status if key not in ("conditions", "lag")} == {
        "guaranteeGPUs": 1,
        "fairShareGPUs": 2.333,
        "allocatedGPUs": 0.5,
        "demandGPUs": 4,
        "pendingPods": 3,
        "runningPods": 2,
    }
    assert _words(status, "Valid")[:2] == ("True", "Valid")
    assert _words(status, "Served")[:2] == ("True", "Served")


async def test_what_a_tenant_brought_is_told_with_what_of_it_is_missing() -> None:
    world = World()
    await world.tell(tenant_json("a", guarantee="contributed"))
    world.stand(_tenant("a", contributed=True, brought=Brought(6500, ill=500, away=1000)))
    status = (await world.written())["a"]
    assert (status["broughtGPUs"], status["missingGPUs"]) == (8, 1.5)
    world.stand(_tenant("a", contributed=True))
    status = (await world.written())["a"]
    assert (status["broughtGPUs"], status["missingGPUs"]) == (0, 0)
    none = Fraction(0)
    world.stand(_tenant("a", contributed=True, guarantee=none, weight=none, fair_share=none))
    assert (
        "see to its nodes, or give it a weight" in _words((await world.written())["a"], "Served")[2]
    )


async def test_what_did_not_change_is_not_written_again() -> None:
    world = World()
    await world.tell(tenant_json("a"), tenant_json("b"))
    world.stand(_tenant("a"), _tenant("b"))
    assert sorted(await world.written()) == ["a", "b"]
    world.stand(_tenant("a"), _tenant("b", pending_pods=4))
    assert list(await world.written()) == ["b"]
    assert not await world.written()


async def test_a_successor_writes_only_what_isnt_stored() -> None:
    world = World()
    await world.tell(tenant_json("a"), tenant_json("b"))
    world.stand(_tenant("a"), _tenant("b"))
    stored = await world.written()
    stored["b"]["pendingPods"] = 9
    await world.tell(*(tenant_json(name) | {"status": stored[name]} for name in ("a", "b")))
    world.writer = world.another()
    assert list(await world.written()) == ["b"]


async def test_an_object_is_written_once_in_a_while_only() -> None:
    world = World()
    await world.tell(tenant_json("a"))
    world.stand(_tenant("a"))
    assert await world.written()
    world.stand(_tenant("a", pending_pods=4))
    assert not await world.written(after=9.0)
    assert (await world.written(after=2.0))["a"]["pendingPods"] == 4


async def test_a_tenant_that_was_made_anew_is_told_anew() -> None:
    world = World()
    await world.tell(tenant_json("a"))
    world.stand(_tenant("a"))
    assert await world.written()
    again = tenant_json("a")
    again["metadata"]["uid"] = "another"
    await world.tell(again)
    assert await world.written()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"guarantee": Fraction(0), "weight": Fraction(1)}, "served last, from what is idle"),
        ({"guarantee": Fraction(0), "weight": Fraction(0)}, "neither guarantee nor weight"),
        ({"limit": Fraction(0)}, "its limit is 0"),
    ],
    ids=["others come first", "asks for nothing", "capped"],
)
async def test_a_tenant_that_is_given_no_share_says_why(
    changes: dict[str, Any], message: str
) -> None:
    world = World()
    await world.tell(tenant_json("a"))
    world.stand(_tenant("a", fair_share=Fraction(0), **changes))
    status, reason, said = _words((await world.written())["a"], "Served")
    assert (status, reason) == ("False", "NoShare")
    assert message in said


async def test_a_tenant_that_wants_nothing_is_served() -> None:
    world = World()
    await world.tell(tenant_json("a"))
    world.stand(_tenant("a", fair_share=Fraction(0), demand=Fraction(0)))
    assert _words((await world.written())["a"], "Served")[0] == "True"


async def test_a_tenant_that_is_left_out_says_what_is_wrong_with_it() -> None:
    world = World()
    await world.tell(tenant_json("a", "gone"))
    status = (await world.written())["a"]
    assert _words(status, "Valid")[:2] == ("False", "Invalid")
    assert 'its parent "gone" does not exist' in _words(status, "Valid")[2]
    assert _words(status, "Served")[:2] == ("False", "LeftOut")
    assert "allocatedGPUs" not in status


async def test_since_when_a_condition_holds_is_kept() -> None:
    world = World()
    await world.tell(tenant_json("a"))
    world.stand(_tenant("a"))
    before = (await world.written())["a"]
    await world.tell(tenant_json("a") | {"status": before})
    world.stand(_tenant("a", fair_share=Fraction(0)))
    after = (await world.written())["a"]
    times = [[each["lastTransitionTime"] for each in of["conditions"]] for of in (before, after)]
    assert times[0][0] == times[1][0]
    assert times[0][1] < times[1][1]


def _owed(world: World, lag: float, *, held: int) -> None:
    """Have `a` hold so many of the four GPUs that it shares with `b`; lag is the moment's."""
    world.stand(
        _tenant("a", lag=lag, allocated=Fraction(held)),
        _tenant("b", lag=-lag, allocated=Fraction(4 - held)),
    )


async def test_lag_is_a_line_that_is_written_anew_only_where_it_bends() -> None:
    world = World()
    await world.tell(tenant_json("a"), tenant_json("b"))
    _owed(world, 10.0, held=1)
    at = micro_stamp(NOW + 100)
    first = (await world.written(after=100.0))["a"]["lag"]
    assert first == {"gpuSeconds": 10.0, "slope": 1.0, "at": at}
    # As foreseen: a hundred seconds later it is owed a hundred more.
    _owed(world, 110.05, held=1)
    assert not await world.written(after=100.0)
    _owed(world, 120.0, held=2)
    assert (await world.written(after=10.0))["a"]["lag"]["slope"] == 0.0
    # It lost its credit: nothing that the slope foresaw.
    _owed(world, 0.0, held=2)
    assert (await world.written(after=61.0))["a"]["lag"]["gpuSeconds"] == 0.0


async def test_lag_is_written_once_a_minute_at_most() -> None:
    world = World()
    await world.tell(tenant_json("a"), tenant_json("b"))
    _owed(world, 10.0, held=1)
    first = (await world.written())["a"]["lag"]
    _owed(world, 50.0, held=2)
    second = await world.written(after=40.0)
    assert second["a"]["lag"] == first
    assert second["a"]["allocatedGPUs"] == 2
    assert (await world.written(after=21.0))["a"]["lag"]["slope"] == 0.0


def _user(name: str, lag: float, *, held: int, tenant: str = "a") -> UserStanding:
    amounts = {"fair_share": Fraction(1), "allocated": Fraction(held), "demand": Fraction(4)}
    return UserStanding(
        tenant=TenantName(tenant), name=name, lag=lag, pending_pods=1, running_pods=1, **amounts
    )


def _shared(world: World, *users: UserStanding) -> None:
    world.stand(_tenant("a"))
    world.standing = replace(world.standing, users=users)


async def test_the_lags_of_users_are_told_with_their_tenant_s_and_gone_on_with() -> None:
    world = World()
    await world.tell(tenant_json("a"))
    _shared(world, _user("", -20.0, held=2), _user("jo", 20.0, held=0), _user("al", 0.0, held=1))
    lag = (await world.written())["a"]["lag"]
    assert (lag["gpuSeconds"], lag["slope"]) == (0.0, 0.0)
    assert lag["users"] == [
        {"name": "", "gpuSeconds": -20.0, "slope": -1.0},
        {"name": "jo", "gpuSeconds": 20.0, "slope": 1.0},
    ]
    stored = tenant_json("a") | {"status": {"lag": lag}}
    found = lags_of([stored], world.clock.now() + 10.0)
    assert found == {
        "a": 0.0,
        "a/": pytest.approx(-30.0, abs=0.1),
        "a/jo": pytest.approx(30.0, abs=0.1),
    }


async def test_a_user_s_line_that_bends_is_a_line_to_be_written() -> None:
    world = World()
    await world.tell(tenant_json("a"))
    _shared(world, _user("al", -20.0, held=2), _user("jo", 20.0, held=0))
    await world.written()
    _shared(world, _user("al", -120.0, held=2), _user("jo", 120.0, held=0))
    assert not await world.written(after=100.0)
    _shared(world, _user("al", -120.0, held=1), _user("jo", 120.0, held=1))
    assert (await world.written(after=61.0))["a"]["lag"]["users"][0]["slope"] == 0.0
    # Who is gone, and owed nothing, is told no more.
    _shared(world)
    assert "users" not in (await world.written(after=61.0))["a"]["lag"]


async def test_of_many_users_those_are_told_who_matter_most() -> None:
    world = World()
    await world.tell(tenant_json("a"))
    _shared(world, *(_user(f"u{number:03}", float(number), held=1) for number in range(150)))
    users = (await world.written())["a"]["lag"]["users"]
    assert [each["name"] for each in users] == [f"u{number:03}" for number in range(50, 150)]


def _budgeted(world: World, part: float, *, held: int = 2, since: float = NOW - 100) -> None:
    """Have `a` use so much of ten GPU-hours, since then, and hold so many GPUs."""
    ten = Budget(Fraction(10), Period.DAY)
    budget = BudgetStanding(ten, part * 36_000, since, since + 86_400)
    world.stand(_tenant("a", allocated=Fraction(held), budget=budget, spent=part >= 1))


async def test_use_of_a_budget_is_a_line_and_gone_on_with() -> None:
    world = World()
    await world.tell(tenant_json("a"))
    _budgeted(world, 0.1)
    told = (await world.written())["a"]["budget"]
    assert (told["gpuSeconds"], told["slope"], told["since"]) == (3600.0, 2.0, stamp(NOW - 100))
    # Nothing but time has passed.
    _budgeted(world, 0.1 + 200 / 36_000)
    assert not await world.written(after=100.0)
    stored = tenant_json("a") | {"status": {"budget": told}}
    found = used_of([stored, tenant_json("b")], world.clock.now())
    (since, used) = found.pop(TenantName("a"))
    assert since == NOW - 100
    assert used == pytest.approx(3800.0, abs=0.5)
    assert not found
    # A new period is another line, whatever the slope.
    _budgeted(world, 0.0, since=NOW)
    assert (await world.written(after=61.0))["a"]["budget"]["since"] == stamp(NOW)


@pytest.mark.parametrize(
    ("part", "reason", "holds", "told"),
    [
        (0.499, "Within", "True", []),
        (0.5, "HalfUsed", "True", ["HalfUsed"]),
        (0.9, "NearlyUsed", "True", ["NearlyUsed"]),
        (1.0, "UsedUp", "False", ["UsedUp"]),
        (1.7, "UsedUp", "False", ["UsedUp"]),
    ],
)
async def test_how_much_of_a_budget_is_used_is_a_condition_and_an_event(
    part: float, reason: str, holds: str, told: list[str]
) -> None:
    world = World()
    await world.tell(tenant_json("a"))
    _budgeted(world, part)
    conditions = (await world.written())["a"]["conditions"]
    (found,) = [each for each in conditions if each["type"] == "WithinBudget"]
    assert (found["reason"], found["status"]) == (reason, holds)
    assert [each["reason"] for each in world.events] == told


async def test_each_part_of_a_budget_is_told_once() -> None:
    world = World()
    await world.tell(tenant_json("a"))
    for part in (0.4, 0.6, 0.7, 0.95, 0.96, 1.1, 1.2):
        _budgeted(world, part)
        await world.written(after=100.0)
    assert [each["reason"] for each in world.events] == ["HalfUsed", "NearlyUsed", "UsedUp"]
    assert [each["type"] for each in world.events] == ["Normal", "Normal", "Warning"]
    assert {each["regarding"]["kind"] for each in world.events} == {"Tenant"}
    # A new period begins: then all of it may be told again.
    _budgeted(world, 0.1)
    await world.written(after=100.0)
    _budgeted(world, 0.6)
    await world.written(after=100.0)
    assert [each["reason"] for each in world.events][3:] == ["HalfUsed"]


async def test_without_a_budget_there_is_no_word_of_it() -> None:
    world = World()
    await world.tell(tenant_json("a"))
    world.stand(_tenant("a"))
    status = (await world.written())["a"]
    assert "budget" not in status
    assert [each["type"] for each in status["conditions"]] == ["Valid", "Served"]


async def test_what_was_never_owed_is_not_told() -> None:
    world = World()
    await world.tell(tenant_json("a"))
    world.stand(_tenant("a"))
    assert "lag" not in (await world.written())["a"]


def test_a_successor_goes_on_with_what_was_owed() -> None:
    def told(name: str, value: float, slope: float, ago: float) -> JSON:
        lag = {"gpuSeconds": value, "slope": slope, "at": micro_stamp(NOW - ago)}
        return tenant_json(name) | {"status": {"lag": lag}}

    told_nothing = tenant_json("c")
    assert lags_of([told("a", 10, 1.5, 20), told("b", -5, -1, 10), told_nothing], NOW) == {
        "a": 40.0,
        "b": -15.0,
    }
    # Nobody knows what happened in a day; all lines are followed to the same moment.
    long_ago = [told("a", 0, 1, 86_400), told("b", 0, -1, 86_400 - 600)]
    found = lags_of(long_ago, NOW)
    assert found == {"a": 4200.0, "b": -3600.0}


async def test_a_node_says_what_is_held_and_what_is_free() -> None:
    world = World()
    world.ledger.put_nodes([builders.node("n")])
    world.nodes.gpunodes.replace([gpunode_json("n")])
    world.stand(
        devices=(
            _device("n", 0, 250, 500),
            _device("n", 1),
            _device("n", 2, 100, healthy=False),
        )
    )
    status = (await world.written())["n"]
    assert (status["allocatedMilli"], status["freeMilli"]) == (850, 1250)
    assert _words(status, "TakesPods") == ("True", "Open", "")
    assert not await world.written()


async def test_a_node_that_takes_no_pod_says_why() -> None:
    world = World()
    broken = builders.device("b/0", healthy=False)
    world.ledger.put_nodes(
        [
            builders.node("a", open=False),
            builders.node("b", [broken]),
            builders.node("c", closed="it advertises nvidia.com/gpu"),
            builders.node("d"),
        ]
    )
    world.ledger.close_node(NodeName("d"), "pod lab/p can't be understood")
    world.nodes.gpunodes.replace([gpunode_json(name) for name in "abcd"])
    written = await world.written()
    assert {name: _words(written[name], "TakesPods")[1:] for name in written} == {
        "a": ("Cordoned", "it is cordoned; uncordon it"),
        "b": ("NoHealthyGPU", "it has no healthy GPU that is ours to hand out"),
        "c": ("Closed", "it advertises nvidia.com/gpu"),
        "d": ("Closed", "pod lab/p can't be understood"),
    }


async def test_what_the_agent_writes_of_a_node_is_left_alone() -> None:
    world = World()
    world.ledger.put_nodes([builders.node("n")])
    world.nodes.gpunodes.replace([gpunode_json("n")])
    stored = await world.written()
    healthy = {"type": "Healthy", "status": "True", "reason": "Healthy", "message": ""}
    status = stored["n"] | {"usedAt": "now", "conditions": [healthy, *stored["n"]["conditions"]]}
    world.nodes.gpunodes.replace([gpunode_json("n", **status)])
    world.writer = world.another()
    assert not await world.written()


async def test_what_is_refused_for_good_is_not_sent_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    await world.tell(tenant_json("a"), tenant_json("b"))
    world.stand(_tenant("a"), _tenant("b"))
    world.api.then("PATCH", refusal(403, "rbac says no"))
    assert sorted(await world.written()) == ["a", "b"]
    assert not await world.written()
    assert "Tenant a: status: " in caplog.text


@pytest.mark.parametrize("problem", [Unreachable("no answer"), refusal(500), refusal(429)], ids=str)
async def test_a_server_that_does_not_answer_is_asked_again_later_and_not_for_each_object(
    problem: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    await world.tell(tenant_json("a"), tenant_json("b"))
    world.stand(_tenant("a"), _tenant("b"))
    world.api.then("PATCH", problem, problem)
    for _ in range(2):
        assert await world.writer.write()
    assert len(world.api.sent) == 2
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1
    world.api.sent.clear()
    assert sorted(await world.written()) == ["a", "b"]


async def _run(world: World, rounds: int) -> list[Sent]:
    """Have it run for so many of its periods, and return what it sent."""
    running = asyncio.create_task(world.writer.run())
    end = world.clock.now() + rounds * 10.0
    while world.clock.now() < end:
        await asyncio.sleep(0.001)
    running.cancel()
    sent, world.api.sent = world.api.sent, []
    return sent


async def test_where_nothing_happens_nothing_is_asked() -> None:
    world = World()
    await world.tell(tenant_json("a"))
    world.stand(_tenant("a"))
    assert len(await _run(world, 20)) == 1
    asked = world.asked
    assert asked <= 2
    assert not await _run(world, 20)
    assert world.asked <= asked + 1


async def test_a_standby_writes_nothing_and_one_that_takes_over_looks_at_all() -> None:
    world = World(active=False)
    await world.tell(tenant_json("a"))
    world.stand(_tenant("a"))
    assert not await _run(world, 5)
    assert not world.asked
    world.active = True
    assert len(await _run(world, 5)) == 1


async def test_while_pods_come_and_go_tenants_are_told_and_nodes_take_turns() -> None:
    """A node in two seconds; a pass takes no longer than it is to the next one."""
    world = World()
    await world.tell(tenant_json("a"))
    world.nodes.gpunodes.replace([gpunode_json(f"n{number:02}") for number in range(50)])
    told = list[str]()
    for held in range(1, 13):
        world.stand(_tenant("a", lag=1e6 * held), devices=_devices(held))
        told += await _restless(world)
        assert told.count("a") == held
    nodes = [name for name in told if name != "a"]
    assert (len(set(nodes)), len(nodes)) == (50, 60)


async def test_a_node_that_takes_no_more_pods_is_told_before_those_that_hold_others() -> None:
    world = World()
    names = [f"n{number:02}" for number in range(50)]
    world.nodes.gpunodes.replace([gpunode_json(name) for name in names])
    world.ledger.put_nodes([builders.node(name, 1) for name in names])
    await world.nodes.told()
    assert len(await world.written()) == 50
    world.stand(devices=_devices(1))
    first = list(await _restless(world))
    world.ledger.put_nodes([builders.node(first[0], 1, open=False)])
    world.stand(devices=_devices(2))
    then = await _restless(world)
    assert next(iter(then)) == first[0]
    assert _words(then[first[0]], "TakesPods")[:2] == ("False", "Cordoned")
    assert not set(first[1:]) & set(then)


async def test_of_many_nodes_more_are_told_in_a_second() -> None:
    """Each within a thousand seconds: of 4,000 four a second, so forty in the ten of a pass."""
    world = World()
    names = [f"n{number:04}" for number in range(4_000)]
    world.nodes.gpunodes.replace([gpunode_json(name) for name in names])
    await world.nodes.told()
    told = await _restless(world)
    assert len(told) == 40


def _devices(held: int) -> tuple[DeviceStanding, ...]:
    return tuple(_device(f"n{number:02}", 0, held) for number in range(50))


async def _restless(world: World) -> dict[str, Any]:
    """Have it write while something changes all the time."""
    changing = asyncio.create_task(_changing(world))
    try:
        return await world.written()
    finally:
        changing.cancel()


async def _changing(world: World) -> None:
    number = 0
    while True:
        number += 1
        world.version = number
        await asyncio.sleep(0)
