"""Why a pod waits: one stable text each, and a detail that says what to change."""

from dataclasses import replace
from fractions import Fraction

import pytest

from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import PodUID
from scheduler.core.model.names import PREEMPTIBLE
from scheduler.core.model.nodes import Node
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.tenants import Tenant
from scheduler.core.model.verdicts import SENTENCES, Reason
from tests.core.cycle.rounds import admitted, backlog, plan_of, settled, verdict
from tests.support.builders import (
    by_memory,
    cpu_only,
    device,
    node,
    place,
    pod,
    share,
    tenant,
    whole,
)

STABLE = {
    Reason.INVALID_REQUEST: "the request can't be read",
    Reason.UNKNOWN_TENANT: "its tenant does not exist",
    Reason.TENANT_HAS_CHILDREN: "its tenant has tenants below it and takes no pods itself",
    Reason.FOREIGN_GATE: "another scheduling gate holds it",
    Reason.GANG_UNKNOWN: "what says how large its gang is isn't there, or isn't read yet",
    Reason.GANG_INCOMPLETE: "its gang starts together, and not all of it is there",
    Reason.NEVER_FITS: "no node could hold it even if it were empty",
    Reason.OVER_LIMIT: "its tenant is at its limit",
    Reason.OVER_GUARANTEE: "non-preemptible pods fit only inside the guarantee",
    Reason.WAITS_FOR_TURN: "waits for its turn: its tenant has its due",
    Reason.IN_LINE: "its turn comes once those before it are on their way",
    Reason.OVER_BUDGET: "its tenant has used up a budget, and gets what nobody else asks for",
    Reason.NO_ROOM: "no GPU that it may use has enough free now",
    Reason.RELEASED: "its turn has come and its place is reserved, but it is not bound yet",
    Reason.RELEASE_REFUSED: "its turn had come, but its gate could not be taken off",
    Reason.STUCK: "none of the nodes that it was pinned to took it",
    Reason.DEVICE_LOST: "a GPU that it holds failed or vanished",
    Reason.MAKES_WAY: "makes way for a newer revision, as its tenant is at its limit",
    Reason.RECLAIMED: "its tenant holds more than its due, and another one has less than its own",
    Reason.PREEMPTED: "a pod of its tenant with a higher priority takes its place",
    Reason.MOVED: "makes room where another pod fits, and has its place kept elsewhere",
    Reason.MAX_RUNTIME: "it has run for as long as it may",
    Reason.GANG_BROKEN: "its gang runs together, and members are missing for too long",
}


def test_the_stable_texts_are_these() -> None:
    assert SENTENCES == STABLE
    assert set(SENTENCES) == set(Reason)


TWO = [node("n1", 2)]
A, B = tenant("a"), tenant("b")


@pytest.mark.parametrize(
    ("waiting", "tenants", "reason", "detail"),
    [
        (
            replace(pod("p", Request()), problem='gpu-fraction: "x" is not a number'),
            [A],
            Reason.INVALID_REQUEST,
            'gpu-fraction: "x" is not a number',
        ),
        (
            pod("p", tenant="nobody"),
            [A],
            Reason.UNKNOWN_TENANT,
            'there is no tenant "nobody"; create it',
        ),
        (pod("p"), [], Reason.UNKNOWN_TENANT, 'there is no tenant "a"; create it'),
        (
            pod("p"),
            [A, *(tenant(f"a{number}", "a") for number in range(5))],
            Reason.TENANT_HAS_CHILDREN,
            "choose one below a, such as a0, a1, a2",
        ),
        (
            pod("p", foreign_gates=("x/quota", "y/image")),
            [A],
            Reason.FOREIGN_GATE,
            "x/quota, y/image; it counts once those who set it remove it",
        ),
        (
            pod("p", 1000, tenant="a"),
            [tenant("a", limit="1/2")],
            Reason.OVER_LIMIT,
            "a holds 0 of at most 0.5 GPUs and this pod needs 1; "
            "raise the limit or wait for pods to end",
        ),
        (
            pod("p", preemptible=False),
            [tenant("a", guarantee="1/4")],
            Reason.OVER_GUARANTEE,
            "a has 0 of 0.25 guaranteed GPUs in such pods and this one needs 0.5; "
            f'set {PREEMPTIBLE} to "true"',
        ),
    ],
)
def test_a_pod_that_no_room_would_help(
    waiting: Pod, tenants: list[Tenant], reason: Reason, detail: str
) -> None:
    plan = settled(TWO, tenants, [waiting])
    assert (verdict(plan, "p").reason, verdict(plan, "p").detail) == (reason, detail)
    assert verdict(plan, "p").sentence == f"{STABLE[reason]}: {detail}"


SLICED = node("m1", 2, model="mig-1g")


@pytest.mark.parametrize(
    ("nodes", "request_", "detail"),
    [
        ([], share(500), "no node has a GPU; add one that has"),
        ([node("n1", 0)], whole(1), "no node has a GPU; add one that has"),
        (TWO, share(500, models=("H100",)), "no node has H100; models here: T4"),
        (TWO, whole(3), "it asks for 3 GPUs, the largest node has 2 such GPUs; ask for fewer"),
        (
            TWO,
            share(500, 3),
            "it asks for 3 × 0.5 GPU, the largest node has 2 such GPUs; ask for fewer",
        ),
        (TWO, by_memory(16_001), "it asks for 16001 MiB, more than any card has; ask for less"),
        (
            [SLICED],
            share(500),
            "it asks for 0.5 GPU, more than any card has; ask for less",
        ),
        (
            [SLICED],
            whole(1),
            "it asks for 1 GPU, but only MIG slices are there; name their model",
        ),
        (
            TWO,
            share(500, cpu_milli=64_001),
            "no node with enough such GPUs has the CPU and memory beside them; ask for less",
        ),
        (
            TWO,
            cpu_only(64_001),
            "no node that has GPUs has so much CPU and memory; ask for less",
        ),
        (
            # Enough cards on one node and enough CPU on another.
            [node("n1", 1), node("n2", 2, cpu_milli=1)],
            whole(2, cpu_milli=2),
            "no node with enough such GPUs has the CPU and memory beside them; ask for less",
        ),
    ],
)
def test_what_could_never_fit_says_what_is_there(
    nodes: list[Node], request_: Request, detail: str
) -> None:
    plan = settled(nodes, [A], [pod("p", request_)])
    assert verdict(plan, "p").reason is Reason.NEVER_FITS
    assert verdict(plan, "p").detail == detail
    # It is no demand: it gives its tenant no share that others would have to wait for.
    assert plan.demand == {"a": 0}


