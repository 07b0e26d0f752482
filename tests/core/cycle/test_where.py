"""No round plans what kube-scheduler would refuse: taints, labels, cordons, pods, CPU of everybody.

Scenario by scenario: nodes, one pod, and the nodes that it is pinned to or why it waits.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.constraints import NO_CONSTRAINTS, Constraints, Taint, Term, Toleration
from scheduler.core.model.nodes import Node
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.verdicts import Reason
from scheduler.core.packing.policies import POLICIES
from tests.core.cycle.rounds import admitted, backlog, carry_out, plan_of, settled, verdict
from tests.support import builders
from tests.support.builders import (
    affine,
    by_memory,
    cpu_only,
    device,
    line,
    node,
    only,
    place,
    pod,
    share,
    tenant,
    whole,
)

A, B = tenant("a"), tenant("b")
GPU = Taint("gpu", "", "NoSchedule")
NOT_READY = Taint("node.kubernetes.io/not-ready", "", "NoExecute")
ZONE_B = affine(Term((line("zone", "In", "b"),)))
NOT_HERE = affine(Term(fields=(line("metadata.name", "NotIn", "n1"),)))
# The fullest node first, so that n1 is chosen wherever it may be.
N1, N2 = node("n1", 1), node("n2", 2)


@pytest.mark.parametrize(
    ("nodes", "constraints", "chosen"),
    [
        ([N1, N2], NO_CONSTRAINTS, ["n1", "n2"]),
        ([replace(N1, taints=(GPU,)), N2], NO_CONSTRAINTS, ["n2"]),
        ([replace(N1, taints=(GPU,)), N2], only(tolerations=[Toleration("gpu")]), ["n1", "n2"]),
        ([replace(N1, taints=(NOT_READY,)), N2], NO_CONSTRAINTS, ["n2"]),
        ([replace(N1, taints=(replace(GPU, effect="PreferNoSchedule"),)), N2], NO_CONSTRAINTS,
         ["n1", "n2"]),
        ([replace(N1, open=False), N2], NO_CONSTRAINTS, ["n2"]),
        ([replace(N1, closed="it advertises nvidia.com/gpu"), N2], NO_CONSTRAINTS, ["n2"]),
        ([N1, replace(N2, labels={"zone": "b"})], only(zone="b"), ["n2"]),
        ([N1, replace(N2, labels={"zone": "b"})], ZONE_B, ["n2"]),
        ([N1, N2], NOT_HERE, ["n2"]),
        ([replace(N1, pods=0), N2], NO_CONSTRAINTS, ["n2"]),
        ([replace(N1, cpu_milli=999), N2], NO_CONSTRAINTS, ["n2"]),
        ([replace(N1, ram_mib=999), N2], NO_CONSTRAINTS, ["n2"]),
    ],
)  # fmt: skip
def test_only_nodes_that_kube_scheduler_would_take_are_named(
    nodes: Sequence[Node], constraints: Constraints, chosen: list[str]
) -> None:
    asking = pod("p", share(500, cpu_milli=1_000, ram_mib=1_000), constraints=constraints)
    [admit] = settled(nodes, [A], [asking]).admits
    assert list(admit.nodes) == chosen


@pytest.mark.parametrize(
    ("node_", "running", "says"),
    [
        (node("n1", pods=2), [cpu_only(0), cpu_only(0)], "run as many pods as they may"),
        (node("n1"), [cpu_only(63_500)], "too little CPU or memory is free"),
        (node("n1"), [Request(ram_mib=255_500)], "too little CPU or memory is free"),
    ],
)
def test_pods_that_use_no_gpu_take_room_too(node_: Node, running: list[Request], says: str) -> None:
    ledger = Ledger([node_])
    for number, request in enumerate(running):
        ledger.bind(pod(f"daemon{number}", request, "nobody"), place("n1"))
    asking = pod("p", share(500, cpu_milli=1_000, ram_mib=1_000))
    held = verdict(settled(ledger, [A], [asking]), "p")
    assert held.reason == Reason.NO_ROOM
    assert says in held.detail
    ledger.release(pod("daemon0").uid)
    assert admitted(plan_of(ledger, [A], [asking])) == ["p"]


def test_the_pods_of_one_round_count_against_each_other() -> None:
    plan = settled([node("n1", 4, pods=3)], [A], backlog("a", 5, 100))
    assert admitted(plan) == ["a0", "a1", "a2"]


@pytest.mark.parametrize(
    ("constraints", "says"),
    [
        (only(zone="b"), "such as n1, where its nodeSelector asks for zone=b; change these"),
        (ZONE_B, "such as n1, where its node affinity, or a volume that it uses, asks for other"),
        (NO_CONSTRAINTS, "such as n1, where it doesn't tolerate the taint gpu:NoSchedule;"),
    ],
)
def test_what_no_node_is_left_for_says_what_to_change(constraints: Constraints, says: str) -> None:
    nodes = [node("n1", taints=(GPU,)), node("cpu", 0, labels={"zone": "b"}, taints=(GPU,))]
    if constraints is not NO_CONSTRAINTS:
        constraints = replace(constraints, tolerations=(Toleration("gpu", "Exists"),))
    held = verdict(settled(nodes, [A], [pod("p", constraints=constraints)]), "p")
    assert held.reason == Reason.NEVER_FITS
    assert says in held.detail
    assert held.detail.startswith("1 could but for its nodeSelector, affinity or tolerations")


def test_what_is_too_large_for_any_node_is_told_that_and_not_about_its_constraints() -> None:
    held = verdict(plan_of([node("n1")], [A], [pod("p", whole(3), constraints=only(a="b"))]), "p")
    assert held.reason == Reason.NEVER_FITS
    assert "the largest node has 2 such GPUs" in held.detail


def test_who_fits_nowhere_is_no_demand_and_gives_its_share_to_others() -> None:
    waiting = [pod("p", constraints=only(zone="b")), pod("q", tenant="b")]
    plan = plan_of([node("n1")], [A, B], waiting)
    assert not plan.demand[A.name]
    assert plan.demand[B.name] == plan.shares[B.name] > 0


def test_a_state_of_the_moment_leaves_demand_as_it_is() -> None:
    plan = settled([node("n1", taints=(NOT_READY,))], [A], [pod("p")])
    held = verdict(plan, "p")
    assert held.reason == Reason.NO_ROOM
    assert "where it doesn't tolerate the taint node.kubernetes.io/not-ready" in held.detail
    assert plan.demand[A.name] > 0


def test_room_on_nodes_that_are_not_for_it_is_told_from_no_room() -> None:
    nodes = [node("n1", 1, labels={"zone": "a"}), node("n2", 1), node("n3", 1)]
    ledger = Ledger(nodes)
    ledger.bind(pod("q", 700), place("n1", (0, 700, 11_200)))
    asking = pod("p", 500, constraints=only(zone="a"))
    held = verdict(settled(ledger, [A], [asking]), "p")
    assert held.reason == Reason.NO_ROOM
    assert "2 nodes have room but are not for it, such as n2, where its node" in held.detail
    for name in ("n2", "n3"):
        ledger.bind(pod(name, 900), place(name, (0, 900, 14_400)))
    held = verdict(settled(ledger, [A], [asking]), "p")
    assert "0.3 GPUs are free where it may go, at most 0.3 on one card" in held.detail


def test_who_has_no_room_does_not_stop_who_may_go_elsewhere() -> None:
    nodes = [node("n1", 1, labels={"zone": "a"}), node("n2", 1, labels={"zone": "b"})]
    wish = {"a": only(zone="a"), "b": only(zone="b")}
    asked = [pod(f"{z}{n}", whole(), constraints=wish[z], created=n) for n in (0, 1) for z in "ab"]
    plan = settled(nodes, [A], asked)
    assert admitted(plan) == ["a0", "b0"]
    assert {hold.pod.uid for hold in plan.holds} == {"a1", "b1"}


def test_by_memory_a_pod_counts_by_the_smallest_card_that_it_may_use() -> None:
    small, large = device("s/0", "T4"), device("l/0", "A100")
    nodes = [node("s", [small], labels={"size": "s"}), node("l", [large], labels={"size": "l"})]
    demand = [
        plan_of(nodes, [A], [pod("p", by_memory(8_000), constraints=only(size=size))]).demand
        for size in "sl"
    ]
    assert [float(each[A.name]) for each in demand] == [0.5, 0.097]


def test_nodes_that_never_took_pods_change_nothing_for_the_others() -> None:
    nodes = [node(f"n{number}", 2) for number in range(4)]
    tainted = [node(f"t{number}", 2, taints=(GPU,)) for number in range(4)]
    waiting = backlog("a", 6, 300) + backlog("b", 6, 700)
    alone, beside = plan_of(nodes, [A, B], waiting), plan_of([*tainted, *nodes], [A, B], waiting)
    assert beside.admits == alone.admits


# --------------------------------------------------------------------------- whatever comes


@st.composite
def crowds(draw: st.DrawFn) -> list[Pod]:
    names = draw(st.lists(st.integers(0, 30), max_size=12, unique=True))
    kinds = draw(st.lists(builders.constraints(), min_size=1, max_size=3))
    return [
        replace(draw(builders.pods(st.just(f"p{name}"))), constraints=draw(st.sampled_from(kinds)))
        for name in names
    ]


TENANTS = [tenant("a"), tenant("b", weight=3), tenant("c", limit=2)]


@settings(max_examples=60, deadline=None)
@given(builders.labelled_clusters(), crowds(), st.sampled_from(list(POLICIES)), st.data())
def test_no_plan_goes_against_constraints_and_the_order_of_the_pending_plays_no_part(
    cluster: list[Node], crowd: list[Pod], policy: str, data: st.DataObject
) -> None:
    ledger, nodes = Ledger(cluster), {each.name: each for each in cluster}
    plan = plan_of(ledger, TENANTS, crowd, profile=Profile(policy))
    for admit in plan.admits:
        assert len(set(admit.nodes)) == len(admit.nodes)
        for name in admit.nodes:
            chosen = nodes[name]
            assert admit.pod.constraints.allow(chosen)
            assert chosen.open
            assert not chosen.closed
    carry_out(ledger, plan)
    assert (ledger.columns.free_pods >= 0).all()
    shuffled = data.draw(st.permutations(crowd))
    assert plan_of(cluster, TENANTS, shuffled, profile=Profile(policy)) == plan


@settings(max_examples=50, deadline=None)
@given(builders.labelled_clusters(), crowds())
def test_who_waits_says_whether_it_could_ever_go_anywhere(
    cluster: list[Node], crowd: list[Pod]
) -> None:
    for hold in plan_of(cluster, TENANTS, crowd).holds:
        asked = hold.pod.constraints
        ever = [each for each in cluster if not asked.objection(each, passing=False)]
        if not ever:
            assert hold.verdict.reason == Reason.NEVER_FITS
        if hold.verdict.reason == Reason.NEVER_FITS:
            alone = replace(hold.pod, constraints=NO_CONSTRAINTS)
            bare = [replace(each, taints=(), open=True, closed="") for each in ever]
            assert plan_of(bare, [A, B, tenant("c")], [alone]).admits == ()


@settings(max_examples=50, deadline=None)
@given(builders.clusters(), crowds())
def test_tolerating_everything_is_the_same_as_having_no_taints(
    cluster: list[Node], crowd: list[Pod]
) -> None:
    everything = only(tolerations=[Toleration("", "Exists")])
    bold = [replace(each, constraints=everything) for each in crowd]
    free = [replace(each, constraints=NO_CONSTRAINTS) for each in crowd]
    tainted = [replace(each, taints=(GPU, NOT_READY)) for each in cluster]
    plan, plain = plan_of(tainted, TENANTS, bold), plan_of(cluster, TENANTS, free)
    assert [(a.pod.uid, a.placement, a.alternatives) for a in plan.admits] == [
        (a.pod.uid, a.placement, a.alternatives) for a in plain.admits
    ]
    assert [(h.pod.uid, h.verdict) for h in plan.holds] == [
        (h.pod.uid, h.verdict) for h in plain.holds
    ]


def test_a_round_may_run_in_a_thread_while_the_ledger_goes_on() -> None:
    nodes = [node(f"n{at}", 4, labels={"zone": "ab"[at % 2]}, pods=110) for at in range(60)]
    ledger, waiting = Ledger(nodes), backlog("a", 150, 300, constraints=only(zone="a"))
    profile = Profile("fgd")
    alone = run_cycle(ledger.snapshot(tenants=[A]), waiting, 0.0, profile)
    snapshot = ledger.snapshot(tenants=[A])
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(run_cycle, snapshot, waiting, 0.0, profile)
        at = 0
        while not beside.done():
            at += 1
            name = f"n{at % 60}"
            uid = pod(f"q{at}", 500)
            ledger.bind(uid, place(name, (0, 500, 8_000)))
            ledger.put_nodes([node(name, 4, labels={"zone": "c"}, taints=(GPU,))])
            assert ledger.eligibility.now(only(zone="a")) is not None
            ledger.release(uid.uid)
    assert beside.result() == alone
