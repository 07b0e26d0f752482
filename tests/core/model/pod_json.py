"""Pods as JSON, with the little that a request is read from."""

from typing import Any

from scheduler.core.model import names


def pod_of(notes: Any = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"annotations": notes}, "spec": spec}


def container(**requests: Any) -> dict[str, Any]:
    return {"name": "c", "resources": {"requests": requests}}


def limited(**limits: Any) -> dict[str, Any]:
    return {"name": "c", "resources": {"limits": limits}}


def gpus(number: object) -> dict[str, Any]:
    return limited(**{names.NVIDIA_GPU: number})
