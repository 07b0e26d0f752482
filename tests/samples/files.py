"""The samples of deploy/samples, and the pods that they would make."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

SAMPLES = Path(__file__).resolve().parents[2] / "deploy" / "samples"
LISTED = yaml.safe_load((SAMPLES / "kustomization.yaml").read_text())["resources"]

JSON = Mapping[str, Any]


def documents(name: str) -> list[JSON]:
    """Return the objects of one file."""
    return list(yaml.safe_load_all((SAMPLES / name).read_text(encoding="utf-8")))


def workloads() -> Iterator[tuple[str, JSON]]:
    """Name each file, with each object in it that makes pods."""
    for name in LISTED:
        yield from ((name, each) for each in documents(name) if "template" in each.get("spec", {}))
