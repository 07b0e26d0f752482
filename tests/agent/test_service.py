"""The whole agent in virtual time: what it writes of a quiet node, a busy one and a broken one."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pynvml
import pytest
from prometheus_client.parser import text_string_to_metric_families

from scheduler.agent.inventory import LOST
from scheduler.core.model.errors import DeviceError
from scheduler.device.driver import DeviceRecord, DeviceUsage, Driver
from scheduler.device.mock import MockDriver, device_uuid, parse_nodes
from scheduler.device.nvml import NvmlDriver
from scheduler.kube.client import JSON
from scheduler.kube.errors import TooManyRequests
from scheduler.settings import Agent as Settings
from scheduler.simulator.virtualtime import EPOCH
from tests.agent.fakes import GPUNODE, FakeApi, Stage, played, pod_json, process
from tests.device.fake_nvml import FakeCard, FakeNvml

UID = "3e5c85b6-0760-5922-acad-956d0b429fec"
EVICTING = Settings(evict_seconds=120.0)
HOUR = 3600.0


def mock(devices: str) -> Callable[[], MockDriver]:
    return lambda: parse_nodes(f"name: n1\ncpu: 8\nmemory: 32Gi\ndevices: {devices}\n")[0].driver


QUIET = mock("[{model: T4, memory: 16Gi, count: 2}]")


def for_seconds(seconds: float, *pods: JSON) -> Callable[[Stage], Awaitable[None]]:
    async def wait(stage: Stage) -> None:
        stage.agent.guests.replace(pods)
        await asyncio.sleep(seconds)

    return wait


def devices(status: JSON) -> dict[str, str]:
    return {each["uuid"]: each.get("fault", "") for each in status["devices"]}


def test_a_quiet_node_is_written_once_a_minute(tmp_path: Path) -> None:
    api = played(for_seconds(HOUR), QUIET, proc=tmp_path)
    assert 60 <= len(api.statuses) <= 81
    assert len(api.requests) == len(api.statuses) + 3
    assert len({str(status["devices"]) for _, status in api.statuses}) == 1
    assert len({str(status["conditions"]) for _, status in api.statuses}) == 1
    seen = [status["usedAt"] for _, status in api.statuses]
    assert seen == sorted(set(seen))


def test_what_a_script_says_of_pods_is_in_use_and_not_a_strangers(tmp_path: Path) -> None:
    scripted = mock("[{model: T4, memory: 16Gi, load: [{at: 0, pods: 0.5}]}]")
    pod = pod_json("p", (device_uuid("n1", 0), 8_192), node="n1")
    api = played(for_seconds(60.0, pod), scripted, proc=tmp_path)
    (use,) = api.statuses[-1][1]["use"]
    assert (use["usedMiB"], use["foreignMiB"]) == (4_096, 0)


def test_a_busy_node_is_written_four_times_a_minute_at_most(tmp_path: Path) -> None:
    busy = mock(
        "[{model: T4, memory: 16Gi, repeat: 40,"
        " load: [{at: 0, utilisation: 1}, {at: 20, utilisation: 0.1, foreign: 4Gi}]}]"
    )
    api = played(for_seconds(HOUR), busy, proc=tmp_path)
    times = [at for at, _ in api.statuses]
    assert 150 <= len(times) <= 241
    assert min(b - a for a, b in pairwise(times[1:])) >= 15


def test_two_agents_do_not_write_in_step(tmp_path: Path) -> None:
    api = played(for_seconds(HOUR), QUIET, proc=tmp_path)
    times = [at for at, _ in api.statuses]
    gaps = {round(b - a) for a, b in pairwise(times[1:])}
    assert len(gaps) > 2


def test_use_is_told_only_when_it_is_known_whose_memory_is_whose(tmp_path: Path) -> None:
    foreign = mock("[{model: T4, memory: 16Gi, load: [{at: 0, foreign: 4Gi}]}]")

    async def late(stage: Stage) -> None:
        await asyncio.sleep(30)
        assert [("use" in status) for _, status in stage.api.statuses] == [False]
        stage.agent.guests.replace([])
        await asyncio.sleep(10)

    api = played(late, foreign, proc=tmp_path)
    _, last = api.statuses[-1]
    assert [use["foreignMiB"] for use in last["use"]] == [4096]
    assert len(api.statuses) == 2


def test_a_card_that_is_lost_is_told_at_once_and_its_condition_names_it(tmp_path: Path) -> None:
    losing = mock(
        "[{model: T4, memory: 16Gi}, {model: T4, memory: 16Gi, fault: {at: 100, lost: true}}]"
    )
    api = played(for_seconds(130), losing, proc=tmp_path)
    lost = device_uuid("n1", 1)
    at, status = next((at, s) for at, s in api.statuses if any(devices(s).values()))
    assert 100 <= at <= 105
    assert devices(status) == {device_uuid("n1", 0): "", lost: "the GPU is lost"}
    (condition,) = status["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", "DeviceFault")
    assert condition["message"] == f"{lost}: the GPU is lost"
    assert status["summary"] == {"gpus": 2, "healthy": 1, "model": "T4"}
    first = api.statuses[0][1]["conditions"][0]["lastTransitionTime"]
    assert condition["lastTransitionTime"] > first


def nvml(*cards: FakeCard) -> tuple[FakeNvml, Callable[[], Driver]]:
    fake = FakeNvml(list(cards))
    return fake, lambda: NvmlDriver(fake)


def test_a_card_that_the_driver_lists_no_more_is_told_as_lost(tmp_path: Path) -> None:
    fake, opening = nvml(FakeCard("GPU-0"), FakeCard("GPU-1"))

    async def lose(stage: Stage) -> None:
        stage.agent.guests.replace([])
        await asyncio.sleep(10)
        gone = fake.cards.pop(0)
        await asyncio.sleep(10)
        assert devices(stage.api.statuses[-1][1]) == {"GPU-0": LOST, "GPU-1": ""}
        fake.cards.insert(0, gone)
        await asyncio.sleep(10)

    api = played(lose, opening, proc=tmp_path)
    assert devices(api.statuses[-1][1]) == {"GPU-0": "", "GPU-1": ""}


@pytest.mark.parametrize(
    ("booted_at", "told"),
    [
        (EPOCH, {"GPU-0": "", "GPU-1": LOST}),
        (EPOCH + 60, {"GPU-0": ""}),
        (None, {"GPU-0": ""}),
    ],
    ids=["the machine runs on", "after a reboot", "nobody knows"],
)
def test_an_agent_that_starts_anew_knows_what_was_there(
    booted_at: float | None, told: dict[str, str], tmp_path: Path
) -> None:
    fake, opening = nvml(FakeCard("GPU-0"), FakeCard("GPU-1"))
    api = played(for_seconds(10), opening, proc=tmp_path)
    fake.cards.pop()
    played(for_seconds(10), opening, proc=tmp_path, api=api, booted_at=booted_at)
    assert devices(api.objects[GPUNODE]["status"]) == told


def test_a_condition_that_goes_on_over_a_restart_keeps_its_time(tmp_path: Path) -> None:
    api = played(for_seconds(10), QUIET, proc=tmp_path)
    old = "2020-01-01T00:00:00Z"
    api.objects[GPUNODE]["status"]["conditions"][0]["lastTransitionTime"] = old
    played(for_seconds(10), QUIET, proc=tmp_path, api=api)
    assert api.objects[GPUNODE]["status"]["conditions"][0]["lastTransitionTime"] == old


def test_an_xid_error_closes_its_card(tmp_path: Path) -> None:
    fake, opening = nvml(FakeCard("GPU-0"), FakeCard("GPU-1"))

    async def break_one(stage: Stage) -> None:
        stage.agent.guests.replace([])
        await asyncio.sleep(10)
        fake.xid(fake.cards[1], 79)
        await asyncio.sleep(6)

    api = played(break_one, opening, proc=tmp_path)
    assert devices(api.statuses[-1][1]) == {"GPU-0": "", "GPU-1": "XID 79"}


def test_memory_of_our_pods_is_not_foreign_and_that_of_others_is(tmp_path: Path) -> None:
    process(tmp_path, 11, UID)
    process(tmp_path, 12, "11111111-2222-3333-4444-555555555555")
    card = FakeCard("GPU-0", used_mib=9300, compute=[(11, 4000), (12, 5000)])
    _, opening = nvml(card)
    pod = pod_json(UID, ("GPU-0", 4096))
    api = played(for_seconds(3, pod), opening, proc=tmp_path)
    (use,) = api.statuses[-1][1]["use"]
    assert use == {"uuid": "GPU-0", "usedMiB": 9300, "foreignMiB": 5300, "loadPermille": 0}


def overusing(tmp_path: Path) -> Callable[[], Driver]:
    process(tmp_path, 11, UID)
    return nvml(FakeCard("GPU-0", used_mib=8100, compute=[(11, 8000)]))[1]


def test_a_pod_that_holds_too_much_is_told_of_once_and_never_evicted(tmp_path: Path) -> None:
    pod = pod_json(UID, ("GPU-0", 4096))
    api = played(for_seconds(HOUR, pod), overusing(tmp_path), proc=tmp_path)
    (event,) = api.posted("/events")
    assert (event["reason"], event["type"]) == ("MemoryOveruse", "Warning")
    assert event["regarding"]["uid"] == UID
    assert event["metadata"]["namespace"] == "lab"
    assert not any(character.isdigit() for character in event["note"])
    assert api.posted("/eviction") == []


def test_where_that_was_asked_for_it_is_evicted_after_a_while(tmp_path: Path) -> None:
    refusals = [TooManyRequests(429, "TooManyRequests", "disruption budget")]

    def refuse(_verb: str, path: str) -> None:
        if path.endswith("/eviction") and refusals:
            raise refusals.pop()

    pod = pod_json(UID, ("GPU-0", 4096))

    async def evict(stage: Stage) -> None:
        stage.agent.guests.replace([pod])
        await asyncio.sleep(119)
        assert stage.api.posted("/eviction") == []
        await asyncio.sleep(71)
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        stage.agent.guests.see("MODIFIED", pod)
        await asyncio.sleep(HOUR)

    api = FakeApi(refuse=refuse)
    played(evict, overusing(tmp_path), proc=tmp_path, api=api, settings=EVICTING)
    first, second = api.posted("/eviction")
    assert first == second
    assert first["deleteOptions"] == {"preconditions": {"uid": UID}}
    assert [event["action"] for event in api.posted("/events")] == ["Measure", "Evict"]


class Moody:
    """A driver that answers only while it is told to."""

    def __init__(self) -> None:
        self.silent = False
        self._driver = QUIET()

    def about(self) -> str:
        return self._driver.about()

    def inventory(self, at: float = 0.0) -> tuple[DeviceRecord, ...]:
        if self.silent:
            raise DeviceError("the NVIDIA driver doesn't answer: Unknown Error")
        return self._driver.inventory(at)

    def usage(self, at: float = 0.0) -> tuple[DeviceUsage, ...]:
        return self._driver.usage(at)

    def close(self) -> None:
        self._driver.close()


def test_a_driver_that_is_silent_for_long_leaves_no_device_open(tmp_path: Path) -> None:
    driver = Moody()

    async def fall_silent(stage: Stage) -> None:
        stage.agent.guests.replace([])
        await asyncio.sleep(10)
        driver.silent = True
        await asyncio.sleep(50)
        assert stage.agent.silence() == ""
        assert all(not any(devices(status).values()) for _, status in stage.api.statuses)
        await asyncio.sleep(20)
        problem = "the NVIDIA driver doesn't answer: Unknown Error"
        assert stage.agent.silence() == problem
        last = stage.api.statuses[-1][1]
        assert set(devices(last).values()) == {problem}
        assert last["conditions"][0]["reason"] == "DriverSilent"
        assert last["summary"]["healthy"] == 0
        told = len(stage.api.statuses)
        await asyncio.sleep(HOUR)
        assert len(stage.api.statuses) == told
        driver.silent = False
        await asyncio.sleep(10)
        assert stage.agent.silence() == ""

    api = played(fall_silent, lambda: driver, proc=tmp_path)
    assert not any(devices(api.statuses[-1][1]).values())


def test_without_a_driver_the_node_says_so_and_goes_on_asking(tmp_path: Path) -> None:
    drivers: list[Driver] = []

    def opening() -> Driver:
        if not drivers:
            raise DeviceError("no NVIDIA driver here: its kernel module is not loaded")
        return drivers[0]

    async def install(stage: Stage) -> None:
        stage.agent.guests.replace([])
        await asyncio.sleep(100)
        (condition,) = stage.api.statuses[-1][1]["conditions"]
        assert condition["message"] == "no NVIDIA driver here: its kernel module is not loaded"
        drivers.append(QUIET())
        await asyncio.sleep(10)

    api = played(install, opening, proc=tmp_path)
    assert api.statuses[-1][1]["summary"]["healthy"] == 2


def samples(stage: Stage) -> dict[tuple[str, ...], float]:
    """Values of our metrics by name, less our prefix, and label values but the node's."""
    return {
        (
            sample.name.removeprefix("equipoise_agent_"),
            *(value for label, value in sorted(sample.labels.items()) if label != "node"),
        ): sample.value
        for family in text_string_to_metric_families(stage.agent.exposition().decode())
        for sample in family.samples
        if sample.name.startswith("equipoise_agent_")
    }


