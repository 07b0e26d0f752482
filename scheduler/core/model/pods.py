"""Pods, as far as sharing GPUs is concerned."""

from dataclasses import dataclass

from scheduler.core.model.constraints import NO_CONSTRAINTS, Constraints
from scheduler.core.model.gangs import Gang
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.requests import Request


@dataclass(frozen=True, slots=True)
class PodRef:
    """Which pod is meant; the UID is a precondition of every write, as a name may come again."""

    namespace: str
    name: str
    uid: PodUID

    @property
    def key(self) -> str:
        """Return namespace/name, as people name it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that asks for GPUs.

    `created` is in seconds since the epoch; `priority` is the value of its PriorityClass and orders
    only inside its tenant. `max_runtime`: after so many seconds it is stopped, None: never by that.
    `foreign_gates` are scheduling gates of others: while one is left, the
    pod is no demand. `problem` says why its request can't be read; then it asks for no GPU.
    `constraints` narrow where it may go, until it is bound. A pod that isn't `pinnable` may only be
    nominated to a node: kube-scheduler looks at more than we know, or nothing would make it again.
    `workload` is the Deployment that it is of (namespace/name) and `revision` the ReplicaSet, as
    far as names tell; "" for others. `gang`: what it starts together with; None: nothing.
    `owner`: the UID of what would make it again, "" where nothing would. `user`: whose pod it says
    it is, "" where it says nothing; `tenant` is that user's leaf where users share.
    """

    uid: PodUID
    namespace: str
    name: str
    tenant: TenantName
    request: Request
    created: float = 0.0
    priority: int = 0
    preemptible: bool = True
    max_runtime: float | None = None
    foreign_gates: tuple[str, ...] = ()
    problem: str = ""
    constraints: Constraints = NO_CONSTRAINTS
    pinnable: bool = True
    workload: str = ""
    revision: str = ""
    gang: Gang | None = None
    owner: str = ""
    user: str = ""

    @property
    def key(self) -> str:
        """Return namespace/name, as people name it."""
        return f"{self.namespace}/{self.name}"

    @property
    def turn(self) -> tuple[int, float, str]:
        """Sort key inside its tenant: priority first, then age; the UID breaks ties."""
        return (-self.priority, self.created, self.uid)

    @property
    def ref(self) -> PodRef:
        """Return what a write needs to name the pod."""
        return PodRef(self.namespace, self.name, self.uid)
