"""Kubernetes' pod (its JSON as a dict) → Pod. The one reader, beside the one request parser."""

from collections.abc import Callable
from functools import lru_cache

from scheduler.core.model import assignment, names, podstate
from scheduler.core.model.constraintreader import (
    Groups,
    is_movable,
    is_pinnable,
    read_constraints,
    uses_claims,
)
from scheduler.core.model.constraints import NO_CONSTRAINTS, Constraints
from scheduler.core.model.errors import InvalidInput, InvalidRequest
from scheduler.core.model.gangreader import GangOf, gang_by_words
from scheduler.core.model.gangs import Gang
from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.pins import own_terms
from scheduler.core.model.pods import Pod
from scheduler.core.model.requestreader import (
    parse_max_runtime,
    parse_preemptible,
    parse_request,
)
from scheduler.core.model.requests import Request
from scheduler.core.model.stored import Stored, objects
from scheduler.core.model.stored import mapping as mapping
from scheduler.core.model.timestamps import seconds_of

PodJSON = Stored

TenantOf = Callable[[str, str], TenantName]
"""Whose share a pod counts for, by its namespace and its user ("": it names none)."""

# Pods of one owner share its UID.
_same_text = lru_cache(maxsize=4096)(str)

VolumesOf = Callable[[PodJSON], Groups | None]
"""What the volumes of a pod's claims say about nodes; None if one of them isn't bound yet."""


def read_pod(
    pod: PodJSON,
    tenant_of: TenantOf,
    volumes_of: VolumesOf | None = None,
    gang_of: GangOf = gang_by_words,
) -> Pod:
    """Read a pod as the API server stores it; an unreadable request becomes its `problem`.

    A gang that can't be read keeps a pod from starting; one that has a node is of none then.

    Where it may go is read of one that holds GPUs, too: it may have to be moved; without the nodes
    that it was pinned to. Without `volumes_of` a pod with claims is taken for one whose volumes
    aren't bound; without `gang_of` nobody knows what gang it is of by an object. Raises
    InvalidInput if it has no UID, name or namespace.
    """
    metadata = mapping(pod, "metadata")
    uid, name, namespace = (metadata.get(key) for key in ("uid", "name", "namespace"))
    if not isinstance(uid, str) or not uid:
        raise InvalidInput("the pod has no metadata.uid; send it as the API server stores it")
    if not isinstance(name, str) or not isinstance(namespace, str) or not name or not namespace:
        raise InvalidInput("the pod has no metadata.name or namespace; send it as stored")
    spec = mapping(pod, "spec")
    request, preemptible, max_runtime, gang, problem = _request(pod, gang_of)
    constraints, pinnable = _where(pod, request, volumes_of)
    priority, user = spec.get("priority"), user_of(metadata)
    workload, revision = _rollout(metadata)
    return Pod(
        uid=PodUID(uid),
        namespace=namespace,
        name=name,
        tenant=tenant_of(namespace, user),
        request=request,
        created=seconds_of(metadata.get("creationTimestamp")),
        priority=priority if isinstance(priority, int) else 0,
        preemptible=preemptible,
        max_runtime=max_runtime,
        foreign_gates=tuple(gate for gate in gates_of(pod) if gate != names.GATE),
        problem=problem,
        constraints=constraints,
        pinnable=pinnable,
        workload=workload,
        revision=revision,
        gang=gang,
        owner=_same_text(podstate.owner_of(pod)),
        user=_same_text(user),
    )


def user_of(metadata: Stored) -> str:
    """Return the user that a pod's labels name; "" for none."""
    user = mapping(metadata, "labels").get(names.USER_LABEL)
    return user if isinstance(user, str) else ""


def _rollout(metadata: Stored) -> tuple[str, str]:
    """Return the pod's Deployment (namespace/name) and ReplicaSet; "" twice for a pod of neither.

    A Deployment's ReplicaSet is called after both and has its pods labelled with the latter part.
    """
    suffix = f"-{mapping(metadata, 'labels').get('pod-template-hash')}"
    for owner in objects(metadata, "ownerReferences"):
        name = str(owner.get("name"))
        if owner.get("controller") is True and owner.get("kind") == "ReplicaSet":
            deployment = name.removesuffix(suffix)
            if deployment not in ("", name):
                return f"{metadata.get('namespace')}/{deployment}", name
    return "", ""


def gates_of(pod: PodJSON) -> tuple[str, ...]:
    """Return the names of the pod's scheduling gates."""
    gates = objects(mapping(pod, "spec"), "schedulingGates")
    return tuple(str(gate.get("name", "")) for gate in gates)


def pinned_to(pod: PodJSON) -> tuple[NodeName, ...]:
    """Return the nodes that the pod's required affinity names by metadata.name; () for none."""
    return tuple(
        NodeName(str(name))
        for term in own_terms(pod)
        for field in objects(term, "matchFields")
        if field.get("key") == "metadata.name" and field.get("operator") == "In"
        for name in field.get("values") or ()
    )


def _request(pod: PodJSON, gang_of: GangOf) -> tuple[Request, bool, float | None, Gang | None, str]:
    """Request, whether it may be preempted, its longest run, gang, and the problem or ""."""
    try:
        request, preemptible = parse_request(pod), parse_preemptible(pod)
        max_runtime = parse_max_runtime(pod)
        # Without a GPU it starts when it likes: a launcher, say, that waits for the others itself.
        gang, problem = _together(pod, gang_of) if request.devices else (None, "")
        # What its tenant may change later takes nothing from a pod that runs.
        if problem and not mapping(pod, "spec").get("nodeName"):
            return _without_gpus(pod), True, None, None, problem
        return request, preemptible, max_runtime, gang, ""
    except InvalidRequest as refusal:
        return _without_gpus(pod), True, None, None, str(refusal)
    except (AttributeError, TypeError, ValueError):
        # Fields of another type than Kubernetes': nothing that an API server would store.
        return Request(), True, None, None, "the pod isn't one that an API server would store"


def _together(pod: PodJSON, gang_of: GangOf) -> tuple[Gang | None, str]:
    """What it starts together with, and what keeps it from being started at all or ""."""
    try:
        gang = gang_of(pod)
    except InvalidRequest as refusal:
        return None, str(refusal)
    room = assignment.MAX_BYTES - assignment.OURS_BYTES
    if assignment.size(mapping(mapping(pod, "metadata"), "annotations")) > room:
        return gang, f"its annotations must leave room; keep them below {room} bytes"
    return gang, ""


def _without_gpus(pod: PodJSON) -> Request:
    """CPU and memory alone: a pod that runs takes them, whatever its annotations say."""
    try:
        read = parse_request({"spec": mapping(pod, "spec")})
    except (InvalidRequest, AttributeError, TypeError, ValueError):
        return Request()
    return Request(cpu_milli=read.cpu_milli, ram_mib=read.ram_mib)


def _where(
    pod: PodJSON, request: Request, volumes_of: VolumesOf | None
) -> tuple[Constraints, bool]:
    """Where a pod may go, and whether it may be pinned; one without GPUs that runs stays there."""
    bound = bool(mapping(pod, "spec").get("nodeName"))
    if bound and not request.devices:
        return NO_CONSTRAINTS, True
    volumes: Groups | None = ()
    if uses_claims(pod):
        volumes = None if volumes_of is None else volumes_of(pod)
    if bound and not is_movable(pod):
        return read_constraints(pod, volumes or ()), False
    return read_constraints(pod, volumes or (), pinned=bound), volumes is not None and is_pinnable(
        pod
    )
