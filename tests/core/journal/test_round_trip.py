"""Whatever a round saw and decided comes back from its line, and gives the same plan again."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.cycle.profile import Profile
from scheduler.core.journal.comparing import replay
from scheduler.core.journal.inputs import Inputs
from scheduler.core.journal.reading import Entry, Reader, parse
from scheduler.core.journal.writing import Recorder
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.nodes import Node
from scheduler.core.model.plans import Plan
from scheduler.core.model.tenants import Tenant
from scheduler.core.packing.policies import POLICIES
from tests.core.journal.worlds import PATIENCE, World
from tests.support import builders
from tests.support.builders import device, node, place, pod, share, tenant, whole

TREES = st.sampled_from(
    [
        [tenant("a"), tenant("b", created=3.5), tenant("c")],
        [tenant("a", weight=0), tenant("b", guarantee=2), tenant("c", limit=1, priority=200)],
        [tenant("t", limit=3), tenant("a", "t"), tenant("b", "t", guarantee="1/3"), tenant("c")],
    ]
)
PLAIN = [node("n0", 2), node("n1", 1)]
RARE = ("end", "ill", "node", "no node", "close", "open", "tenants", "ending", "mix", "odd claim")
STEPS = st.sampled_from([*["arrive"] * 8, *["round"] * 12, *RARE])


def write_and_read(rounds: Sequence[tuple[Inputs, Plan]]) -> list[Entry]:
    recorder, reader = Recorder(), Reader()
    return [reader.read(parse(recorder.line(inputs, plan))) for inputs, plan in rounds]


def assert_same(read: Inputs, saw: Inputs) -> None:
    one, other = read.snapshot, saw.snapshot
    assert one.columns.same_as(other.columns)
    assert one.columns.remains == other.columns.remains
    assert one.columns.uuids == other.columns.uuids
    assert (one.tenants, one.lags, one.memory) == (other.tenants, other.lags, other.memory)
    assert one.spent == other.spent
    assert one.held == other.held
    assert sorted(each.pod.uid for each in one.running) == sorted(
        each.pod.uid for each in other.running
    )
    assert all(each in other.running for each in one.running)
    assert (read.nodes, read.closed, read.holdings) == (saw.nodes, saw.closed, saw.holdings)
    assert (read.pending, read.now) == (saw.pending, saw.now)
    for mixed in ("weights", "bids"):
        assert getattr(read.profile.mix, mixed) == getattr(saw.profile.mix, mixed)
    assert read.by(replace(read.profile, mix=saw.profile.mix)).profile == saw.profile


@settings(max_examples=40, deadline=None)
@given(
    cluster=st.one_of(builders.labelled_clusters(), st.just(PLAIN)),
    tenants=TREES,
    policy=st.sampled_from(list(POLICIES)),
    steps=st.lists(st.tuples(STEPS, st.integers(0, 999)), min_size=5, max_size=40),
    data=st.data(),
)
def test_every_round_of_any_history_comes_back_and_is_decided_alike(
    cluster: list[Node],
    tenants: list[Tenant],
    policy: str,
    steps: list[tuple[str, int]],
    data: st.DataObject,
) -> None:
    profile = Profile(
        policy,
        reclaim_after=PATIENCE,
        reserve_after=PATIENCE,
        backlog=4,
        topology=("zone", "size"),
    )
    world = World(cluster, tenants, profile)
    for step, number in [("arrive", 3), *steps, ("round", 0)]:
        world.step(step, number, data.draw)
    # The last one is told in two ways: as what changed, and whole, as after a rotation.
    rounds = [*world.rounds, world.rounds[-1]]
    entries = [*write_and_read(world.rounds), *write_and_read(world.rounds[-1:])]
    for entry, (inputs, plan) in zip(entries, rounds, strict=True):
        assert_same(entry.inputs, inputs)
        assert entry.plan == plan
        assert replay(entry.inputs) == plan


def test_what_was_never_looked_at_isn_t_in_a_picture_of_the_whole_either() -> None:
    """A stranger's memory on a node that was closed when it came: no sentence speaks of memory."""
    world = World([node("n1", 1, closed="x"), node("n2", 1)], [tenant("a")], Profile("best-fit"))
    world.ledger.put_nodes([node("n1", [device("n1/0", foreign_mib=4_000)], closed="x")])
    world.waiting[PodUID("p")] = pod("p", whole(1))
    world.ledger.bind(pod("q", whole(1)), place("n2", (0, 1000, 16_000)))
    plan = world.round()
    (entry,) = write_and_read(world.rounds)
    assert_same(entry.inputs, world.rounds[0][0])
    assert replay(entry.inputs) == plan
    assert "memory" not in plan.holds[0].verdict.detail


def test_a_journal_says_nothing_of_budgets_and_users_where_there_are_none() -> None:
    """So it reads as one that was written before there were any."""
    recorder, snapshot = Recorder(), Ledger([node("n", 1)]).snapshot(tenants=[tenant("a")])
    waits = {PodUID("p"): pod("p", tenant="a")}
    inputs = Inputs(snapshot, waits, 1.0, Profile(), {}, {}, {})
    line = recorder.line(inputs, Plan())
    assert not any(word in line for word in ("spent", "budget", "user"))


def test_moves_by_an_order_and_how_many_there_were_come_back_too() -> None:
    ordered = replace(tenant("a"), defrag_until=1e6, defrag_moves=2)
    world = World([node("n0", 1), node("n1", 1)], [ordered], Profile("best-fit"))
    for name in ("n0", "n1"):
        half = pod(f"half-{name}", share(500), owner="owner")
        world.ledger.bind(half, place(name, (0, 500, 8_000)))
        world.since[half.uid] = 0.0
    world.waiting[PodUID("large")] = pod("large", whole(1))
    for _ in range(3):
        world.round()
        world.now += 1.0
    assert any(plan.evicts for _, plan in world.rounds)
    assert world.memory.ordered[TenantName("a")].moves == 1
    for entry, (inputs, plan) in zip(write_and_read(world.rounds), world.rounds, strict=True):
        assert_same(entry.inputs, inputs)
        assert entry.plan == replay(entry.inputs) == plan