def test_a_model_whose_last_node_is_gone_is_no_longer_named() -> None:
    ledger = Ledger([node("n1"), node("n2", model="A10")])
    ledger.drop_node(node("n1").name)
    plan = settled(ledger, [A], [pod("p", share(500, models=("T4",)))])
    assert verdict(plan, "p").detail == "no node has T4; models here: A10"
    ledger.drop_node(node("n2").name)
    assert verdict(settled(ledger, [A], [pod("p")]), "p").detail.startswith("no node has a GPU")


def test_closed_and_ill_cards_are_room_that_may_come_back() -> None:
    nodes = [node("n1", 1, open=False), node("n2", [device("n2/0", healthy=False)])]
    plan = settled(nodes, [A], [pod("p")])
    assert verdict(plan, "p").reason is Reason.NO_ROOM
    assert plan.demand == {"a": Fraction(1, 2)}


def test_who_finds_no_room_is_told_how_much_is_free() -> None:
    ledger = Ledger([node("n1", 2)])
    ledger.bind(pod("r", 600), place("n1", (0, 600, 9_600)))
    ledger.bind(pod("s", 750), place("n1", (1, 750, 12_000)))
    plan = settled(ledger, [A], [pod("p", 500)])
    assert verdict(plan, "p").reason is Reason.NO_ROOM
    assert verdict(plan, "p").detail == (
        "it needs 0.5 GPU; 0.65 GPUs are free in all, at most 0.4 on one card; "
        "ask for less or wait for pods to end"
    )


def test_who_lacks_only_cpu_is_told_so() -> None:
    ledger = Ledger([node("n1", 2, cpu_milli=1_000)])
    ledger.bind(pod("r", cpu_only(800)), place("n1"))
    plan = settled(ledger, [A], [pod("p", share(500, cpu_milli=500))])
    assert verdict(plan, "p").detail == (
        "it needs 0.5 GPU; too little CPU or memory is free beside such GPUs; "
        "ask for less of it or wait"
    )


def test_who_waits_for_others_is_told_what_is_due() -> None:
    plan = settled(TWO, [A, B], [*backlog("a", 2), *backlog("b", 2)])
    assert admitted(plan) == ["a0", "b0"]
    assert verdict(plan, "a1").reason is Reason.WAITS_FOR_TURN
    assert verdict(plan, "a1").detail == (
        "a has 1 of its due 1 GPUs; wait, or raise its guarantee or weight"
    )
    # The stable part holds no number that would move from round to round.
    assert verdict(plan, "a1").stable == STABLE[Reason.WAITS_FOR_TURN]


def test_the_reason_stays_while_pods_of_others_come_and_go() -> None:
    ledger = Ledger(TWO)
    first = settled(ledger, [A, B], [*backlog("a", 2), *backlog("b", 3)])
    ledger.release(PodUID("b0"))
    second = plan_of(ledger, [A, B], [*backlog("a", 2)[1:], *backlog("b", 3)[1:]])
    assert admitted(second) == ["b1"]
    assert verdict(second, "a1").reason is verdict(first, "a1").reason is Reason.WAITS_FOR_TURN


def test_by_memory_a_limit_is_held_against_the_card_that_the_pod_lands_on() -> None:
    sizes = {"n1": 8_000, "n2": 32_000}
    cards = [node(n, [device(f"{n}/0", memory_mib=mib)]) for n, mib in sizes.items()]
    ledger = Ledger(cards)
    ledger.bind(pod("r", 1000, "b"), place("n1", (0, 1000, 8_000)))
    limited = tenant("a", limit=Fraction(1, 2))
    # 8,000 MiB are a whole small card, but a quarter of the one that is free.
    first, second, third = (pod(name, by_memory(8_000)) for name in ("p1", "p2", "p3"))
    plan = settled(ledger, [limited, B], [first, second, third])
    assert admitted(plan) == ["p1", "p2"]
    assert verdict(plan, "p3").reason is Reason.OVER_LIMIT


def test_who_is_due_nothing_is_told_so() -> None:
    ledger = Ledger(TWO)
    for name, index in (("r1", 0), ("r2", 1)):
        ledger.bind(pod(name, 1000, "b"), place("n1", (index, 1000, 16_000)))
    plan = settled(ledger, [tenant("a", weight=Fraction(0)), B], [pod("p")])
    assert verdict(plan, "p").detail == (
        "guarantees, priorities and weights leave nothing for a now, it lives on what is idle; "
        "raise its guarantee or weight"
    )


def test_a_limit_of_gpus_holds_no_pod_without_one() -> None:
    ledger = Ledger(TWO)
    ledger.bind(pod("r"), place("n1", (0, 1000, 16_000)))
    plan = settled(ledger, [tenant("a", limit="1/2")], [pod("p", cpu_only(100))])
    assert admitted(plan) == ["p"]
