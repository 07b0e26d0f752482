"""The story on anybody's cluster: who is told to create what and when, and what is reported."""

from dataclasses import dataclass, field

import pytest

from scheduler.cli.demoplay import Options, Recording, Tally, play
from scheduler.controller.controller import Controller
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import TenantName
from scheduler.core.model.standing import Standing
from scheduler.simulator import virtualtime
from scheduler.simulator.cluster import Pod
from scheduler.simulator.demoload import LARGE, SMALL, arrivals, tenants
from scheduler.simulator.demoreport import Report
from tests.controller.hands import controller
from tests.support.builders import node, place, pod, tenant
from tests.support.standings import tenant as standing_of

SECONDS = 12.0


@dataclass
class World:
    """Notes who is created; one pod runs all the time, on a device of two."""

    clock: virtualtime.LoopClock
    made: list[tuple[float, Pod]] = field(default_factory=list)

    def __post_init__(self) -> None:
        ledger = Ledger([node("n", 2)])
        self.controller: Controller = controller(
            ledger, (*tenants(), tenant("default")), clock=self.clock
        )
        self.controller.bound(pod("p", 1000, LARGE), place("n", (0, 1000, 8192)))

    def create(self, pod: Pod) -> None:
        self.made.append((self.clock.now() - virtualtime.EPOCH, pod))

    def tally(self) -> Tally:
        return Tally(created=len(self.made), bound=7, errors=3)


@pytest.fixture(scope="module")
def played() -> tuple[World, Report, list[float]]:
    world: list[World] = []
    shown: list[float] = []

    async def work() -> Report:
        clock = virtualtime.LoopClock()
        world.append(World(clock))
        recording = Recording()
        recording.observe_wait(LARGE, 9.0, turn=2.0)
        recording.observe_request("bind", 0.004)
        return await play(
            Options(SECONDS, 1, "127.0.0.1", None),
            world[0],
            clock,
            recorder=recording.recorder,
            show=lambda _standing, passed: shown.append(passed),
        )

    report = virtualtime.run(work())
    return world[0], report, shown


def test_each_pod_is_created_once_and_within_half_a_second_of_its_time(
    played: tuple[World, Report, list[float]],
) -> None:
    world, _, _ = played
    expected = [each for each in arrivals(SECONDS, seed=1) if each.at <= SECONDS - 0.5]
    assert [made for _, made in world.made] == [each.pod for each in expected]
    for (at, _), arrival in zip(world.made, expected, strict=True):
        assert 0 <= at - arrival.at <= 0.5 + 1e-6


def test_it_is_looked_at_twice_a_second(played: tuple[World, Report, list[float]]) -> None:
    _, _, shown = played
    assert shown == pytest.approx([number / 2 for number in range(24)])


def test_the_report_tells_of_the_storys_tenants_and_of_no_other(
    played: tuple[World, Report, list[float]],
) -> None:
    _, report, _ = played
    lines = {each.tenant: each for each in report.tenants}
    assert set(lines) == {LARGE, *SMALL}
    assert (lines[LARGE].started, lines[LARGE].wait_median) == (1, 2.0)
    assert lines[LARGE].got == pytest.approx(SECONDS)


def test_the_report_counts_what_the_world_and_the_recorder_say(
    played: tuple[World, Report, list[float]],
) -> None:
    world, report, _ = played
    assert (report.created, report.bound, report.errors) == (len(world.made), 7, 3)
    assert (report.gpus, report.allocated_mean, report.oversold_gpus) == (2, 1, 0)
    assert report.latencies["bind"].p50 == pytest.approx(4.0)
    assert report.latencies["filter"].calls == 0


def test_what_is_recorded_is_counted_by_the_metrics_too() -> None:
    recording = Recording()
    recording.observe_wait(TenantName("a"), 9.0, turn=2.0)
    recording.observe_request("filter", 0.25)
    assert recording.recorder.waits == {"a": [2.0]}
    assert recording.recorder.requests == {"filter": [0.25]}
    text = recording.exposition(Standing(0.0, tenants=(standing_of("a"),))).decode()
    assert 'equipoise_extender_request_seconds_count{verb="filter"} 1.0' in text
    assert 'equipoise_tenant_wait_seconds_sum{tenant="a"} 9.0' in text
