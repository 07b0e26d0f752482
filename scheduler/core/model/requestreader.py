"""The one function that reads a request from a pod.

Webhook, mirror, extender and embedded cluster all call `parse_request`: two readers that disagree
about a pod are how a GPU gets sold twice.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from scheduler.core.model import amounts, names
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.durations import parse_duration
from scheduler.core.model.errors import InvalidInput, InvalidRequest
from scheduler.core.model.requests import MAX_DEVICES, Request, Spreading

KAI_CONTAINER = "gpu-fraction-container-name"
"""KAI's way to name the one container that sees the GPU."""

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"

_INIT = "initContainers"

_NONE = Fraction(0)
_MOST = 2**40
"""Milli-CPU or MiB, more than any node has: sums of it stay far inside 64 bits."""

_READ = frozenset(
    (
        *(names.GPU_FRACTION, names.GPU_MEMORY, names.GPU_COUNT, names.GPU_MODELS),
        *(names.KAI_FRACTION, names.KAI_MEMORY, names.KAI_DEVICES),
        *(names.PLACEMENT, names.PREEMPTIBLE, names.MAX_RUNTIME, names.NVLINK),
        *(names.GANG, names.GANG_SIZE, names.REQUIRED_TOPOLOGY, names.PREFERRED_TOPOLOGY),
        *(names.GPU_CONTAINERS, KAI_CONTAINER, DEFAULT_CONTAINER),
    )
)


def parse_request(pod: Mapping[str, Any]) -> Request:
    """Read a Kubernetes pod (its JSON as a dict); raise InvalidRequest with one sentence.

    A pod that asks for no GPU gives a request with `devices` 0.
    """
    notes = _annotations(pod)
    cpu_milli = _beside(pod, "cpu", lambda cores: amounts.ceil(cores * MILLI))
    ram_mib = _beside(pod, "memory", amounts.mib)
    whole = _whole_gpus(pod)
    share = _share(notes)
    if whole and share:
        raise InvalidRequest(
            f"the pod asks for {names.NVIDIA_GPU} and for a share by annotation; keep one of them"
        )
    devices, milli, memory_mib = share or (whole, MILLI if whole else 0, 0)
    if devices > MAX_DEVICES:
        raise InvalidRequest(
            f"{amounts.quoted(str(devices))} GPUs for one pod; ask for {MAX_DEVICES} at most"
        )
    return Request(
        devices=devices,
        milli=milli,
        memory_mib=memory_mib,
        cpu_milli=cpu_milli,
        ram_mib=ram_mib,
        models=_models(notes),
        spreading=_spreading(notes),
        # One is linked to itself.
        linked=_linked(notes) and devices > 1,
    )


def parse_preemptible(pod: Mapping[str, Any]) -> bool:
    """Read whether the pod may be stopped for others (the default); raise InvalidRequest."""
    text = _annotations(pod).get(names.PREEMPTIBLE, "true")
    if text not in ("true", "false"):
        raise InvalidRequest(
            f'{names.PREEMPTIBLE}: {amounts.quoted(text)}; write "true" or "false"'
        )
    return text == "true"


def parse_max_runtime(pod: Mapping[str, Any]) -> float | None:
    """Read for how many seconds the pod runs at most; None: as long as it likes.

    Raises InvalidRequest.
    """
    text = _annotations(pod).get(names.MAX_RUNTIME)
    if text is None:
        return None
    try:
        return parse_duration(text)
    except InvalidInput as problem:
        raise InvalidRequest(f"{names.MAX_RUNTIME}: {problem}") from None


