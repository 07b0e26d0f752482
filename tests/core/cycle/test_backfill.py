"""Jobs with an end use what is kept for others, and delay nobody."""

from dataclasses import replace

import pytest

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Memory, Reservation, Running
from tests.core.cycle.rounds import admitted
from tests.support.builders import node, place, pod, share, tenant, whole

END = 1000.0
PROFILE = Profile(policy="gpu-packing", reserve_after=600.0)
TENANTS = [tenant("a"), tenant("b", created=1.0), tenant("c", created=2.0)]
LARGE = pod("large", whole(2), "a")
KEPT = Reservation(PodUID("large"), NodeName("n"), (0, 1), 0.0)


def plan(
    *pods: Pod, at: float, other: float | None = END, memory: Memory | None = None
) -> tuple[Plan, Ledger]:
    """One card is free and kept for the large one; on the other a job runs that ends by `other`."""
    ledger = Ledger([node("n", 2)])
    runs = pod("runs", whole(), "b", max_runtime=other)
    ledger.bind(runs, place("n", (1, 1000, 16_000)))
    running = (Running(runs, ledger.holdings[runs.uid].placement, 0.0),)
    snapshot = replace(
        ledger.snapshot(tenants=TENANTS),
        running=running,
        memory=memory or Memory({PodUID("large"): 0.0}, (KEPT,)),
    )
    return run_cycle(snapshot, [LARGE, *pods], at, PROFILE), ledger


def job(seconds: float | None, name: str = "job", milli: int = 1000) -> Pod:
    return pod(name, share(milli), "c", max_runtime=seconds)


@pytest.mark.parametrize(
    ("seconds", "at", "starts"),
    [(600.0, 400.0, True), (600.0, 401.0, False), (None, 0.0, False)],
    ids=["in time", "too late", "no end"],
)
def test_a_job_borrows_a_card_if_it_ends_in_time(
    *, seconds: float | None, at: float, starts: bool
) -> None:
    decided, _ = plan(job(seconds), at=at)
    assert admitted(decided) == (["job"] if starts else [])
    assert [each.uid for each in decided.memory.reservations] == ["large"]


def test_not_where_something_has_no_end() -> None:
    decided, _ = plan(job(10.0), at=100.0, other=None)
    assert admitted(decided) == []


def test_as_many_as_fit_and_no_more() -> None:
    halves = [job(100.0, f"job-{number}", 500) for number in range(4)]
    decided, ledger = plan(*halves, at=100.0)
    assert admitted(decided) == ["job-0", "job-1"]
    for admit in decided.admits:
        ledger.bind(admit.pod, admit.placement)
    assert ledger.columns.free.min() == 0


def test_a_tenants_time_counts_as_well() -> None:
    ledger = Ledger([node("n", 2)])
    runs = pod("runs", whole(), "b")
    ledger.bind(runs, place("n", (1, 1000, 16_000)))
    limited = [replace(each, max_runtime=END) for each in TENANTS]
    snapshot = replace(
        ledger.snapshot(tenants=limited),
        running=(Running(runs, ledger.holdings[runs.uid].placement, 0.0),),
        memory=Memory({PodUID("large"): 0.0}, (KEPT,)),
    )
    early = run_cycle(snapshot, [LARGE, job(None)], 0.0, PROFILE)
    assert admitted(early) == ["job"]
    late = run_cycle(snapshot, [LARGE, job(None)], 1.0, PROFILE)
    assert admitted(late) == []


@pytest.mark.parametrize(("other", "moves"), [(500, False), (0, True)], ids=["less", "free"])
def test_what_somebody_with_an_end_is_on_is_left_for_a_free_card_only(
    *, other: int, moves: bool
) -> None:
    ledger = Ledger([node("n", 3)])
    pods = [pod("runs-0", whole(), "b", max_runtime=END), pod("runs-1", whole(), "b")]
    running = []
    for index, each in enumerate(pods):
        ledger.bind(each, place("n", (index, 1000, 16_000)))
        running.append(Running(each, ledger.holdings[each.uid].placement, 0.0))
    if other:
        ledger.bind(pod("half", share(other), "b"), place("n", (2, other, 8_000)))
    snapshot = replace(
        ledger.snapshot(tenants=TENANTS),
        running=tuple(running),
        memory=Memory({PodUID("large"): 0.0}, (KEPT,)),
    )
    (kept,) = run_cycle(snapshot, [LARGE], 100.0, PROFILE).memory.reservations
    assert kept.devices == ((0, 2) if moves else (0, 1))


def test_of_cards_with_ends_the_one_that_ends_last_is_left() -> None:
    ledger = Ledger([node("n", 3)])
    running = []
    for number, (index, milli, most) in enumerate([(0, 500, 36_000.0), (1, 1000, 300.0)]):
        each = pod(f"runs-{number}", share(milli), "b", max_runtime=most)
        ledger.bind(each, place("n", (index, milli, 16 * milli)))
        running.append(Running(each, ledger.holdings[each.uid].placement, 0.0))
    snapshot = replace(
        ledger.snapshot(tenants=TENANTS),
        running=tuple(running),
        memory=Memory({PodUID("large"): 0.0}, (KEPT,)),
    )
    (kept,) = run_cycle(snapshot, [LARGE], 100.0, PROFILE).memory.reservations
    assert kept.devices == (1, 2)


def test_somebody_who_is_on_its_way_there_may_have_an_end_as_well() -> None:
    ledger = Ledger([node("n", 3)])
    ledger.reserve(pod("lent", whole(), "c", max_runtime=END), place("n", (1, 1000, 16_000)))
    half = pod("half", share(500), "b")
    ledger.bind(half, place("n", (2, 500, 8_000)))
    snapshot = replace(
        ledger.snapshot(tenants=TENANTS),
        running=(Running(half, ledger.holdings[half.uid].placement, 0.0),),
        memory=Memory({PodUID("large"): 0.0}, (KEPT,)),
    )
    (kept,) = run_cycle(snapshot, [LARGE], 100.0, PROFILE).memory.reservations
    assert kept.devices == (0, 1)
