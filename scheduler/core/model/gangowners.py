"""Kinds of objects that say how many pods start together, and how a pod tells which one it is of.

The table has Kubernetes' own and those of its working groups; settings may add kinds.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scheduler.core.model import gangshapes
from scheduler.core.model.amounts import quoted
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.gangs import Topology
from scheduler.core.model.gangshapes import LEADER, WORKERS, ShapeOf
from scheduler.core.model.stored import Stored, mapping, objects

_STEP = r"(?:\*|[A-Za-z][A-Za-z0-9_-]*)"
_PATH = re.compile(rf"{_STEP}(?:\.{_STEP})*")
_API = re.compile(r"(?:[a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?v[0-9a-z]+")
_KIND = re.compile(r"[A-Za-z0-9]+")
_RESOURCE = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One object that says how many pods start together. `uid` is "" where a pod doesn't tell."""

    api_version: str
    kind: str
    resource: str
    namespace: str
    name: str
    uid: str = ""

    def __str__(self) -> str:
        """Return what people call it."""
        return f"{self.kind} {self.name}"


def _nothing(_pod: Stored) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class OwnerKind:
    """A kind of objects whose pods may start together.

    `resource` is its plural in paths. The object is the one that the pod's `label` names, and
    `uid_label` its UID; without a label it is what made the pod. `group`, of a pod: which of the
    gangs of one object it is of; `part`: which part of the object's shape. `total`: the annotation
    of a pod that says how many pods its gang has.
    """

    api_version: str
    kind: str
    resource: str
    shape: ShapeOf
    label: str = ""
    uid_label: str = ""
    group: Callable[[Stored], str] = _nothing
    part: Callable[[Stored], str] = _nothing
    total: str = ""

    def ref_of(self, pod: Stored) -> ObjectRef | None:
        """Return the object of this kind that the pod is of; None if it is of none."""
        metadata = mapping(pod, "metadata")
        if self.label:
            labels = mapping(metadata, "labels")
            name, uid = labels.get(self.label), labels.get(self.uid_label, "")
            return self._ref(metadata, name, uid) if name else None
        for owner in objects(metadata, "ownerReferences"):
            made = owner.get("kind"), owner.get("apiVersion")
            if owner.get("controller") is True and made == (self.kind, self.api_version):
                return self._ref(metadata, owner.get("name"), owner.get("uid"))
        return None

    def _ref(self, metadata: Stored, name: object, uid: object) -> ObjectRef:
        namespace = str(metadata.get("namespace") or "")
        return ObjectRef(
            self.api_version, self.kind, self.resource, namespace, str(name), str(uid or "")
        )


POD_GROUP = OwnerKind("scheduling.k8s.io/v1beta1", "PodGroup", "podgroups", gangshapes.of_pod_group)
"""Named by the pod's spec.schedulingGroup."""

_JOB_SET = "jobset.sigs.k8s.io/"
_LEADER_WORKER_SET = "leaderworkerset.sigs.k8s.io/"


def _label(key: str) -> Callable[[Stored], str]:
    return lambda pod: str(mapping(mapping(pod, "metadata"), "labels").get(key) or "")


def _leads(pod: Stored) -> str:
    index = _label(f"{_LEADER_WORKER_SET}worker-index")(pod)
    return LEADER if index == "0" else WORKERS


KINDS: tuple[OwnerKind, ...] = (
    OwnerKind(
        "jobset.x-k8s.io/v1alpha2",
        "JobSet",
        "jobsets",
        gangshapes.of_job_set,
        label=f"{_JOB_SET}jobset-name",
        uid_label=f"{_JOB_SET}jobset-uid",
        # One that is restarted makes all of its Jobs anew, while some of the old ones may be there.
        group=_label(f"{_JOB_SET}restart-attempt"),
        part=_label(f"{_JOB_SET}replicatedjob-name"),
    ),
    OwnerKind(
        "leaderworkerset.x-k8s.io/v1",
        "LeaderWorkerSet",
        "leaderworkersets",
        gangshapes.of_leader_worker_set,
        label=f"{_LEADER_WORKER_SET}name",
        group=_label(f"{_LEADER_WORKER_SET}group-index"),
        part=_leads,
        total=f"{_LEADER_WORKER_SET}size",
    ),
    OwnerKind("batch/v1", "Job", "jobs", gangshapes.of_job),
)

ASK = ("Job",)
"""Most Jobs of several pods are work that is shared out, each pod by itself."""


