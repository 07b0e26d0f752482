"""What one pod asks for, and the one function that reads it from the pod.

Webhook, mirror, extender and embedded cluster all call `parse_request`: two readers that disagree
about a pod are how a GPU gets sold twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from scheduler.core.model import amounts, names
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.errors import InvalidInput, InvalidRequest

MAX_DEVICES = 128
"""More devices than any node holds; keeps a typing error from becoming a huge array."""


class Spreading(StrEnum):
    """How a pod wants to share: on the fullest card that fits, or on the emptiest."""

    PACK = "pack"
    SPREAD = "spread"


@dataclass(frozen=True, slots=True)
class Request:
    """Devices of one node, each with the same share, and the CPU and memory beside them.

    A share is either `milli` (1..1000 milli-GPU of each device, 1000 = the whole device) or
    `memory_mib` (MiB on each device, `milli` 0). `devices` 0 asks for no GPU at all.
    `models` empty means any model; MIG slices are given only to who names their model.
    """

    devices: int = 0
    milli: int = 0
    memory_mib: int = 0
    cpu_milli: int = 0
    ram_mib: int = 0
    models: tuple[str, ...] = ()
    spreading: Spreading = Spreading.PACK

    @property
    def whole(self) -> bool:
        """Whether it takes its devices as a whole, with nobody else on them."""
        return self.milli == MILLI

    @property
    def total_milli(self) -> int:
        """Milli-GPU in all; 0 for a request by memory, which counts by the card it lands on."""
        return self.devices * self.milli

    def describe(self) -> str:
        """Say it in a few words: "0.25 GPU", "2 × 8192 MiB of T4", "CPU only"."""
        if not self.devices:
            return "CPU only"
        if self.memory_mib:
            each = f"{self.memory_mib} MiB"
            text = each if self.devices == 1 else f"{self.devices} × {each}"
        elif self.whole:
            text = f"{self.devices} GPU" + ("s" if self.devices > 1 else "")
        else:
            each = f"{amounts.format_gpus(self.milli)} GPU"
            text = each if self.devices == 1 else f"{self.devices} × {each}"
        return text + (f" of {' or '.join(self.models)}" if self.models else "")


def parse_request(pod: Mapping[str, Any]) -> Request:
    """Read a Kubernetes pod (its JSON as a dict); raise InvalidRequest with one sentence.

    A pod that asks for no GPU gives a request with `devices` 0.
    """
    notes = _annotations(pod)
    cpu_milli, ram_mib = _cpu_and_memory(pod)
    whole = _whole_gpus(pod)
    share = _share(notes)
    if whole and share:
        raise InvalidRequest(
            f"the pod asks for {names.NVIDIA_GPU} and for a share by annotation; keep one of them"
        )
    devices, milli, memory_mib = share or (whole, MILLI if whole else 0, 0)
    if devices > MAX_DEVICES:
        raise InvalidRequest(f"{devices} GPUs for one pod; no node has more than {MAX_DEVICES}")
    return Request(
        devices=devices,
        milli=milli,
        memory_mib=memory_mib,
        cpu_milli=cpu_milli,
        ram_mib=ram_mib,
        models=_models(notes),
        spreading=_spreading(notes),
    )


def parse_preemptible(pod: Mapping[str, Any]) -> bool:
    """Read whether the pod may be stopped for others (the default); raise InvalidRequest."""
    text = _annotations(pod).get(names.PREEMPTIBLE, "true")
    if text not in ("true", "false"):
        raise InvalidRequest(f'{names.PREEMPTIBLE}: "{text}"; write "true" or "false"')
    return text == "true"


def _annotations(pod: Mapping[str, Any]) -> Mapping[str, str]:
    return (pod.get("metadata") or {}).get("annotations") or {}


def _share(notes: Mapping[str, str]) -> tuple[int, int, int] | None:
    """Devices, milli and MiB of each, from our annotations or else from KAI's."""
    if any(key in notes for key in (names.GPU_FRACTION, names.GPU_MEMORY, names.GPU_COUNT)):
        keys = (names.GPU_FRACTION, names.GPU_MEMORY, names.GPU_COUNT)
    elif any(key in notes for key in (names.KAI_FRACTION, names.KAI_MEMORY)):
        keys = (names.KAI_FRACTION, names.KAI_MEMORY, names.KAI_DEVICES)
    else:
        return None
    fraction_key, memory_key, count_key = keys
    fraction, memory = notes.get(fraction_key), notes.get(memory_key)
    if fraction is not None and memory is not None:
        raise InvalidRequest(f"give either {fraction_key} or {memory_key}, not both")
    count = _count(count_key, notes.get(count_key))
    if memory is not None:
        return count or 1, 0, _memory(memory_key, memory)
    if fraction is None:
        raise InvalidRequest(f"{count_key} says how many GPUs; add {fraction_key} or {memory_key}")
    return _fraction(fraction_key, fraction, count_key, count)


