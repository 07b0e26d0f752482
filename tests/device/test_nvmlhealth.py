"""Cards that answer and yet must get no new pod: XID errors, and what the driver asks for."""

import pynvml
import pytest

from scheduler.device.nvml import NvmlDriver
from tests.device.fake_nvml import FakeCard, FakeNvml, FakeSlice


def faults(driver: NvmlDriver) -> dict[str, str]:
    return {record.uuid: record.fault for record in driver.inventory() if not record.healthy}


def two() -> tuple[FakeNvml, NvmlDriver]:
    fake = FakeNvml([FakeCard("GPU-0"), FakeCard("GPU-1")])
    return fake, NvmlDriver(fake)


def test_an_xid_error_closes_its_card_until_the_driver_is_opened_anew() -> None:
    fake, driver = two()
    assert faults(driver) == {}
    fake.xid(fake.cards[1], 48)
    for _ in range(3):
        assert faults(driver) == {"GPU-1": "XID 48"}
    assert [use.uuid for use in driver.usage()] == ["GPU-0", "GPU-1"]
    driver.close()
    assert faults(NvmlDriver(fake)) == {}


@pytest.mark.parametrize("number", [13, 31, 43, 45, 68, 109])
def test_an_error_of_a_program_is_no_fault_of_the_card(number: int) -> None:
    fake, driver = two()
    driver.inventory()
    fake.xid(fake.cards[0], number)
    assert faults(driver) == {}


def test_of_many_errors_the_first_is_told_and_all_are_read() -> None:
    fake, driver = two()
    driver.inventory()
    for number in (31, 79, 45, 62):
        fake.xid(fake.cards[0], number)
    assert faults(driver) == {"GPU-0": "XID 79"}
    assert fake.events == []


def test_each_card_is_followed_once_and_only_if_it_tells_of_errors() -> None:
    fake = FakeNvml([FakeCard("GPU-0"), FakeCard("GPU-1", tells_xids=False)])
    driver = NvmlDriver(fake)
    driver.inventory()
    driver.inventory()
    assert fake.followed == ["GPU-0"]


def test_an_error_of_a_card_that_is_gone_by_then_harms_nobody() -> None:
    fake, driver = two()
    driver.inventory()
    fake.xid(fake.cards[0], 79)
    fake.cards[0].broken[""] = pynvml.NVMLError_GpuIsLost
    assert faults(driver) == {"GPU-0": "GPU is lost"}


def sliced() -> tuple[FakeNvml, NvmlDriver]:
    card = FakeCard(
        "GPU-0",
        mig=True,
        slices={
            0: FakeSlice("MIG-a", 3, 40_192, instance=1),
            1: FakeSlice("MIG-b", 3, 40_192, instance=2),
        },
    )
    fake = FakeNvml([card])
    return fake, NvmlDriver(fake)


def test_an_error_in_a_slice_closes_only_that_slice() -> None:
    fake, driver = sliced()
    driver.inventory()
    fake.xid(fake.cards[0], 95, instance=2)
    assert faults(driver) == {"MIG-b": "XID 95"}


def test_an_error_of_the_card_closes_all_its_slices() -> None:
    fake, driver = sliced()
    driver.inventory()
    fake.xid(fake.cards[0], 95)
    assert faults(driver) == {"MIG-a": "XID 95", "MIG-b": "XID 95"}


@pytest.mark.parametrize(
    ("action", "fault"),
    [
        (1, "needs a reset"),
        (2, "needs a reboot of the machine"),
        (4, "needs to be drained and reset"),
        (0, ""),
        (5, ""),
        (99, ""),
        (None, ""),
    ],
)
def test_a_card_that_the_driver_wants_repaired_is_closed_until_it_is(
    action: int | None, fault: str
) -> None:
    fake, driver = two()
    fake.cards[0].action = action
    assert faults(driver) == ({"GPU-0": fault} if fault else {})
    fake.cards[0].action = 0
    assert faults(driver) == {}


def test_a_card_without_spare_rows_is_closed() -> None:
    fake, driver = two()
    fake.cards[0].rows_gone = True
    assert faults(driver) == {"GPU-0": "can't replace bad rows of its memory any more"}


@pytest.mark.parametrize(
    "function",
    [
        "nvmlDeviceGetSupportedEventTypes",
        "nvmlDeviceRegisterEvents",
        "nvmlDeviceGetFieldValues",
        "nvmlDeviceGetRemappedRows",
    ],
)
def test_what_a_card_cannot_tell_is_no_fault(function: str) -> None:
    fake, driver = two()
    fake.cards[0].broken[function] = pynvml.NVMLError_NotSupported
    fake.cards[1].broken[function] = pynvml.NVMLError_Unknown
    assert faults(driver) == {}
    assert faults(driver) == {}