@dataclass(frozen=True, slots=True)
class OwnerPaths:
    """A kind that settings add: see settings.Gangs. Raises InvalidInput, with what to change."""

    api_version: str
    kind: str
    resource: str
    parts: tuple[str, ...] = ("spec",)
    counts: tuple[str, ...] = ("replicas",)
    template: str = "template"
    label: str = ""

    def __post_init__(self) -> None:
        """Check what the paths of the API and into objects are made of."""
        if not _API.fullmatch(self.api_version) or not _KIND.fullmatch(self.kind):
            raise InvalidInput(
                "gangs.owners: write api_version and kind as its objects have them, such as "
                "kubeflow.org/v1 and PyTorchJob"
            )
        if not _RESOURCE.fullmatch(self.resource):
            raise InvalidInput(
                f"gangs.owners: {self.kind} needs its resource, the plural in the paths of the "
                "API, such as pytorchjobs"
            )
        paths = (*self.parts, *self.counts, *((self.template,) if self.template else ()))
        if not self.parts or not all(map(_PATH.fullmatch, paths)):
            raise InvalidInput(
                f"gangs.owners: {self.kind}: write paths such as spec.workers.*, names and * "
                "parted by dots"
            )

    def as_kind(self) -> OwnerKind:
        """Return it as a row of the table."""
        shape = gangshapes.Paths(self.parts, self.counts, self.template).shape
        return OwnerKind(*(self.api_version, self.kind, self.resource, shape), label=self.label)


@dataclass(frozen=True, slots=True)
class Membership:
    """Which gang a pod is of by an object: `group` and `part` as in OwnerKind; `total`: its pods.

    `asked`: by the pod's own words; `size`: how many start together by these, None: all;
    `topology`: how near to each other.
    """

    ref: ObjectRef
    group: str = ""
    part: str = ""
    total: int | None = None
    asked: bool = False
    size: int | None = None
    topology: Topology | None = None


class Owners:
    """The table, as it is by the settings: what they add stands in the place of what is there.

    Pods of the kinds in `ask` start together only where they ask for it. Raises InvalidInput for
    one that isn't in the table.
    """

    def __init__(self, more: Sequence[OwnerPaths] = (), ask: Sequence[str] = ASK) -> None:
        added = {(each.api_version, each.kind): each.as_kind() for each in more}
        there = {(each.api_version, each.kind): each for each in KINDS}
        kinds = (there | added).values()
        # A Job of a JobSet is a part of it: the label says so, and what made the pod doesn't.
        self._kinds = sorted(kinds, key=lambda kind: not kind.label)
        self._shapes: Mapping[tuple[str, str], ShapeOf] = {
            (each.api_version, each.kind): each.shape for each in (*kinds, POD_GROUP)
        }
        self._ask = frozenset(ask)
        if strange := sorted(self._ask - {kind.kind for kind in kinds}):
            raise InvalidInput(
                f"gangs.ask: there is no kind {quoted(strange[0])}; known are {self.names()}"
            )

    def shape_of(self, ref: ObjectRef) -> ShapeOf:
        """Return how such an object is read."""
        return self._shapes[ref.api_version, ref.kind]

    def group_of(self, pod: Stored) -> Membership | None:
        """Return the PodGroup that the pod names."""
        name = mapping(mapping(pod, "spec"), "schedulingGroup").get("podGroupName")
        if not name:
            return None
        namespace = str(mapping(pod, "metadata").get("namespace") or "")
        kind = POD_GROUP
        return Membership(
            ObjectRef(kind.api_version, kind.kind, kind.resource, namespace, str(name))
        )

    def owner_of(self, pod: Stored, *, asked: bool) -> Membership | None:
        """Return what makes pods that start together, by nature or where they `asked` for it."""
        for kind in self._kinds:
            ref = kind.ref_of(pod) if asked or kind.kind not in self._ask else None
            if ref is not None:
                return Membership(ref, kind.group(pod), kind.part(pod), _total(pod, kind.total))
        return None

    def names(self) -> str:
        """Return what the kinds are called, for people."""
        return ", ".join(sorted({kind.kind for kind in self._kinds}))


def _total(pod: Stored, key: str) -> int | None:
    metadata = mapping(pod, "metadata")
    text = str(mapping(metadata, "annotations").get(key) or "") if key else ""
    return int(text[:9]) if text.isascii() and text.isdecimal() else None
