"""What a GPUNode's status says: devices, use, and whether all is well, as JSON and back."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scheduler.agent.use import Use
from scheduler.core.model.ids import DeviceUUID
from scheduler.core.model.stored import Stored, mapping, objects
from scheduler.device.driver import DeviceRecord
from scheduler.kube.client import JSON
from scheduler.kube.times import stamp

HEALTHY = "Healthy"

# Longest texts that the schema of a GPUNode takes.
_DRIVER, _MODEL, _FAULT, _MESSAGE = 64, 256, 1024, 4096


@dataclass(frozen=True, slots=True)
class Health:
    """The condition Healthy; words stay the same while nothing changes.

    `since`: when `well` last changed, seconds since the epoch.
    """

    well: bool
    reason: str
    message: str
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Picture:
    """All that an agent says of its node at one moment.

    `used_at`: when `use` was measured, seconds since the epoch; None while nobody knows whose
    memory is whose.
    """

    driver: str
    serves: tuple[str, ...]
    devices: tuple[DeviceRecord, ...]
    health: Health
    use: tuple[Use, ...] = ()
    used_at: float | None = None

    @property
    def lasting(self) -> tuple[object, ...]:
        """What is written as soon as it changes."""
        return (self.driver, self.serves, self.devices, self.health, self.used_at is None)

    def status(self) -> JSON:
        """Return it as the status of a GPUNode."""
        body: JSON = {
            "driver": self.driver[:_DRIVER],
            "serves": sorted(set(self.serves)),
            "summary": _summary(self.devices),
            "devices": [_device(record) for record in self.devices],
            "conditions": [_condition(self.health)],
        }
        if self.used_at is not None:
            body["use"] = [_use(use) for use in self.use]
            body["usedAt"] = stamp(self.used_at)
        return body


def judged(
    devices: Sequence[DeviceRecord], *, nameless: Iterable[DeviceRecord] = (), problem: str = ""
) -> Health:
    """Return the condition of a node; `problem` is why its driver doesn't answer, if it doesn't.

    `nameless` are cards that never told their UUID.
    """
    broken = [f"{each.uuid}: {each.fault}" for each in devices if not each.healthy]
    broken += [f"card {each.index}: {each.fault}" for each in nameless]
    if problem:
        return Health(False, "DriverSilent", problem[:_MESSAGE])
    if broken:
        return Health(False, "DeviceFault", "; ".join(broken)[:_MESSAGE])
    if not devices:
        return Health(False, "NoDevice", "the driver lists no device; check the machine")
    return Health(True, "AllHealthy", "every device answers")


def published(gpunode: Stored) -> tuple[DeviceRecord, ...]:
    """Read the devices of a GPUNode, as an earlier run of the agent wrote them."""
    return tuple(
        _record(each) for each in objects(mapping(gpunode, "status"), "devices") if each.get("uuid")
    )


def _summary(devices: Sequence[DeviceRecord]) -> JSON:
    models = Counter(record.model for record in devices)
    text = next(iter(models)) if len(models) == 1 else ""
    if len(models) > 1:
        text = ", ".join(f"{count} {model}" for model, count in sorted(models.items()))
    healthy = sum(record.healthy for record in devices)
    return {"gpus": len(devices), "healthy": healthy, "model": text[:_MODEL]}


def _device(record: DeviceRecord) -> JSON:
    body: JSON = {
        "index": record.index,
        "uuid": record.uuid,
        "model": record.model,
        "memoryMiB": record.memory_mib,
        "milli": record.milli,
        "mig": record.mig,
        "healthy": record.healthy,
    }
    told = {
        "parent": record.parent,
        "fault": record.fault[:_FAULT],
        "pci": record.pci,
        "numa": record.numa,
        "link": record.link,
    }
    return body | {key: value for key, value in told.items() if value not in (None, "")}


def _record(device: Stored) -> DeviceRecord:
    numa, link, parent = (device.get(key) for key in ("numa", "link", "parent"))
    return DeviceRecord(
        index=_whole(device, "index"),
        uuid=DeviceUUID(str(device["uuid"])),
        model=str(device.get("model", "")),
        memory_mib=_whole(device, "memoryMiB"),
        milli=_whole(device, "milli", 1000),
        mig=device.get("mig") is True,
        parent=DeviceUUID(str(parent)) if parent else None,
        healthy=device.get("healthy") is True,
        fault=str(device.get("fault", "")),
        pci=str(device.get("pci", "")),
        numa=numa if isinstance(numa, int) else None,
        link=link if isinstance(link, int) else None,
    )


def _whole(device: Stored, key: str, default: int = 0) -> int:
    found = device.get(key)
    return found if isinstance(found, int) else default


def _use(use: Use) -> JSON:
    body: JSON = {"uuid": use.uuid, "usedMiB": use.used_mib, "foreignMiB": use.foreign_mib}
    if use.load_permille is not None:
        body["loadPermille"] = min(1000, max(0, use.load_permille))
    return body


def _condition(health: Health) -> JSON:
    return {
        "type": HEALTHY,
        "status": "True" if health.well else "False",
        "reason": health.reason,
        "message": health.message,
        "lastTransitionTime": stamp(health.since),
    }
