"""What the chart renders, as objects."""

from collections.abc import Iterator
from typing import Any

import yaml

from hack.chart.helm import rendered

JSON = dict[str, Any]


def objects(*arguments: str, kube_version: str = "v1.30.0") -> list[JSON]:
    """Return all objects, hooks too; the arguments are helm's."""
    text = rendered(*arguments, kube_version=kube_version)
    return [document for document in yaml.safe_load_all(text) if document]


def of_kind(found: list[JSON], kind: str) -> list[JSON]:
    return [each for each in found if each["kind"] == kind]


def one(found: list[JSON], kind: str, name: str) -> JSON:
    (wanted,) = (each for each in of_kind(found, kind) if each["metadata"]["name"] == name)
    return wanted


def pod_specs(found: list[JSON]) -> Iterator[tuple[str, JSON]]:
    """Name and pod of everything that makes pods."""
    for each in found:
        if each["kind"] == "Pod":
            yield each["metadata"]["name"], each["spec"]
        elif each["kind"] in {"Deployment", "DaemonSet", "Job"}:
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


def containers(spec: JSON) -> list[JSON]:
    return [*spec.get("initContainers", ()), *spec["containers"]]


def container(spec: JSON, name: str) -> JSON:
    (wanted,) = (each for each in containers(spec) if each["name"] == name)
    return wanted
