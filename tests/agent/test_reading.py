"""One look at a machine: a driver that opens late, answers late, or never."""

import asyncio
import threading
from pathlib import Path

import pytest

from scheduler.agent.reading import Patience, Reader
from scheduler.clock import SystemClock
from scheduler.core.model.errors import DeviceError
from scheduler.device.driver import Driver
from scheduler.device.mock import parse_nodes
from scheduler.device.nvml import NvmlDriver
from tests.agent.fakes import process
from tests.device.fake_nvml import FakeCard, FakeNvml
from tests.support.extenders import ManualClock

SCRIPT = """
name: n1
cpu: 8
memory: 32Gi
devices: [{model: T4, memory: 16Gi, fault: {at: 5, lost: true}}]
"""
UID = "3e5c85b6-0760-5922-acad-956d0b429fec"


def test_devices_use_and_owners_are_read_together(tmp_path: Path) -> None:
    process(tmp_path, 11, UID)
    fake = FakeNvml([FakeCard("GPU-0", used_mib=3000, compute=[(11, 2000), (12, 900)])])
    reading = Reader(lambda: NvmlDriver(fake), proc=tmp_path, clock=SystemClock()).read()
    assert [record.uuid for record in reading.records] == ["GPU-0"]
    assert reading.usage[0].used_mib == 3000
    assert reading.owners == {11: UID}
    assert reading.about.startswith("nvml, driver")


def test_a_script_begins_when_the_driver_is_opened(tmp_path: Path) -> None:
    clock = ManualClock(1000.0)
    reader = Reader(lambda: parse_nodes(SCRIPT)[0].driver, proc=tmp_path, clock=clock)
    assert reader.read().records[0].healthy
    clock.time += 4.9
    assert reader.read().records[0].healthy
    clock.time += 0.1
    assert not reader.read().records[0].healthy


def test_a_driver_that_is_not_there_yet_is_opened_later(tmp_path: Path) -> None:
    tries: list[int] = []

    def opening() -> Driver:
        tries.append(1)
        if len(tries) < 3:
            raise DeviceError("no NVIDIA driver here")
        return parse_nodes(SCRIPT)[0].driver

    reader = Reader(opening, proc=tmp_path, clock=SystemClock())
    for _ in range(2):
        with pytest.raises(DeviceError, match="no NVIDIA driver here"):
            reader.read()
    assert reader.read().about == "mock"
    reader.read()
    assert len(tries) == 3


async def test_what_blocks_runs_beside_the_event_loop_and_its_answer_comes_back() -> None:
    main = threading.get_ident()
    assert await Patience(10.0).run(threading.get_ident) != main


async def test_what_it_raises_comes_back_too() -> None:
    def fail() -> None:
        raise DeviceError("broken")

    patience = Patience(10.0)
    for _ in range(2):
        with pytest.raises(DeviceError, match="broken"):
            await patience.run(fail)


async def test_a_driver_that_hangs_is_given_up_and_not_asked_again_meanwhile() -> None:
    patience, freed, asked = Patience(0.05), threading.Event(), []

    def hang() -> None:
        asked.append(1)
        freed.wait()

    with pytest.raises(DeviceError, match="doesn't answer"):
        await patience.run(hang)
    with pytest.raises(DeviceError, match="doesn't answer"):
        await patience.run(hang)
    assert len(asked) == 1
    freed.set()
    answered = asyncio.Event()
    while not answered.is_set():
        try:
            assert await patience.run(lambda: 7) == 7
            answered.set()
        except DeviceError:
            # The thread that was let go has not ended yet.
            await asyncio.sleep(0)


async def test_whoever_stops_waiting_leaves_the_driver_to_its_call() -> None:
    patience, freed = Patience(10.0), threading.Event()
    task = asyncio.create_task(patience.run(freed.wait))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(DeviceError, match="doesn't answer"):
        await patience.run(lambda: 7)
    freed.set()
