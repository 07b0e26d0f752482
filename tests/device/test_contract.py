"""What every driver promises, asked of the mock, of NVML on a fake library and of real cards."""

import inspect
from collections.abc import Callable, Iterator

import pynvml
import pytest

from scheduler.core.model.errors import DeviceError
from scheduler.device.driver import Driver, to_devices
from scheduler.device.mock import DEMO, load_nodes, parse_nodes
from scheduler.device.models import short_name
from scheduler.device.nvml import NvmlDriver
from tests.device.fake_nvml import FakeCard, FakeNvml, FakeSlice

MIXED = """
name: mixed
cpu: 8
memory: 32Gi
devices:
  - {model: H200, memory: 140Gi, count: 2, load: [{at: 0, utilisation: 0.5, foreign: 3Gi}]}
  - {model: A100-SXM4-80GB, memory: 80Gi, mig: [3g.40gb, {profile: 1g.10gb, count: 2}]}
  - {model: T4, memory: 16Gi, fault: {at: 0, lost: true}}
  - {model: T4, memory: 16Gi, fault: {at: 0, xid: 48}}
"""


def fake() -> FakeNvml:
    return FakeNvml(
        [
            FakeCard("GPU-0", used_mib=3072, gpu_percent=50, compute=[(11, 3000)]),
            FakeCard(
                "GPU-1",
                name="NVIDIA A100-SXM4-80GB",
                total_mib=81920,
                mig=True,
                slices={0: FakeSlice("MIG-0", 3, 40192), 4: FakeSlice("MIG-1", 1, 9728)},
            ),
            FakeCard("GPU-2", broken={"": pynvml.NVMLError_GpuIsLost}),
            FakeCard("GPU-3", broken={"nvmlDeviceGetName": pynvml.NVMLError_GpuIsLost}),
        ]
    )


def real() -> Driver:
    try:
        return NvmlDriver()
    except DeviceError as problem:
        pytest.skip(f"no real cards here: {problem}")


DRIVERS: dict[str, Callable[[], Driver]] = {
    "mock": lambda: parse_nodes(MIXED)[0].driver,
    "demo": lambda: load_nodes(DEMO)[0].driver,
    "nvml on a fake": lambda: NvmlDriver(fake()),
    "nvml on real cards": real,
}


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    opened = DRIVERS[request.param]()
    yield opened
    opened.close()


def test_every_uuid_is_used_once(driver: Driver) -> None:
    uuids = [record.uuid for record in driver.inventory() if record.uuid]
    assert uuids
    assert len(uuids) == len(set(uuids))


def test_a_healthy_device_has_memory_a_size_and_a_short_name(driver: Driver) -> None:
    healthy = [record for record in driver.inventory() if record.healthy]
    assert healthy
    for record in healthy:
        assert record.memory_mib > 0
        assert 1 <= record.milli <= 1000
        assert record.fault == ""
        assert short_name(record.model) == record.model


def test_a_device_that_is_not_healthy_says_why(driver: Driver) -> None:
    for record in driver.inventory():
        assert record.healthy == (not record.fault)


def test_a_slice_names_its_card_which_is_not_listed_itself(driver: Driver) -> None:
    records = driver.inventory()
    listed = {record.uuid for record in records}
    for record in records:
        assert record.mig == (record.parent is not None)
        assert record.parent not in listed
        assert record.mig or record.milli == 1000


def test_slices_of_a_card_together_count_no_more_than_the_card(driver: Driver) -> None:
    records = driver.inventory()
    for parent in {record.parent for record in records if record.parent}:
        assert sum(each.milli for each in records if each.parent == parent) <= 1000


def test_cards_come_in_their_order_and_the_same_twice(driver: Driver) -> None:
    records = driver.inventory()
    assert [record.index for record in records] == sorted(record.index for record in records)
    assert driver.inventory() == records


def test_use_is_told_of_each_healthy_device_and_of_no_unknown_one(driver: Driver) -> None:
    records = {record.uuid: record for record in driver.inventory()}
    usage = {use.uuid: use for use in driver.usage()}
    assert set(usage) <= set(records)
    assert {uuid for uuid, record in records.items() if record.healthy} <= set(usage)
    for uuid, use in usage.items():
        assert 0 <= use.used_mib <= records[uuid].memory_mib
        assert use.utilisation is None or 0 <= use.utilisation <= 1000
        assert not records[uuid].mig or use.utilisation is None
        assert [process.pid for process in use.processes] == sorted(
            {process.pid for process in use.processes}
        )


def test_the_scheduler_gets_devices_within_bounds(driver: Driver) -> None:
    for device in to_devices(driver.inventory(), driver.usage()):
        assert device.uuid
        assert 0 <= device.foreign_mib <= device.memory_mib
        assert 0 <= device.load <= 1000


def test_it_says_what_it_is_in_one_line(driver: Driver) -> None:
    assert driver.about()
    assert "\n" not in driver.about()


def test_the_fake_library_has_the_functions_of_the_real_one() -> None:
    functions = [name for name in vars(FakeNvml) if name.startswith("nvml")]
    assert len(functions) > 15
    for name in functions:
        ours = list(inspect.signature(getattr(FakeNvml, name)).parameters)[1:]
        theirs = list(inspect.signature(getattr(pynvml, name)).parameters)
        assert ours == theirs, name
