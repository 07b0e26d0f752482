"""Where things of the real node lie: what was built for it, and its names and addresses."""

import shutil
from pathlib import Path

from scheduler.core.model.errors import InvalidInput
from tests.support.controlplane.layout import ROOT

BUILD = ROOT / "build" / "node"
PLUGINS = Path("/usr/lib/cni")
"""Where Debian puts the network plugins."""

NODE = "node-1"
ADDRESS, ROUTER = "10.90.0.1", "10.90.0.2"
PODS = "10.91.0.0/24"

OURS = "localhost/equipoise:dev"
BUSYBOX = "localhost/busybox:dev"
IMAGES = ("busybox", "kube-scheduler", "equipoise")

PACKAGES = {
    "runc": "runc",
    "nft": "nftables",
    "ip": "iproute2",
    "unshare": "util-linux",
    "setpriv": "util-linux",
}
"""Debian's package of each command that the node needs."""


def built(name: str) -> str:
    """Return the path of something that was built; InvalidInput says how to build it."""
    path = BUILD / name
    if not path.exists():
        raise InvalidInput(f"{path} is missing; build it with: make node-build")
    return str(path)


def missing_packages() -> list[str]:
    """Name the packages without which a node can't run here."""
    lacking = {package for command, package in PACKAGES.items() if not shutil.which(command)}
    if not (PLUGINS / "ptp").exists():
        lacking.add("containernetworking-plugins")
    return sorted(lacking)