def test_metrics_tell_devices_pods_and_writes(tmp_path: Path) -> None:
    pod = pod_json(UID, ("GPU-0", 4096))
    process(tmp_path, 11, UID)
    card = FakeCard("GPU-0", used_mib=8100, gpu_percent=40, compute=[(11, 8000)])
    lost = FakeCard("GPU-1", broken={"nvmlDeviceGetName": pynvml.NVMLError_GpuIsLost})

    async def scrape(stage: Stage) -> None:
        assert samples(stage) == {
            ("driver_read_timestamp_seconds",): 0.0,
            ("writes_total", "written"): 0.0,
            ("writes_total", "failed"): 0.0,
            ("overuses_total", "tell"): 0.0,
            ("overuses_total", "evict"): 0.0,
        }
        stage.agent.guests.replace([pod])
        await asyncio.sleep(62)
        first, second, owner = ("0", "H200", "GPU-0"), ("1", "unknown", "GPU-1"), ("lab", UID)
        assert samples(stage) == {
            ("gpu_healthy", *first): 1,
            ("gpu_healthy", *second): 0,
            ("gpu_utilization_ratio", *first): 0.4,
            ("gpu_memory_bytes", *first): 143_171 * 2**20,
            ("gpu_memory_bytes", *second): 0,
            ("gpu_memory_used_bytes", *first): 8100 * 2**20,
            ("gpu_memory_foreign_bytes", *first): 0,
            ("pod_memory_promised_bytes", *owner, "GPU-0"): 4096 * 2**20,
            ("pod_memory_used_bytes", *owner, "GPU-0"): 8000 * 2**20,
            ("driver_read_timestamp_seconds",): EPOCH + 60,
            ("writes_total", "written"): 2,
            ("writes_total", "failed"): 0,
            ("overuses_total", "tell"): 1,
            ("overuses_total", "evict"): 0,
        }

    played(scrape, nvml(card, lost)[1], proc=tmp_path)
