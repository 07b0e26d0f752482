"""Use: whose memory is whose, what is a movement and what only noise."""

import pytest

from scheduler.agent.pods import Guests
from scheduler.agent.use import Averages, Use, moved, uses
from scheduler.core.model.ids import DeviceUUID, PodUID
from scheduler.device.driver import DeviceUsage, ProcessUse
from scheduler.settings import Agent
from tests.agent.fakes import NODE, pod_json

SETTINGS = Agent()
ZERO = DeviceUUID("GPU-0")


def usage(uuid: str, used_mib: int, *processes: tuple[int, int | None]) -> DeviceUsage:
    listed = tuple(ProcessUse(pid, mib) for pid, mib in processes)
    return DeviceUsage(DeviceUUID(uuid), used_mib, 300, listed)


def foreign(*measured: DeviceUsage, owners: dict[int, str]) -> list[int]:
    guests = Guests(NODE)
    guests.replace([pod_json("p", ("GPU-0", 4096))])
    pods = {pid: PodUID(uid) for pid, uid in owners.items()}
    return [use.foreign_mib for use in uses(measured, owners=pods, guests=guests.by_uid)]


def test_a_process_of_a_pod_is_no_stranger_on_the_device_that_the_pod_was_given() -> None:
    assert foreign(usage("GPU-0", 4000, (1, 4000)), owners={1: "p"}) == [0]


def test_it_is_one_on_every_other_device() -> None:
    both = (usage("GPU-0", 0), usage("GPU-1", 4000, (1, 4000)))
    assert foreign(*both, owners={1: "p"}) == [0, 4000]


def test_processes_of_pods_without_a_share_and_of_none_are_strangers() -> None:
    measured = usage("GPU-0", 9000, (1, 4000), (2, 3000), (3, 2000))
    assert foreign(measured, owners={1: "p", 2: "another"}) == [5000]


def use(load: int | None = 300, *, used: int = 1000, strangers: int = 0) -> Use:
    return Use(ZERO, used, strangers, load)


@pytest.mark.parametrize(
    ("after", "told"),
    [
        pytest.param(use(), False, id="the same"),
        pytest.param(use(349), False, id="less than five points up"),
        pytest.param(use(350), True, id="five points up"),
        pytest.param(use(250), True, id="five points down"),
        pytest.param(use(used=1063), False, id="a little memory"),
        pytest.param(use(used=936), True, id="64 MiB fewer"),
        pytest.param(use(strangers=64), True, id="a stranger"),
        pytest.param(use(None), True, id="no load any more"),
    ],
)
def test_only_what_moves_noticeably_is_news(after: Use, told: bool) -> None:
    assert moved((use(),), (after,), settings=SETTINGS) is told


def test_a_device_that_comes_or_goes_is_news() -> None:
    assert moved((), (use(),), settings=SETTINGS)
    assert moved((use(),), (), settings=SETTINGS)
    assert not moved((), (), settings=SETTINGS)


def test_load_is_the_mean_of_the_last_readings() -> None:
    averages = Averages(3)
    seen = [averages.smooth([use(load)])[0].load_permille for load in (0, 300, 600, 900, 900)]
    assert seen == [0, 150, 300, 600, 800]


def test_a_device_that_was_away_begins_anew_and_a_slice_has_no_load() -> None:
    averages = Averages(3)
    averages.smooth([use(900)])
    averages.smooth([])
    assert averages.smooth([use(100)])[0].load_permille == 100
    assert averages.smooth([use(None)])[0].load_permille is None
