"""The image that deploy/Dockerfile makes: small, not root, nothing in it that only tests need."""

import json
import subprocess
import sys
import tarfile
from typing import Any

import pytest

from tests.support.controlplane.layout import ROOT
from tests.support.controlplane.waiting import eventually
from tests.support.node.layout import OURS, built
from tests.support.node.rooms import Room

OWN_MIB = 80
"""The most that its last layers may take, compressed: what we add to the base."""

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
LIST = "from importlib import metadata as m; print(*sorted(d.name for d in m.distributions()))"


class Archive:
    """An image as an OCI archive."""

    def __init__(self, path: str) -> None:
        with tarfile.open(path) as archive:
            (entry,) = self._read(archive, "index.json")["manifests"]
            self.manifest = self._read(archive, self._blob(entry))
            self.config = self._read(archive, self._blob(self.manifest["config"]))

    @staticmethod
    def _blob(entry: dict[str, Any]) -> str:
        return f"blobs/{entry['digest'].replace(':', '/')}"

    @staticmethod
    def _read(archive: tarfile.TarFile, name: str) -> Any:
        member = archive.extractfile(name)
        assert member is not None
        return json.load(member)


@pytest.fixture(scope="module")
def image() -> Archive:
    return Archive(built("equipoise.tar"))


def test_it_runs_equipoise_and_not_as_root(image: Archive) -> None:
    config = image.config["config"]
    assert config["Entrypoint"] == ["equipoise"]
    assert config["User"] == "65532:65532"


def test_its_labels_say_what_it_is(image: Archive) -> None:
    labels = image.config["config"]["Labels"]
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}title"] == "Equipoise"
    assert labels[f"{prefix}licenses"] == "Apache-2.0"
    assert labels[f"{prefix}version"] not in {"", "dev"}


def test_what_it_adds_to_its_base_is_small(image: Archive) -> None:
    sizes = [layer["size"] / 2**20 for layer in image.manifest["layers"]]
    assert sum(sizes[1:]) < OWN_MIB


def run(room: Room, name: str, *command: str) -> str:
    """Run a command in the image as the chart runs it, and return what it printed."""
    container = {
        "name": "main",
        "image": OURS,
        "command": list(command),
        "securityContext": RESTRICTED,
    }
    room.create(
        {
            "metadata": {"name": name},
            "spec": {"containers": [container], "restartPolicy": "Never"},
        }
    )
    eventually(lambda: room.phase(name) in {"Succeeded", "Failed"}, 30, what=f"{name} has ended")
    assert room.phase(name) == "Succeeded", room.logs(name)
    return room.logs(name).strip()


def test_it_works_with_a_read_only_root(room: Room) -> None:
    assert run(room, "version", "equipoise", "--version").startswith("equipoise 0.")
    assert "explain" in run(room, "plugin", "kubectl-equipoise", "--help")


def test_it_holds_what_the_lock_pins_for_running_and_nothing_else(room: Room) -> None:
    locked = subprocess.run(
        [sys.executable, "hack/image/locked.py", "run"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    pinned = {line.partition("==")[0] for line in locked.splitlines() if "==" in line}
    held = set(run(room, "packages", "python", "-c", LIST).lower().replace("_", "-").split())
    platforms = {"pycparser", "cffi"}  # pinned for some platforms only
    assert held - {"equipoise"} <= pinned
    assert pinned - held <= platforms
    assert not held & {"pip", "setuptools", "pytest", "mypy", "hatchling"}
