"""The status of a GPUNode: what the schema takes, in words that stay."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from scheduler.agent.picture import Health, Picture, judged, published
from scheduler.agent.use import Use
from scheduler.core.model.ids import DeviceUUID
from scheduler.device.driver import DeviceRecord
from scheduler.kube import convert

CRD = Path(__file__).parents[2] / "deploy/base/crds/gpunodes.yaml"
WELL = Health(True, "AllHealthy", "every device answers", since=1_800_000_000.0)
CARD = DeviceRecord(0, DeviceUUID("GPU-0"), "H200", 143_171, pci="00000000:18:00.0", numa=1)
SLICE = DeviceRecord(
    1, DeviceUUID("MIG-1"), "H200-1g.18gb", 16_384, 142, mig=True, parent=DeviceUUID("GPU-1")
)
BROKEN = replace(CARD, index=2, uuid=DeviceUUID("GPU-2"), healthy=False, fault="XID 79")


def picture(*devices: DeviceRecord, **changes: Any) -> Picture:
    base = Picture("nvml, driver 570.1", ("mps",), devices, WELL, (), 1_800_000_001.5)
    return replace(base, **changes)


def test_devices_use_and_condition_are_told() -> None:
    use = (Use(CARD.uuid, 5000, 300, 420), Use(SLICE.uuid, 10))
    status = picture(CARD, SLICE, use=use).status()
    assert status["devices"][0] == {
        "index": 0,
        "uuid": "GPU-0",
        "model": "H200",
        "memoryMiB": 143_171,
        "milli": 1000,
        "mig": False,
        "healthy": True,
        "pci": "00000000:18:00.0",
        "numa": 1,
    }
    assert status["devices"][1]["parent"] == "GPU-1"
    linked = picture(replace(CARD, link=3)).status()["devices"][0]
    assert linked == {**status["devices"][0], "link": 3}
    assert status["use"] == [
        {"uuid": "GPU-0", "usedMiB": 5000, "foreignMiB": 300, "loadPermille": 420},
        {"uuid": "MIG-1", "usedMiB": 10, "foreignMiB": 0},
    ]
    assert status["usedAt"] == "2027-01-15T08:00:01Z"
    assert status["conditions"] == [
        {
            "type": "Healthy",
            "status": "True",
            "reason": "AllHealthy",
            "message": "every device answers",
            "lastTransitionTime": "2027-01-15T08:00:00Z",
        }
    ]
    assert status["serves"] == ["mps"]


def test_use_that_nobody_knows_is_left_out() -> None:
    status = picture(CARD, used_at=None).status()
    assert "use" not in status
    assert "usedAt" not in status


@pytest.mark.parametrize(
    ("devices", "summary"),
    [
        ((), {"gpus": 0, "healthy": 0, "model": ""}),
        ((CARD, BROKEN), {"gpus": 2, "healthy": 1, "model": "H200"}),
        ((CARD, BROKEN, SLICE), {"gpus": 3, "healthy": 2, "model": "2 H200, 1 H200-1g.18gb"}),
    ],
    ids=["none", "alike", "mixed"],
)
def test_the_summary_is_one_line(
    devices: tuple[DeviceRecord, ...], summary: dict[str, object]
) -> None:
    assert picture(*devices).status()["summary"] == summary


def test_what_was_published_is_read_back_as_it_was() -> None:
    devices = (CARD, SLICE, BROKEN)
    assert published({"status": picture(*devices).status()}) == devices
    assert published({}) == ()
    assert published({"status": {"devices": [{"uuid": ""}, "x", {"uuid": "GPU-9"}]}}) == (
        DeviceRecord(0, DeviceUUID("GPU-9"), "", 0, healthy=False),
    )


def test_the_scheduler_reads_the_same_devices() -> None:
    status = picture(CARD, BROKEN, use=(Use(CARD.uuid, 5000, 300, 420),)).status()
    first, second = convert.devices({"status": status}, now=1_800_000_002.0)
    assert (first.uuid, first.memory_mib, first.healthy) == ("GPU-0", 143_171, True)
    assert (first.foreign_mib, first.load, first.used_mib) == (300, 420, 5000)
    assert (second.uuid, second.healthy) == ("GPU-2", False)


def test_every_field_is_one_of_the_schema() -> None:
    use = (Use(CARD.uuid, 5000, 300, 420),)
    long = replace(BROKEN, fault="x" * 9000)
    status = picture(CARD, SLICE, long, use=use, driver="d" * 99).status()
    version = yaml.safe_load(CRD.read_text(encoding="utf-8"))["spec"]["versions"][0]
    _check(status, version["schema"]["openAPIV3Schema"]["properties"]["status"], "status")


def _check(value: Any, schema: dict[str, Any], where: str) -> None:
    """Check types, required and unknown fields, lengths and enums."""
    if schema["type"] == "object":
        assert value.keys() <= schema["properties"].keys(), where
        assert set(schema.get("required", ())) <= value.keys(), where
        for key, each in value.items():
            _check(each, schema["properties"][key], f"{where}.{key}")
    elif schema["type"] == "array":
        for each in value:
            _check(each, schema["items"], where)
    else:
        kinds = {"string": str, "integer": int, "boolean": bool}
        assert type(value) is kinds[schema["type"]], where
        if isinstance(value, str):
            assert len(value) <= schema.get("maxLength", len(value)), where
        assert value in schema.get("enum", [value]), where


@pytest.mark.parametrize(
    ("health", "reason", "message"),
    [
        (judged((CARD,)), "AllHealthy", "every device answers"),
        (judged((CARD, BROKEN)), "DeviceFault", "GPU-2: XID 79"),
        (
            judged((BROKEN,), nameless=[replace(BROKEN, index=3, fault="GPU is lost")]),
            "DeviceFault",
            "GPU-2: XID 79; card 3: GPU is lost",
        ),
        (judged((CARD,), problem="silent"), "DriverSilent", "silent"),
        (judged(()), "NoDevice", "the driver lists no device; check the machine"),
    ],
    ids=["well", "broken", "nameless", "silent", "none"],
)
def test_the_condition_names_what_is_broken(health: Health, reason: str, message: str) -> None:
    assert (health.reason, health.message) == (reason, message)
    assert health.well == (reason == "AllHealthy")