def _fraction(key: str, text: str, count_key: str, count: int | None) -> tuple[int, int, int]:
    try:
        value = amounts.parse_decimal(text)
    except InvalidInput as problem:
        raise InvalidRequest(
            f'{key}: {problem}; write a share such as "0.25" or a whole number of GPUs'
        ) from None
    if value <= 0:
        raise InvalidRequest(f'{key}: "{text}" must be above 0, such as "0.25"')
    if value >= 1:
        if value.denominator != 1:
            raise InvalidRequest(
                f'{key}: "{text}" is neither a share of one GPU nor a whole number; '
                f"write a share below 1 and the number of GPUs in {count_key}"
            )
        if count is not None:
            raise InvalidRequest(
                f'{key}: "{text}" means whole GPUs already; '
                f'leave {count_key} out and write "{value.numerator * count}"'
            )
        return value.numerator, MILLI, 0
    milli = value * MILLI
    if milli.denominator != 1:
        raise InvalidRequest(f'{key}: "{text}" is finer than 0.001; use three decimals at most')
    return count or 1, milli.numerator, 0


def _memory(key: str, text: str) -> int:
    try:
        # KAI's annotation counts in MiB, ours is a Kubernetes quantity.
        scale = 2**20 if key == names.KAI_MEMORY else 1
        memory_mib = amounts.mib(amounts.parse_quantity(text) * scale)
    except InvalidInput as problem:
        raise InvalidRequest(f"{key}: {problem}") from None
    if memory_mib <= 0:
        raise InvalidRequest(f'{key}: "{text}" must be above 0, such as "8Gi"')
    if memory_mib >= 2**31:
        raise InvalidRequest(f'{key}: "{text}" is more than any GPU has')
    return memory_mib


def _count(key: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not text.strip().isascii() or not text.strip().isdigit() or int(text) < 1:
        raise InvalidRequest(f'{key}: "{text}" must be a whole number of GPUs, at least 1')
    return int(text)


def _models(notes: Mapping[str, str]) -> tuple[str, ...]:
    text = notes.get(names.GPU_MODELS)
    if text is None:
        return ()
    models = tuple(sorted({part.strip() for part in text.split(",") if part.strip()}))
    if not models:
        raise InvalidRequest(f'{names.GPU_MODELS}: name at least one model, such as "T4,A10"')
    return models


def _spreading(notes: Mapping[str, str]) -> Spreading:
    text = notes.get(names.PLACEMENT, Spreading.PACK)
    try:
        return Spreading(text)
    except ValueError:
        raise InvalidRequest(f'{names.PLACEMENT}: "{text}"; write "pack" or "spread"') from None


def _containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list((pod.get("spec") or {}).get("containers") or [])


def _whole_gpus(pod: Mapping[str, Any]) -> int:
    total = Fraction(0)
    for container in _containers(pod):
        total += _resource(container, "limits", names.NVIDIA_GPU)
    if total.denominator != 1 or total < 0:
        raise InvalidRequest(f"{names.NVIDIA_GPU} must be a whole number of GPUs")
    return total.numerator


def _cpu_and_memory(pod: Mapping[str, Any]) -> tuple[int, int]:
    """Milli-CPU and MiB that kube-scheduler counts for the pod, both rounded up."""
    return (
        amounts.ceil(_effective(pod, "cpu") * MILLI),
        amounts.mib(_effective(pod, "memory")),
    )


def _effective(pod: Mapping[str, Any], resource: str) -> Fraction:
    """Effective request: k8s.io/component-helpers/resource PodRequests.

    Containers and sidecars run together; before them the init containers run one by one, each
    beside the sidecars started earlier.
    """
    spec = pod.get("spec") or {}
    running = Fraction(0)
    peak = Fraction(0)
    for container in spec.get("initContainers") or []:
        amount = _resource(container, "requests", resource)
        if container.get("restartPolicy") == "Always":
            running += amount
            peak = max(peak, running)
        else:
            peak = max(peak, running + amount)
    for container in _containers(pod):
        running += _resource(container, "requests", resource)
    overhead = _quantity((spec.get("overhead") or {}).get(resource, "0"), resource)
    return max(running, peak) + overhead


def _resource(container: Mapping[str, Any], kind: str, resource: str) -> Fraction:
    resources = container.get("resources") or {}
    text = (resources.get(kind) or {}).get(resource)
    if text is None and kind == "requests":
        text = (resources.get("limits") or {}).get(resource)
    return _quantity(text if text is not None else "0", resource)


def _quantity(text: object, resource: str) -> Fraction:
    try:
        value = amounts.parse_quantity(str(text))
    except InvalidInput as problem:
        raise InvalidRequest(f"{resource}: {problem}") from None
    if value < 0:
        raise InvalidRequest(f'{resource}: "{text}" must not be negative')
    return value
