"""The JSON of the state: the same numbers, grouped for people, bounded."""

import json
from fractions import Fraction

from scheduler.core.model.budgets import Budget, Period
from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.standing import BudgetStanding, Standing, Stray, UserStanding, told_of
from scheduler.core.model.tenants import Brought
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.web.views import EXAMPLES, GROUPS, USERS, state
from tests.support.standings import Story, device, piece, tenant, waiting


def test_amounts_are_decimals_of_gpus() -> None:
    standing = Standing(
        at=5.0,
        tenants=(
            tenant(fair_share=Fraction(1, 3), allocated=Fraction(1, 8), limit=Fraction(1, 10)),
        ),
        free_milli=1250,
    )
    (row,) = state(standing)["tenants"]
    assert (row["allocated"], row["limit"], row["fair_share"]) == (0.125, 0.1, 0.333333333)
    assert row["ratio"] == 0.375
    assert state(standing)["cluster"]["free"] == 1.25


def test_a_tenant_lists_its_users_those_who_want_most_first() -> None:
    def user(number: int) -> UserStanding:
        some = Fraction(1, 2)
        whose = TenantName("vision")
        return UserStanding(whose, f"u{number:02}", some, some / 2, Fraction(number), 1.5, 1, 2)

    users = tuple(user(number) for number in range(USERS + 5))
    standing = Standing(at=0.0, tenants=(tenant(), tenant("speech")), users=users)
    vision, speech = state(standing)["tenants"]
    assert [each["name"] for each in vision["users"]] == [
        f"u{number:02}" for number in range(USERS + 4, 4, -1)
    ]
    assert vision["users"][0]["ratio"] == 0.5
    assert (vision["more_users"], speech["users"], speech["more_users"]) == (5, [], 0)


def test_a_budget_is_told_in_gpu_hours() -> None:
    budget = BudgetStanding(Budget(Fraction(100), Period.WEEK), 90_000.0, 0.0, 604_800.0)
    some, none = state(Standing(at=5.0, tenants=(tenant(budget=budget), tenant("b"))))["tenants"]
    assert some["budget"] == {"gpu_hours": 100.0, "used_gpu_hours": 25.0, "until": 604_800.0}
    assert none["budget"] is None


def test_a_tenant_that_is_due_nothing_has_no_ratio() -> None:
    (row,) = state(Standing(at=0.0, tenants=(tenant(fair_share=Fraction(0)),)))["tenants"]
    assert row["ratio"] is None


def test_devices_are_grouped_by_node_in_the_order_they_come() -> None:
    devices = (
        device("a", node=NodeName("b-node")),
        device("b", node=NodeName("a-node"), index=4),
        device("c", node=NodeName("b-node"), index=1),
    )
    nodes = state(Standing(at=0.0, devices=devices))["nodes"]
    assert [(node["name"], [gpu["uuid"] for gpu in node["gpus"]]) for node in nodes] == [
        ("b-node", ["a", "c"]),
        ("a-node", ["b"]),
    ]


def test_a_mig_slice_counts_as_its_part_of_a_card() -> None:
    card = device(milli=142, slices=(piece(milli=71), piece(milli=71, bound=False)))
    shown = state(Standing(at=0.0, devices=(card,)))
    assert shown["cluster"]["gpus"] == 0.142
    assert shown["cluster"]["allocated"] == 0.142
    assert [part["bound"] for part in shown["nodes"][0]["gpus"][0]["slices"]] == [True, False]


def test_pods_of_inner_tenants_are_not_counted_twice() -> None:
    lab = tenant("lab", leaf=False, running_pods=3, pending_pods=2)
    vision = tenant("vision", parent=TenantName("lab"), running_pods=3, pending_pods=2)
    cluster = state(Standing(at=0.0, tenants=(lab, vision)))["cluster"]
    assert (cluster["running_pods"], cluster["pending_pods"]) == (3, 2)


def test_pods_that_wait_alike_are_one_group_with_the_oldest_first() -> None:
    full = Verdict(Reason.NO_ROOM)
    pods = (
        *(waiting(f"vision/a-{n}", uid=PodUID(f"a{n}"), since=100.0 - n) for n in range(5)),
        waiting("vision/b", since=1.0, verdict=full),
        waiting("speech/c", since=50.0, tenant=TenantName("speech")),
    )
    queue = state(Standing(at=0.0, waiting=pods))["waiting"]
    assert [(g["tenant"], g["reason"], g["pods"], g["since"]) for g in queue["groups"]] == [
        ("vision", "NoRoom", 1, 1.0),
        ("speech", "WaitsForTurn", 1, 50.0),
        ("vision", "WaitsForTurn", 5, 96.0),
    ]
    assert queue["groups"][2]["examples"] == ["vision/a-4", "vision/a-3", "vision/a-2"]
    assert (queue["pods"], queue["more_groups"], queue["more_pods"]) == (7, 0, 0)


def test_the_list_of_those_who_wait_is_bounded_and_says_what_is_left_out() -> None:
    pods = [
        waiting(f"t/{n}-{m}", tenant=TenantName(f"t{n}"), since=float(n))
        for n in range(GROUPS + 7)
        for m in range(EXAMPLES + 1)
    ]
    queue = state(Standing(at=0.0, waiting=tuple(pods)))["waiting"]
    assert len(queue["groups"]) == GROUPS
    assert (queue["more_groups"], queue["more_pods"]) == (7, 7 * (EXAMPLES + 1))
    assert all(len(group["examples"]) == EXAMPLES for group in queue["groups"])


def test_the_state_says_the_same_after_a_trip_through_json() -> None:
    shown = state(Story().at(80.0), title="demo", facts=("5 nodes",))
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown


def test_the_same_picture_gives_the_same_state() -> None:
    assert state(Story().at(80.0)) == state(Story().at(80.0))


def test_what_an_owner_brought_stands_beside_its_guarantee_and_strays_at_the_top() -> None:
    owner = tenant(guarantee=Fraction(7), contributed=True, brought=Brought(7000, ill=1000))
    strays = tuple(Stray(NodeName(f"n{at}"), TenantName("nobody")) for at in range(2))
    shown = state(Standing(at=0.0, tenants=(owner,), strays=strays), facts=["a cluster"])
    (row,) = shown["tenants"]
    assert (row["guarantee"], row["contributed"], row["brought"], row["missing"]) == (7, True, 8, 1)
    assert shown["facts"] == ["a cluster", *told_of(strays)]
    assert len(shown["facts"]) == 2