def parse_gpu_containers(pod: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the containers that see the pod's GPUs; () for a pod without containers.

    Those that are named, else those that ask for nvidia.com/gpu, else the one that kubectl takes by
    default, else the first. Raises InvalidRequest for a name that the pod doesn't have.
    """
    notes = _annotations(pod)
    listed = _containers(pod)
    every = [str(container.get("name")) for container in (*_containers(pod, _INIT), *listed)]
    asking = containers_asking(pod)
    key = next((key for key in (names.GPU_CONTAINERS, KAI_CONTAINER) if key in notes), "")
    if key:
        return _named(key, notes[key], every, asking)
    if asking:
        return asking
    default = notes.get(DEFAULT_CONTAINER)
    return (default,) if default in every else tuple(str(c.get("name")) for c in listed[:1])


def containers_asking(pod: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the containers, init containers first, that ask for nvidia.com/gpu themselves."""
    return tuple(
        str(container.get("name"))
        for container in (*_containers(pod, _INIT), *_containers(pod))
        if _resource(container, names.NVIDIA_GPU)
    )


def _named(key: str, text: str, every: list[str], asking: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    have = ", ".join(every)
    if not found:
        raise InvalidRequest(f"{key}: name at least one container; the pod has {have}")
    for name in found:
        if name not in every:
            raise InvalidRequest(f"{key}: no container {amounts.quoted(name)}; the pod has {have}")
    if left := [name for name in asking if name not in found]:
        raise InvalidRequest(
            f"{key} leaves out {', '.join(left)}, which asks for {names.NVIDIA_GPU}; name it too"
        )
    return found


def _annotations(pod: Mapping[str, Any]) -> Mapping[str, str]:
    notes = _object(_object(pod, "metadata"), "annotations")
    for key, text in notes.items():
        if key in _READ and not isinstance(text, str):
            raise InvalidRequest(f'{key}: write the value as text, in quotes, such as "0.25"')
    return notes


def _object(above: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return what stands under the key, {} for null or nothing; raise if it is no object."""
    found = above.get(key)
    if found is not None and not isinstance(found, (dict, Mapping)):
        raise InvalidRequest(f'the pod\'s "{key}" must be an object')
    return found or {}


def _share(notes: Mapping[str, str]) -> tuple[int, int, int] | None:
    """Devices, milli and MiB of each, from our annotations or else from KAI's."""
    if any(key in notes for key in (names.GPU_FRACTION, names.GPU_MEMORY, names.GPU_COUNT)):
        keys = (names.GPU_FRACTION, names.GPU_MEMORY, names.GPU_COUNT)
    elif any(key in notes for key in (names.KAI_FRACTION, names.KAI_MEMORY, names.KAI_DEVICES)):
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
        raise InvalidRequest(f'{key}: {amounts.quoted(text)} must be above 0, such as "0.25"')
    if value >= 1:
        if value.denominator != 1:
            raise InvalidRequest(
                f"{key}: {amounts.quoted(text)} is neither a share of one GPU nor a whole number; "
                f"write a share below 1 and the number of GPUs in {count_key}"
            )
        if count is not None:
            raise InvalidRequest(
                f"{key}: {amounts.quoted(text)} means whole GPUs already; "
                f'leave {count_key} out and write "{value.numerator * count}"'
            )
        return value.numerator, MILLI, 0
    milli = value * MILLI
    if milli.denominator != 1:
        raise InvalidRequest(
            f"{key}: {amounts.quoted(text)} is finer than 0.001; use three decimals at most"
        )
    return count or 1, milli.numerator, 0


def _memory(key: str, text: str) -> int:
    try:
        # KAI's annotation counts in MiB, ours is a Kubernetes quantity.
        scale = 2**20 if key == names.KAI_MEMORY else 1
        memory_mib = amounts.mib(amounts.parse_quantity(text) * scale)
    except InvalidInput as problem:
        raise InvalidRequest(f"{key}: {problem}") from None
    if memory_mib <= 0:
        raise InvalidRequest(f'{key}: {amounts.quoted(text)} must be above 0, such as "8Gi"')
    if memory_mib >= 2**31:
        raise InvalidRequest(
            f"{key}: {amounts.quoted(text)} is more than any GPU has; ask for less"
        )
    return memory_mib


def _count(key: str, text: str | None) -> int | None:
    if text is None:
        return None
    digits = text.strip().lstrip("0")
    if not digits.isascii() or not digits.isdigit():
        raise InvalidRequest(
            f"{key}: {amounts.quoted(text)} must be a whole number of GPUs, at least 1"
        )
    # Python reads no number of thousands of digits, and one more than the most is enough.
    return int(digits) if len(digits) < 10 else 10**9


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
        raise InvalidRequest(
            f'{names.PLACEMENT}: {amounts.quoted(text)}; write "pack" or "spread"'
        ) from None


def _linked(notes: Mapping[str, str]) -> bool:
    text = notes.get(names.NVLINK, "preferred")
    if text not in ("required", "preferred"):
        raise InvalidRequest(
            f'{names.NVLINK}: {amounts.quoted(text)}; write "required" or "preferred"'
        )
    return text == "required"


def _containers(pod: Mapping[str, Any], kind: str = "containers") -> list[Mapping[str, Any]]:
    containers = _object(pod, "spec").get(kind) or []
    if not isinstance(containers, list) or not all(isinstance(c, Mapping) for c in containers):
        raise InvalidRequest(f'the pod\'s "{kind}" must be a list of objects')
    return containers


def _whole_gpus(pod: Mapping[str, Any]) -> int:
    total = _effective(pod, names.NVIDIA_GPU)
    if total.denominator != 1:
        raise InvalidRequest(f"{names.NVIDIA_GPU} must be a whole number of GPUs")
    return total.numerator


def _beside(pod: Mapping[str, Any], resource: str, unit: Callable[[Fraction], int]) -> int:
    """Milli-CPU or MiB that kube-scheduler counts for the pod, rounded up."""
    amount = unit(_effective(pod, resource))
    if amount > _MOST:
        raise InvalidRequest(f"the pod asks for more {resource} than any node has; ask for less")
    return amount


def _effective(pod: Mapping[str, Any], resource: str) -> Fraction:
    """Effective request: k8s.io/component-helpers/resource PodRequests.

    Containers and sidecars run together; before them the init containers run one by one, each
    beside the sidecars started earlier. A request of the pod as a whole stands instead of all that.
    """
    spec = _object(pod, "spec")
    overhead = _quantity(_object(spec, "overhead").get(resource), resource)
    of_pod = _object(_object(spec, "resources"), "requests").get(resource)
    if of_pod is not None:
        return _quantity(of_pod, resource) + overhead
    running = [_resource(container, resource) for container in _containers(pod)]
    sidecars, peak = _before(pod, resource)
    together = sum(running, sidecars) if len(running) != 1 or sidecars else running[0]
    # Most pods have none of all this, and Fractions are slow to add and to compare.
    together = max(together, peak) if peak else together
    return together + overhead if overhead else together


def _before(pod: Mapping[str, Any], resource: str) -> tuple[Fraction, Fraction]:
    """What all sidecars take together, and the most that init containers take at one time."""
    running = peak = _NONE
    for container in _containers(pod, _INIT):
        amount = _resource(container, resource)
        if container.get("restartPolicy") == "Always":
            running += amount
            peak = max(peak, running)
        else:
            peak = max(peak, running + amount)
    return running, peak


def _resource(container: Mapping[str, Any], resource: str) -> Fraction:
    """A container's request; where it has none, its limit, as the API server fills in."""
    resources = _object(container, "resources")
    text = _object(resources, "requests").get(resource)
    if text is None:
        text = _object(resources, "limits").get(resource)
    return _quantity(text, resource)


def _quantity(text: object, resource: str) -> Fraction:
    if text is None:
        return _NONE
    try:
        value = amounts.parse_quantity(str(text))
    except InvalidInput as problem:
        raise InvalidRequest(f"{resource}: {problem}") from None
    if value.numerator < 0:
        raise InvalidRequest(f"{resource}: {amounts.quoted(str(text))} must not be negative")
    return value
