"""A feed with everything behind it, and pods as the API server stores them."""

from dataclasses import dataclass, field
from typing import Any

from scheduler.controller.feed import Feed
from scheduler.controller.gangsource import GangSource
from scheduler.controller.planner import Planner
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model import assignment, names
from scheduler.core.model.ids import TenantName
from scheduler.core.model.placements import Placement
from scheduler.core.model.pods import Pod
from tests.controller.hands import Eyes, Hands, controller
from tests.support.builders import node, place, tenant
from tests.support.extenders import ManualClock, pod_json


@dataclass
class World:
    """A feed and what is behind it."""

    ledger: Ledger = field(default_factory=lambda: Ledger([node("n1", 2), node("n2", 2)]))
    hands: Hands = field(default_factory=Hands)
    eyes: Eyes = field(default_factory=Eyes)
    clock: ManualClock = field(default_factory=ManualClock)
    active: bool = True
    tenants: dict[str, str] = field(default_factory=dict)
    volumes: Any = ()
    told: list[tuple[str, str, bool]] = field(default_factory=list)
    gangs: GangSource | None = None

    def __post_init__(self) -> None:
        self.controller = controller(
            self.ledger,
            [tenant("lab"), tenant("moved")],
            clock=self.clock,
            hands=self.hands,
            eyes=self.eyes,
            active=self.active,
        )
        self.planner = Planner(
            self.ledger,
            policy="fgd",
            tree=lambda: self.controller.caps,
            mix=lambda: self.controller.mixer.mix,
        )
        self.feed = Feed(
            self.controller,
            self.ledger,
            self.planner,
            tenant_of=self.tenant_of,
            volumes_of=lambda _pod: self.volumes,
            uses_nvidia=lambda *told: self.told.append(told),
            claim=self.claim,
            gangs=self.gangs,
        )

    def claim(self, pod: Pod, stored: Any) -> bool:
        """No place was kept for any pod."""
        return False

    def tenant_of(self, namespace: str, user: str) -> TenantName:
        return self.controller.tree.leaf_of(TenantName(self.tenant(namespace)), user)

    def tenant(self, namespace: str) -> str:
        return self.tenants.get(namespace, namespace)

    def see(self, *pods: dict[str, Any], event: str = "MODIFIED") -> None:
        for pod in pods:
            self.feed.see(event, pod)

    @property
    def held(self) -> dict[str, tuple[str, int, bool]]:
        """Node, milli-GPU and whether it is bound, by pod."""
        return {
            uid: (holding.placement.node, holding.placement.milli, holding.bound)
            for uid, holding in self.ledger.holdings.items()
        }

    @property
    def waiting(self) -> set[str]:
        return set(self.controller.queue.pods)


def gated(uid: str, fraction: str | None = "0.5", *foreign: str) -> dict[str, Any]:
    pod = pod_json(uid, fraction)
    pod["spec"]["schedulingGates"] = [{"name": name} for name in (names.GATE, *foreign)]
    return pod


def pinned(uid: str, *nodes: str, fraction: str | None = "0.5") -> dict[str, Any]:
    pod = pod_json(uid, fraction)
    terms = [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}
        for name in nodes
    ]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    pod["spec"]["affinity"] = {"nodeAffinity": required}
    return pod


def bound(uid: str, on: str, placement: Placement | None = None, **notes: str) -> dict[str, Any]:
    """Return a pod that runs; by default without an assignment."""
    pod = pod_json(uid)
    pod["spec"]["nodeName"] = on
    if placement is not None:
        pod["metadata"]["annotations"] |= assignment.encode(placement)
    pod["metadata"]["annotations"] |= {names.PREFIX + key: text for key, text in notes.items()}
    return pod


def nominated(uid: str, node: str, fraction: str | None = "0.5") -> dict[str, Any]:
    pod = pod_json(uid, fraction)
    pod["status"]["nominatedNodeName"] = node
    return pod


def versioned(pod: dict[str, Any], version: int | str, **metadata: Any) -> dict[str, Any]:
    """Return the pod as it is stored under that version."""
    more = {"resourceVersion": str(version), **metadata}
    return {**pod, "metadata": {**pod["metadata"], **more}}


def unreadable(uid: str, on: str) -> dict[str, Any]:
    return bound(uid, on, assignment="{", devices="GPU-1")


HALF = place("n1", (0, 500, 8_000))
