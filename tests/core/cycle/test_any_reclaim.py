"""What holds of every reclaim, whatever runs and waits: whom it spares, and that it is fairer."""

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import TenantName
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.tenants import Tenant
from scheduler.core.model.verdicts import Reason
from tests.core.cycle.stopping import PATIENCE, Stage
from tests.support.builders import node, pod, share, tenant, whole

TREES = st.sampled_from(
    [
        [tenant("a"), tenant("b"), tenant("c")],
        [tenant("a", weight="19/20"), tenant("b", weight="19/20"), tenant("c", weight="1/10")],
        [tenant("a", weight=0), tenant("b", guarantee=2), tenant("c", limit=1, priority=200)],
        [tenant("t", limit=3), tenant("a", "t"), tenant("b", "t", guarantee="1/3"), tenant("c")],
    ]
)
REQUESTS = st.sampled_from([share(250), share(500), whole(), whole(2), whole(3)])


@st.composite
def pods(draw: st.DrawFn, prefix: str, most: int) -> list[Pod]:
    return [
        pod(
            f"{prefix}{number}",
            draw(REQUESTS),
            draw(st.sampled_from("abc")),
            created=float(number),
            priority=draw(st.sampled_from([0, 0, 10])),
            preemptible=draw(st.sampled_from([True, True, False])),
        )
        for number in range(draw(st.integers(1, most)))
    ]


def held_by(stage: Stage, tree: TenantTree) -> dict[str, int]:
    milli = {name: held.milli for name, held in stage.ledger.held.items()}
    return {str(name): amount for name, amount in tree.roll_up(milli, 0).items()}


@settings(max_examples=60, deadline=None)
@given(tenants=TREES, running=pods("r", 6), waiting=pods("w", 6))
def test_it_spares_whom_it_must_and_makes_it_fairer(
    tenants: list[Tenant], running: list[Pod], waiting: list[Pod]
) -> None:
    stage = Stage([node("n", 3), node("m", 2)], tenants)
    for each in running:
        if stage.fits(each):
            stage.run(each)
    stage.waiting, tree = list(waiting), TenantTree(tenants)
    for _ in range(40):
        stage.now += PATIENCE
        before = held_by(stage, tree)
        plan = stage.round()
        for evict in plan.evicts:
            victim, taker = evict.pod, evict.taker
            assert victim.preemptible
            assert taker is not None
            own = victim.tenant == taker.tenant
            assert (evict.verdict.reason is Reason.PREEMPTED) is own
            assert not own or victim.priority < taker.priority
        takers = {each.taker for each in plan.evicts if each.taker is not None}
        if len(takers) == 1:
            _check(plan, before, tree, takers.pop())
    for name, held in held_by(stage, tree).items():
        limit = next(each.limit for each in tenants if each.name == name)
        assert limit is None or held <= limit * MILLI
    assert sum(held_by(stage, tree)[top] for top in map(str, tree.children(None))) <= 5 * MILLI


@settings(max_examples=20, deadline=None)
@given(tenants=TREES, running=pods("r", 6), waiting=pods("w", 6))
def test_it_comes_to_an_end(tenants: list[Tenant], running: list[Pod], waiting: list[Pod]) -> None:
    """Nobody ends by himself, and yet, after a while, nobody is stopped any more."""
    stage = Stage([node("n", 3), node("m", 2)], tenants)
    for each in running:
        if stage.fits(each):
            stage.run(each)
    stage.waiting, count = list(waiting), 0
    # Two hours: longer than anybody's turn.
    for _ in range(120):
        stage.now += PATIENCE
        count = len(stage.evicted)
        stage.round()
    assert len(stage.evicted) == count <= 2 * (len(running) + len(waiting))


@settings(max_examples=60, deadline=None)
@given(
    weights=st.lists(st.integers(0, 9), min_size=3, max_size=3),
    running=st.lists(st.sampled_from("abc"), min_size=5, max_size=5),
    waiting=st.lists(st.sampled_from("abc"), min_size=1, max_size=6),
)
def test_where_somebody_has_a_pod_too_much_who_lacks_one_gets_it_by_the_stated_time(
    weights: list[int], running: list[str], waiting: list[str]
) -> None:
    tenants = [tenant(name, weight=each) for name, each in zip("abc", weights, strict=True)]
    stage = Stage([node("n", 3), node("m", 2)], tenants)
    for number, owner in enumerate(running):
        stage.run(pod(f"r{number}", whole(), owner))
    stage.waiting = [
        pod(f"w{number}", whole(), owner, created=float(number))
        for number, owner in enumerate(waiting)
    ]
    shares = stage.round().shares
    stage.now += PATIENCE
    over = {name for name in "abc" if running.count(name) - 1 >= shares[TenantName(name)]}
    short = {name for name in waiting if running.count(name) + 1 <= shares[TenantName(name)]}
    plan = stage.round()
    if over and short:
        assert {each.taker.tenant for each in plan.evicts if each.taker} & short


@settings(max_examples=60, deadline=None)
@given(ages=st.lists(st.integers(100, 104), min_size=6, max_size=12), takers=st.integers(1, 5))
def test_whose_end_costs_least_is_stopped_wherever_they_are(ages: list[int], takers: int) -> None:
    """Where all pods are of one size the best choice is known: the youngest ones of them all."""
    nodes = [node(f"n{first}", min(2, len(ages) - first)) for first in range(0, len(ages), 2)]
    stage = Stage(nodes, [tenant("a"), tenant("b", created=1.0)])
    for number, age in enumerate(ages):
        stage.run(pod(f"a{number}", whole(), "a"), age=float(age))
    stage.waiting = [pod(f"b{n}", whole(), "b", created=float(n)) for n in range(takers)]
    stage.waiting += [pod(f"a-next{n}", whole(), "a", created=9.0) for n in range(len(ages))]
    stage.round()
    stage.now += PATIENCE
    stage.round()
    cheapest = sorted((age, f"a{number}") for number, age in enumerate(ages))
    due = min(takers, len(ages) // 2)
    assert [each.pod.name for each in stage.evicted] == [name for _, name in cheapest[:due]]


def _check(plan: Plan, held: dict[str, int], tree: TenantTree, taker: Pod) -> None:
    """Hold one reclaim, admissions of its round included, against shares and guarantees."""
    for admit in plan.admits:
        for name in tree.path(admit.pod.tenant):
            held[name] += admit.placement.milli
    after = dict(held)
    for name in tree.path(taker.tenant):
        after[name] += taker.request.total_milli
    for evict in plan.evicts:
        for name in tree.path(evict.pod.tenant):
            after[name] -= evict.pod.request.total_milli
    if any(each.pod.tenant == taker.tenant for each in plan.evicts):
        return
    mine = tree.path(taker.tenant)
    inside = after[taker.tenant] <= tree.tenants[taker.tenant].guarantee * MILLI
    for name in tree.names:
        floor = min(float(tree.tenants[name].guarantee), float(plan.shares[name])) * MILLI
        assert inside or name in mine or after[name] >= min(floor, held[name]) - 1e-6
    # Inside its guarantee, as far as there is so much to share, it needn't be fairer.
    assert inside or unfairness(plan, after) <= unfairness(plan, held) + 1e-6


def unfairness(plan: Plan, held: dict[str, int]) -> float:
    return sum(
        (held[name] / MILLI - float(share)) ** 2 / max(float(share), 1e-3)
        for name, share in plan.shares.items()
    )
