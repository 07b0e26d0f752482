"""Where things lie: the binaries that were built, and the folder and ports of one control plane."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.support.controlplane.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
BINARIES = ROOT / "build" / "controlplane"
BASE = ROOT / "deploy" / "base"
STAGES = tuple(sorted((BINARIES / "stages").glob("*.yaml")))
"""Pods run at once, those of Jobs end at once, and who is deleted goes at once."""


def binary(name: str) -> str:
    """Return the path of one of them; FileNotFoundError says how to build it."""
    path = BINARIES / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; build it with: make controlplane")
    return str(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a plane consists of.

    `kwok`: kubelets for the nodes that carry its annotation. `audit`: every request in audit.log.
    `node_lifecycle` False leaves nodes without leases alone, for rates on many unmanaged nodes.
    `stages`: files that tell kwok what pods and nodes do, in place of those that it comes with.
    The other fields are flags, added to those of components.py.
    """

    kwok: bool = True
    audit: bool = True
    node_lifecycle: bool = True
    stages: tuple[Path, ...] = STAGES
    apiserver: tuple[str, ...] = ()
    controller_manager: tuple[str, ...] = ()


RATES = Options(
    kwok=False,
    node_lifecycle=False,
    audit=False,
    apiserver=(
        "--max-requests-inflight=3000",
        "--max-mutating-requests-inflight=2000",
        "--enable-priority-and-fairness=false",
        "--disable-admission-plugins=TaintNodesByCondition",  # nobody would take the taint away
    ),
)
"""For rate tests: the API server's limits out of the way. Name these flags in the results."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Folder and ports of one plane; ports stay the same over restarts."""

    folder: Path
    apiserver: int = field(default_factory=free_port)
    etcd: int = field(default_factory=free_port)
    etcd_peer: int = field(default_factory=free_port)
    controller_manager: int = field(default_factory=free_port)
    kwok: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.apiserver}"

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"
