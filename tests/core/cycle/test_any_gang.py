"""What holds of gangs, whatever they are: none starts in part, none waits for another for ever."""

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.model.gangs import Gang
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason
from tests.core.cycle.stopping import PATIENCE, PROFILE, Stage
from tests.support.builders import node, pod, share, tenant, whole

NODES = [node("n", 3), node("m", 2), node("o", 1)]
TENANTS = [tenant("a"), tenant("b", guarantee=2, created=1.0), tenant("c", created=2.0)]
REQUESTS = st.sampled_from([share(500), whole(), whole(2)])


@st.composite
def gangs(draw: st.DrawFn) -> list[Pod]:
    """Some gangs, elastic ones and incomplete ones among them, and single pods."""
    pods: list[Pod] = []
    for number in range(draw(st.integers(1, 5))):
        size, owner = draw(st.integers(1, 4)), draw(st.sampled_from("abc"))
        count = max(1, size + draw(st.integers(-1, 2)))
        gang, request = Gang(f"lab/g{number}", size), draw(REQUESTS)
        priority = draw(st.sampled_from([0, 0, 10]))
        for member in range(count):
            one = pod(f"g{number}-{member}", request, owner, created=float(number))
            pods.append(replace(one, gang=gang, priority=priority))
    for number in range(draw(st.integers(0, 4))):
        owner = draw(st.sampled_from("abc"))
        pods.append(pod(f"p{number}", draw(REQUESTS), owner, created=draw(st.floats(0, 9))))
    return pods


def members(stage: Stage) -> Counter[str]:
    """How many of each gang have a place."""
    holdings = stage.ledger.holdings.values()
    return Counter(each.pod.gang.name for each in holdings if each.pod.gang is not None)


def check(stage: Stage, pods: list[Pod]) -> None:
    sizes = {each.gang.name: each.gang.size for each in pods if each.gang is not None}
    for name, count in members(stage).items():
        assert count >= sizes[name], f"{name} runs with {count} of {sizes[name]}"


@settings(max_examples=150, deadline=None)
@given(pods=gangs())
def test_none_ever_runs_with_fewer_than_its_size(pods: list[Pod]) -> None:
    profile = replace(PROFILE, reserve_after=2 * PATIENCE, consolidate_after=PATIENCE)
    stage = Stage(NODES, TENANTS, profile)
    stage.waiting = [replace(each, owner=f"owner-{each.name}") for each in pods]
    for _ in range(12):
        stage.round()
        check(stage, pods)
        stage.now += PATIENCE


@settings(max_examples=100, deadline=None)
@given(pods=gangs(), ends=st.randoms(use_true_random=False))
def test_two_never_wait_for_each_other_for_ever(pods: list[Pod], ends: object) -> None:
    """As pods end one after another, all that could run on the empty cluster have their time."""
    stage = Stage(NODES, TENANTS, replace(PROFILE, reclaim_after=None, reserve_after=PATIENCE))
    stage.waiting = list(pods)
    ran = set[str]()
    for _ in range(200):
        stage.round()
        ran |= stage.running
        stage.now += PATIENCE
        done = list(stage.ledger.holdings.values())
        if not done:
            break
        first = min(done, key=lambda each: (stage.since[each.pod.uid], each.pod.uid)).pod
        # A gang's members end together.
        for each in done:
            if each.pod is first or (first.gang is not None and each.pod.gang == first.gang):
                stage.ledger.release(each.pod.uid)
    plan = stage.round()
    left = {hold.verdict.reason for hold in plan.holds}
    assert left <= {Reason.GANG_INCOMPLETE, Reason.NEVER_FITS}
    assert ran | {str(hold.pod.uid) for hold in plan.holds} == {str(each.uid) for each in pods}


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 3), more=st.integers(0, 3), takers=st.integers(1, 6))
def test_an_elastic_one_shrinks_to_its_size_and_no_further_while_that_is_enough(
    size: int, more: int, takers: int
) -> None:
    tenants = [tenant("a"), tenant("b", guarantee=6, created=1.0)]
    stage = Stage([node("n", size + more)], tenants)
    for number in range(size + more):
        stage.run(replace(pod(f"g-{number}", whole()), gang=Gang("lab/g", size)))
    stage.waiting = [pod(f"b{n}", whole(), "b", created=float(n)) for n in range(takers)]
    for _ in range(takers + 2):
        stage.round()
        stage.now += PATIENCE
        left = members(stage)["lab/g"]
        assert left in (0, *range(size, size + more + 1))
    assert members(stage)["lab/g"] == (size + more - takers if takers <= more else 0)
