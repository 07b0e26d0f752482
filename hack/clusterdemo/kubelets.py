"""Kubelets, played by kwok, whose pods end after their own seconds and not a second later."""

from pathlib import Path

import yaml

from tests.support.controlplane import components
from tests.support.controlplane.layout import BINARIES
from tests.support.controlplane.plane import MASTERS, ControlPlane
from tests.support.controlplane.processes import Process

ENDING = Path(__file__).with_name("ending.yaml")
READY = BINARIES / "stages" / "pod-ready.yaml"

BEGAN = "message: {{ $now | Quote }}\n"
"""Tells in the pod's status when it began: `startTime` knows no parts of a second."""


def start(plane: ControlPlane) -> None:
    """Start kwok with kwok's own stages and that of the demo; it ends with the plane."""
    argv = components.kwok(plane.layout, plane.options, plane.kubeconfig("kwok", MASTERS))
    argv.remove(f"--config={READY}")
    argv += [f"--config={stage}" for stage in (_ready(plane.folder), ENDING)]
    # `Now` is in the zone of the process, and jq reads only UTC.
    log, env = plane.layout.log("kwok"), {"TZ": "UTC"}
    plane.processes["kwok"] = Process(argv, log, env=env)


def _ready(folder: Path) -> Path:
    stage = yaml.safe_load(READY.read_text(encoding="utf-8"))
    stage["spec"]["next"]["statusTemplate"] += BEGAN
    written = folder / READY.name
    written.write_text(yaml.safe_dump(stage), encoding="utf-8")
    return written
