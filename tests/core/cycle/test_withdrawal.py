"""Whom it hits to take nodes away: who ends, whose guarantees sink, who is stopped elsewhere."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.withdrawal import Withdrawal, withdraw
from scheduler.core.fairness.guarantees import guaranteed
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.ledger.snapshot import Runs
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.names import OWNER_LABEL
from scheduler.core.model.nodes import Node
from scheduler.core.model.pods import Pod
from tests.support.builders import node, place, pod, tenant, whole

NOW = 10_000.0
PROFILE = Profile("gpu-packing", reclaim_after=120.0, min_runtime=120.0)
OWNERS = [tenant(name, contributed=True) for name in ("a", "b", "c")]


def owned(name: str, owner: str, cards: int = 2) -> Node:
    return node(name, cards, labels={OWNER_LABEL: owner})


def run(name: str, whose: str, cards: int = 1, **changes: Any) -> Pod:
    return pod(name, whole(cards), whose, **{"owner": "job", **changes})


def hit(
    ledger: Ledger,
    *names: str,
    pending: tuple[Pod, ...] = (),
    age: float = 3_600.0,
    profile: Profile = PROFILE,
) -> Withdrawal:
    before = ledger.snapshot().columns
    tree = guaranteed(TenantTree(OWNERS), ledger.brought)
    since = {PodUID(uid): NOW - age for uid in ledger.holdings}
    snapshot = replace(
        ledger.snapshot(tenants=tree.tenants.values()), running=Runs(ledger.holdings, since)
    )
    found = withdraw(
        ledger,
        snapshot,
        pending=pending,
        names=[NodeName(name) for name in names],
        now=NOW,
        profile=profile,
    )
    assert ledger.snapshot().columns.same_as(before)
    return found


def full() -> Ledger:
    """Three owners of two cards each; b has lent both of its own to a."""
    ledger = Ledger([owned("na", "a"), owned("nb", "b"), owned("nc", "c")])
    for number, name in enumerate(("na", "na", "nb", "nb")):
        ledger.bind(run(f"a{number}", "a"), place(name, (number % 2, 1000, 16_000)))
    ledger.bind(run("c0", "c"), place("nc", (0, 1000, 16_000)))
    return ledger


def test_its_guarantee_sinks_its_pods_end_and_find_what_is_free() -> None:
    found = hit(full(), "na")
    assert found.guarantees == {"a": (Fraction(2), Fraction(0))}
    assert [each.uid for each in found.ended] == ["a0", "a1"]
    # One card is free; a is due no more than that now.
    assert [each.uid for each in found.placed] == ["a0"]
    assert found.stopped == ()


def test_those_who_borrow_are_stopped_first_for_who_lost_a_place_inside_its_guarantee() -> None:
    ledger = full()
    ledger.bind(run("b0", "b"), place("nc", (1, 1000, 16_000)))
    found = hit(ledger, "nc")
    assert found.guarantees == {"c": (Fraction(2), Fraction(0))}
    assert [each.uid for each in found.ended] == ["b0", "c0"]
    assert found.placed == ()
    first = found.stopped[0]
    assert (first.pod.tenant, first.taker and first.taker.uid) == ("a", "b0")


def test_who_waits_already_is_served_before_by_its_turn() -> None:
    ledger = full()
    found = hit(ledger, "na", pending=(run("b9", "b", created=1.0),))
    # b is inside its guarantee with the free card; a has lost its own, and takes from nobody.
    assert found.placed == ()
    assert [each.uid for each in found.ended] == ["a0", "a1"]


def test_a_pod_that_nothing_makes_again_does_not_come_back() -> None:
    ledger = Ledger([owned("na", "a"), owned("nb", "b")])
    ledger.bind(run("bare", "a", owner=""), place("na", (0, 1000, 16_000)))
    ledger.reserve(run("coming", "a"), place("na", (1, 1000, 16_000)))
    found = hit(ledger, "na")
    assert [each.uid for each in found.ended] == ["bare", "coming"]
    assert [each.uid for each in found.placed] == ["coming"]


def test_several_nodes_and_one_of_nobody() -> None:
    ledger = Ledger([owned("na", "a"), owned("nb", "b"), node("n", 2)])
    assert hit(ledger, "n") == Withdrawal((), (), {}, ())
    both = hit(ledger, "na", "nb")
    assert both.guarantees == {
        "a": (Fraction(2), Fraction(0)),
        "b": (Fraction(2), Fraction(0)),
    }


def test_whoever_started_just_now_is_named_all_the_same() -> None:
    ledger = full()
    ledger.bind(run("b0", "b"), place("nc", (1, 1000, 16_000)))
    assert hit(ledger, "nc", age=1.0).stopped == hit(ledger, "nc").stopped != ()


def test_it_says_whom_it_hits_in_the_end_however_few_go_at_a_time() -> None:
    ledger = Ledger([owned("na", "a"), owned("nb", "b")])
    for number in range(2):
        ledger.bind(run(f"a{number}", "a"), place("na", (number, 1000, 16_000)))
    found = hit(ledger, "na", profile=replace(PROFILE, backlog=1))
    assert [each.uid for each in found.placed] == ["a0", "a1"]


def test_where_nobody_is_ever_stopped_nobody_would_be() -> None:
    ledger = full()
    ledger.bind(run("b0", "b"), place("nc", (1, 1000, 16_000)))
    assert hit(ledger, "nc", profile=replace(PROFILE, reclaim_after=None)).stopped == ()
