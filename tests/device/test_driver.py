"""From records to devices: whose memory is whose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.model.ids import DeviceUUID
from scheduler.device.driver import (
    DeviceRecord,
    DeviceUsage,
    ProcessUse,
    foreign_mib,
    slice_milli,
    to_devices,
)

UUID = DeviceUUID("GPU-0")


def use(used_mib: int, *processes: tuple[int, int | None]) -> DeviceUsage:
    return DeviceUsage(UUID, used_mib, 0, tuple(ProcessUse(pid, mib) for pid, mib in processes))


@pytest.mark.parametrize(
    ("used", "ours", "foreign"),
    [
        pytest.param(use(0), (), 0, id="nothing in use"),
        pytest.param(use(255), (), 0, id="the driver's own contexts"),
        pytest.param(use(256), (), 256, id="from the tolerance on all of it counts"),
        pytest.param(use(4000, (1, 4000)), (), 4000, id="a stranger's process"),
        pytest.param(use(4000, (1, 4000)), (1,), 0, id="our own process"),
        pytest.param(use(4100, (1, 4000)), (1,), 0, id="ours and a little overhead"),
        pytest.param(use(9000, (1, 4000), (2, 5000)), (1,), 5000, id="ours beside a stranger"),
        pytest.param(use(9000, (1, 4000)), (1,), 5000, id="memory that no process owns to"),
        pytest.param(use(9000, (1, 4000), (2, None)), (1,), 5000, id="a stranger of unknown size"),
        pytest.param(use(9000, (1, None)), (1,), 0, id="ours of unknown size explains the rest"),
        pytest.param(use(9000, (1, None), (2, 900)), (1,), 900, id="unknown ours, known stranger"),
        pytest.param(use(3000, (1, 4000)), (1,), 0, id="measured at different moments"),
    ],
)
def test_foreign_is_what_our_processes_do_not_explain(
    used: DeviceUsage, ours: tuple[int, ...], foreign: int
) -> None:
    assert foreign_mib(used, ours=ours) == foreign


def test_what_the_driver_holds_for_each_of_many_processes_of_ours_is_no_strangers() -> None:
    # As an H200 told it: 518 MiB each, and 6 more for each that no process owns to.
    many = [(pid, 518) for pid in range(1, 61)]
    ours = [pid for pid, _ in many]
    assert foreign_mib(use(60 * (518 + 6), *many), ours=ours) == 0
    assert foreign_mib(use(60 * (518 + 6) + 518, *many), ours=ours) == 60 * 6 + 518
    assert foreign_mib(use(60 * (518 + 6), *many)) == 60 * (518 + 6)


def test_the_tolerance_can_be_chosen() -> None:
    assert foreign_mib(use(100), tolerance_mib=0) == 100
    assert foreign_mib(use(400), tolerance_mib=500) == 0


def test_a_device_carries_load_and_foreign_memory_up_to_its_own() -> None:
    record = DeviceRecord(0, UUID, "T4", 16_000)
    busy = DeviceUsage(UUID, 20_000, 420)
    (device,) = to_devices([record], [busy])
    assert (device.foreign_mib, device.load, device.memory_mib) == (16_000, 420, 16_000)


def test_a_device_without_use_is_idle_and_keeps_its_state() -> None:
    record = DeviceRecord(0, UUID, "T4", 16_000, healthy=False, fault="lost")
    (device,) = to_devices([record], [])
    assert (device.foreign_mib, device.load, device.healthy) == (0, 0, False)


@pytest.mark.parametrize(
    ("slices", "of", "milli"), [(1, 7, 142), (3, 7, 428), (7, 7, 1000), (2, 4, 500), (0, 7, 1)]
)
def test_a_slice_counts_as_its_part_of_the_card(slices: int, of: int, milli: int) -> None:
    assert slice_milli(slices, of) == milli


@given(
    used=st.integers(0, 10**6),
    processes=st.lists(st.tuples(st.integers(1, 9), st.none() | st.integers(0, 10**6))),
    ours=st.sets(st.integers(1, 9)),
)
def test_foreign_memory_is_never_negative_and_falls_as_more_is_ours(
    used: int, processes: list[tuple[int, int | None]], ours: set[int]
) -> None:
    usage = use(used, *processes)
    some = foreign_mib(usage, ours=ours, tolerance_mib=0)
    assert some >= 0
    # What strangers are seen to hold may exceed what was measured a moment earlier.
    seen = sum(held or 0 for _, held in processes)
    assert some <= max(used, seen)
    assert foreign_mib(usage, ours=range(1, 10), tolerance_mib=0) <= max(
        some, foreign_mib(usage, tolerance_mib=0)
    )
