"""Pods as an API server sends them for review, reviews around them, and JSON patches applied."""

import base64
import copy
from collections.abc import Sequence
from typing import Any

import orjson

from scheduler.core.model import limitnotes, names
from scheduler.webhook.mutation import TOLERATION

Pod = dict[str, Any]

F, M, C = names.GPU_FRACTION, names.GPU_MEMORY, names.GPU_COUNT
GATE = {"name": names.GATE}
VOID = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}


def from_note(name: str, key: str) -> Pod:
    reference = {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{key}']"}
    return {"name": name, "valueFrom": {"fieldRef": reference}}


DEVICES = from_note("NVIDIA_VISIBLE_DEVICES", names.DEVICES)
MPS = [
    from_note("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT", limitnotes.MPS_MEMORY),
    from_note("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", limitnotes.MPS_THREADS),
]
DRIVER = [
    from_note("NVIDIA_GPU_MEMORY_REQUEST", limitnotes.MEMORY_LIMIT),
    from_note("NVIDIA_GPU_MEMORY_LIMIT", limitnotes.MEMORY_LIMIT),
]


def box(name: str = "main", gpus: Any = None, **more: Any) -> Pod:
    """A container; `gpus` is its limit of nvidia.com/gpu, defaulted into requests as well."""
    resources = {part: {names.NVIDIA_GPU: gpus} for part in ("limits", "requests")}
    return {
        "name": name,
        "image": "x",
        **({} if gpus is None else {"resources": resources}),
        **more,
    }


def pod_of(notes: Any = None, *containers: Pod, **spec: Any) -> Pod:
    """A pod with one container unless others are given."""
    metadata = {
        "name": "p",
        "namespace": "lab",
        **({} if notes is None else {"annotations": notes}),
    }
    plain = {"schedulerName": "default-scheduler", "containers": list(containers) or [box()]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**plain, **spec}}


def ours(notes: dict[str, str], *containers: Pod, **spec: Any) -> Pod:
    """What becomes of a pod that asks: gate, schedulerName, toleration."""
    wired = {"schedulerName": "equipoise", "schedulingGates": [GATE], "tolerations": [TOLERATION]}
    return pod_of(notes, *containers, **{**wired, **spec})


def request_of(
    pod: Pod,
    before: Pod | None = None,
    *,
    operation: str = "",
    subresource: str = "",
    **more: Any,
) -> Pod:
    """The `request` of a review, of a creation unless there is a pod before it."""
    found = {
        "uid": "7e1c",
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "operation": operation or ("UPDATE" if before else "CREATE"),
        "namespace": "lab",
        "userInfo": {"username": "dev", "groups": ["devs"]},
        "object": pod,
        "oldObject": before,
    }
    return {**found, **({"subResource": subresource} if subresource else {}), **more}


def review_of(request: Pod) -> bytes:
    return orjson.dumps(
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    )


def patch_in(answer: Pod) -> list[Pod]:
    """The patch that an encoded answer carries."""
    response = answer["response"]
    found: list[Pod] = orjson.loads(base64.b64decode(response.get("patch", b"W10=")))
    return found


def patched(document: Pod, ops: Sequence[Pod]) -> Pod:
    """Apply a JSON patch as RFC 6902 says, strictly: what must be there is there."""
    whole = copy.deepcopy(document)
    for op in ops:
        *path, last = (part.replace("~1", "/").replace("~0", "~") for part in _parts(op["path"]))
        target: Any = whole
        for part in path:
            target = target[int(part)] if isinstance(target, list) else target[part]
        _apply(target, last, op)
    return whole


def _parts(pointer: str) -> list[str]:
    assert pointer.startswith("/")
    return pointer[1:].split("/")


def _apply(target: Any, last: str, op: Pod) -> None:
    value = copy.deepcopy(op.get("value"))
    match op["op"], isinstance(target, list):
        case "add", True:
            target.insert(len(target) if last == "-" else int(last), value)
        case "add", False:
            target[last] = value
        case "replace", True:
            target[int(last)] = value
        case "replace", False:
            assert last in target
            target[last] = value
        case "remove", _:
            del target[int(last) if isinstance(target, list) else last]
        case other:
            raise AssertionError(other)
