"""Nodes and their devices, as an agent reports them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from scheduler.core.model.amounts import MILLI
from scheduler.core.model.constraints import Taint
from scheduler.core.model.ids import DeviceUUID, NodeName, TenantName
from scheduler.core.model.names import OWNER_LABEL

SILENT = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
"""Taints that Kubernetes puts on a node whose kubelet doesn't answer, or says that it can't run."""

MANY_PODS = 1_000_000
"""Pods of a node that sets no limit; a kubelet's is 110 unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class Device:
    """One card, or one MIG slice of a card.

    `milli` is what it counts as in shares (a MIG slice less than 1000), `foreign_mib` memory that
    strangers hold on it (MiB, measured), `used_mib` all that is in use (MiB, measured; nothing is
    decided by it, so it doesn't make devices differ), `load` its measured utilisation in permille.
    Cards of a node with the same `link` are linked by NVLink, or it isn't known which are.
    """

    uuid: DeviceUUID
    model: str
    memory_mib: int
    milli: int = MILLI
    mig: bool = False
    healthy: bool = True
    foreign_mib: int = 0
    load: int = 0
    used_mib: int = field(default=0, compare=False)
    link: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """A machine: its devices in index order, and its allocatable CPU, memory and number of pods.

    `open` is False while it must take no new pod because it is cordoned; `closed` says in a few
    words why it takes none although it is up, "" where it does. Labels and taints are Kubernetes'.
    """

    name: NodeName
    devices: tuple[Device, ...]
    cpu_milli: int
    ram_mib: int
    open: bool = True
    pods: int = MANY_PODS
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    taints: tuple[Taint, ...] = ()
    closed: str = ""

    @property
    def owner(self) -> TenantName | None:
        """The tenant that brought it into the cluster, by its label; None: nobody in particular."""
        found = self.labels.get(OWNER_LABEL)
        return TenantName(found) if found else None

    @property
    def silent(self) -> bool:
        """Whether Kubernetes has lost it, so that its devices are of no use, however healthy."""
        return any(taint.key in SILENT for taint in self.taints)
