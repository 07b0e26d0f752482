"""What holds of every round, whatever the cluster, the tenants and the pods."""

import gc
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.nodes import Node
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.tenants import Tenant
from scheduler.core.model.verdicts import Reason
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.packer import Packer
from scheduler.core.packing.policies import POLICIES
from tests.core.cycle.rounds import backlog, carry_out, plan_of
from tests.support import builders
from tests.support.builders import by_memory, node, pod, share, tenant, whole

A, B = tenant("a"), tenant("b")
TREES = st.sampled_from(
    [
        [tenant("a"), tenant("b"), tenant("c")],
        [tenant("a", weight=0), tenant("b", guarantee=2), tenant("c", limit=1, priority=200)],
        [tenant("t", limit=3), tenant("a", "t"), tenant("b", "t", guarantee="1/3"), tenant("c")],
        [tenant("a"), tenant("x", "b"), tenant("b")],
    ]
)
LAGS = st.dictionaries(st.sampled_from("abc"), st.floats(-1e4, 1e4), max_size=3)


@st.composite
def crowds(draw: st.DrawFn) -> list[Pod]:
    names = draw(st.lists(st.integers(0, 30), max_size=25, unique=True))
    return [draw(builders.pods(st.just(f"p{name}"))) for name in names]


@settings(max_examples=60, deadline=None)
@given(
    cluster=builders.clusters(),
    tenants=TREES,
    crowd=crowds(),
    lags=LAGS,
    policy=st.sampled_from(list(POLICIES)),
    data=st.data(),
)
def test_the_order_of_the_pending_plays_no_part_and_nothing_is_oversold(
    cluster: list[Node],
    tenants: list[Tenant],
    crowd: list[Pod],
    lags: dict[str, float],
    policy: str,
    data: st.DataObject,
) -> None:
    profile = Profile(policy, Mix.of([share(500), whole(1), by_memory(4_000)]))
    plan = plan_of(cluster, tenants, crowd, profile=profile, lags=lags)
    shuffled = data.draw(st.permutations(crowd))
    assert plan_of(cluster, tenants, shuffled, profile=profile, lags=lags) == plan
    decided = [*(a.pod.uid for a in plan.admits), *(h.pod.uid for h in plan.holds)]
    assert sorted(decided) == sorted(each.uid for each in crowd)
    # The ledger refuses whatever would put a device above its capacity.
    carry_out(Ledger(cluster), plan)


@settings(max_examples=60, deadline=None)
@given(cluster=builders.clusters(), crowd=crowds(), lags=LAGS)
def test_nothing_that_fits_is_left_free_while_a_tenant_wants_it(
    cluster: list[Node], crowd: list[Pod], lags: dict[str, float]
) -> None:
    tenants = [tenant("a"), tenant("b", weight=3), tenant("c", weight="1/7")]
    # Members of gangs may wait for each other beside enough room for one.
    crowd = [replace(each, gang=None) for each in crowd if each.preemptible]
    ledger = Ledger(cluster)
    plan = plan_of(ledger, tenants, crowd, lags=lags, profile=Profile(lookahead=50))
    carry_out(ledger, plan)
    packer = Packer(ledger.columns, "best-fit")
    for hold in plan.holds:
        assert not packer.fits(hold.pod.request)
        assert hold.verdict.reason in (Reason.NEVER_FITS, Reason.NO_ROOM, Reason.WAITS_FOR_TURN)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.sampled_from([100, 200, 250, 500, 1000]), min_size=2, max_size=6),
    weights=st.lists(st.integers(1, 1000), min_size=6, max_size=6),
    more=st.integers(0, 4),
)
def test_with_a_card_for_each_tenant_everybody_starts_something_whatever_the_weights(
    sizes: list[int], weights: list[int], more: int
) -> None:
    names = "abcdef"[: len(sizes)]
    tenants = [tenant(name, weight=weights[at]) for at, name in enumerate(names)]
    pending = [p for name, size in zip(names, sizes, strict=True) for p in backlog(name, 90, size)]
    plan = plan_of([node("n1", len(names) + more)], tenants, pending)
    assert {admit.pod.tenant for admit in plan.admits} == set(names)
    assert all(plan.shares[each.name] > 0 for each in tenants)


def test_ten_thousand_pods_on_five_hundred_nodes_are_decided_in_one_round() -> None:
    nodes = [node(f"n{number}", 8) for number in range(500)]
    asks: list[Request] = [share(100), share(250), share(500), whole(1), whole(4), by_memory(4_000)]
    pending = [pod(f"p{n}", asks[n % 6], "ab"[n % 2], created=float(n)) for n in range(10_000)]
    ledger = Ledger(nodes)
    plan = plan_of(ledger, [A, B], pending, profile=Profile(mix=Mix.of(asks)))
    assert len(plan.admits) + len(plan.holds) == 10_000
    carry_out(ledger, plan)
    held = sorted(held.milli for held in ledger.held.values())
    # Work is conserved to the last whole card, and the two are equal but for a request.
    assert sum(held) > 0.99 * 4_000_000
    assert held[1] - held[0] <= 4_000


def test_a_round_leaves_nothing_for_the_collector() -> None:
    """`serve` lets it come by rarely, and a round has copies of the whole cluster."""
    ledger, tenants = Ledger([node("n", 2)]), [tenant("a"), tenant("b", created=1.0)]
    waiting = [pod(f"{name}{n}", whole(), name) for name in "ab" for n in range(3)]
    profile = Profile("fgd", reclaim_after=0.0, min_runtime=0.0, reserve_after=0.0)
    run_cycle(ledger.snapshot(tenants=tenants), waiting, 0.0, profile)
    gc.collect()
    gc.disable()
    try:
        run_cycle(ledger.snapshot(tenants=tenants), waiting, 0.0, profile)
        assert gc.collect() == 0
    finally:
        gc.enable()
