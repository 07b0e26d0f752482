"""How a pod that asks for GPUs becomes one that waits for its turn and sees only what it is given.

A second look at the result changes nothing: the API server asks again whenever another webhook
changed the pod, and a new container of that one's then gets its variables too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scheduler.core.model import amounts, assignment, limitnotes, names, pins
from scheduler.core.model.errors import InvalidRequest
from scheduler.core.model.gangowners import Owners
from scheduler.core.model.gangreader import membership
from scheduler.core.model.podreader import gates_of, mapping
from scheduler.core.model.requestreader import (
    containers_asking,
    parse_gpu_containers,
    parse_max_runtime,
    parse_preemptible,
    parse_request,
)
from scheduler.core.model.requests import Request
from scheduler.webhook import environment, granting, patches
from scheduler.webhook.granting import Granting, NoGrants
from scheduler.webhook.patches import JSON, Op

DEFAULT_SCHEDULER = "default-scheduler"

TOLERATION = {"key": names.MANAGED_LABEL, "operator": "Exists", "effect": "NoSchedule"}
"""Our pods' way past the taint that keeps all others off managed nodes."""

_OTHER_GPUS = ("nvidia.com/gpu", "nvidia.com/mig-")
"""How resources of NVIDIA's device plugin begin: gpu.shared, mig-1g.10gb."""

_WRITTEN_BY_US = frozenset((names.DEVICES, names.ASSIGNMENT)) | limitnotes.ALL
_KAI = frozenset((names.KAI_FRACTION, names.KAI_MEMORY, names.KAI_DEVICES))
_KINDS = ("initContainers", "containers")

NO_GRANTS = NoGrants()


@dataclass(frozen=True, slots=True)
class Rules:
    """What admins decide about admission.

    `take_over`: schedulerNames of others whose pods become ours. `runtime_class`: what a pod with a
    request gets as runtimeClassName if it names none; "" sets none. `driver_limits`: every managed
    node's driver can limit memory; elsewhere NVIDIA's hook would fail to start the container.
    `owners`: kinds of objects that say how many pods start together.
    `label_users`: a pod with a request is labelled with who creates it.
    """

    take_over: tuple[str, ...] = ()
    runtime_class: str = ""
    driver_limits: bool = False
    owners: Owners = field(default_factory=Owners)
    label_users: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be changed, and what its author should hear about it."""

    ops: tuple[Op, ...] = ()
    warnings: tuple[str, ...] = ()


def concerns(pod: JSON, rules: Rules) -> bool:
    """Whether a pod outside tenants' namespaces is ours.

    It says so in words of ours, or in KAI's while naming no other scheduler that could mean it.
    """
    spec, notes = mapping(pod, "spec"), mapping(mapping(pod, "metadata"), "annotations")
    scheduler = spec.get("schedulerName") or DEFAULT_SCHEDULER
    return (
        any(key.startswith(names.PREFIX) for key in notes)
        or scheduler in (names.SCHEDULER_NAME, *rules.take_over)
        or names.GATE in gates_of(pod)
        or (scheduler == DEFAULT_SCHEDULER and not _KAI.isdisjoint(notes))
    )


def mutate(
    pod: JSON, rules: Rules, places: Granting = NO_GRANTS, *, user: str | None = None
) -> Draft:
    """Return what makes the pod ours; raise InvalidRequest with one sentence if it can't be.

    A pod without a request keeps all but its view of GPUs, and a schedulerName that we take over.
    `places`: who may give it a place at once. One that it has already is given up, and it is looked
    at anew. `user`: what it is labelled with; None: its label stays.
    """
    token = mapping(mapping(pod, "metadata"), "annotations").get(names.GRANTED)
    if token is not None and places.take_back(str(token), pod):
        draft = mutate(granting.without_place(pod), rules, places, user=user)
        return Draft((*granting.taken_off(pod), *draft.ops), draft.warnings)
    request = parse_request(pod)
    parse_preemptible(pod)
    parse_max_runtime(pod)
    membership(pod, rules.owners)
    _refuse_other_gpus(pod)
    _refuse_our_notes(pod)
    if request.devices:
        labels = {names.USER_LABEL: user} if rules.label_users and user is not None else {}
        return _asking(pod, request, rules, places, labels)
    ops = _wired(pod, (), environment.OF_OTHERS)
    if mapping(pod, "spec").get("schedulerName") in rules.take_over:
        ops.append(patches.put(names.SCHEDULER_NAME, "spec", "schedulerName"))
    return Draft(tuple(ops))


def mutate_debug(pod: JSON, before: JSON) -> Draft:
    """Return what hides all GPUs from the ephemeral containers that are new; raise as `mutate`."""
    kind = "ephemeralContainers"
    known = {entry.get("name") for entry in mapping(before, "spec").get(kind) or ()}
    ops: list[Op] = []
    for index, entry in enumerate(mapping(pod, "spec").get(kind) or ()):
        if entry.get("name") not in known:
            ops += environment.wire(entry, environment.OF_OTHERS, "spec", kind, index)
    return Draft(tuple(ops))


def _asking(
    pod: JSON, request: Request, rules: Rules, places: Granting, labels: Mapping[str, str]
) -> Draft:
    metadata, spec = mapping(pod, "metadata"), mapping(pod, "spec")
    _refuse_node(spec)
    targets, whole = parse_gpu_containers(pod), containers_asking(pod)
    notes = _notes(metadata, targets, str(request.devices) if whole else "")
    share = environment.of_share(mps=not request.whole, driver=rules.driver_limits)
    tolerations = () if _tolerates(spec) else (TOLERATION,)
    changed, wired = _changed(spec, rules), _wired(pod, targets, share)
    # Last of all: a pod that is refused takes no place.
    labelled = {**metadata, "labels": {**mapping(metadata, "labels"), **labels}}
    turn, granted = _turn({**pod, "metadata": labelled}, tolerations, places)
    ops = [
        *patches.merge(metadata, labels, "metadata", "labels"),
        *patches.merge(metadata, {**notes, **granted}, "metadata", "annotations"),
        *patches.merge(pod, changed, "spec"),
        *turn,
        *patches.append(spec, tolerations, "spec", "tolerations"),
        *wired,
        *_without_gpus(pod),
    ]
    return Draft(tuple(ops), _told(whole, request))


def _turn(
    pod: JSON, tolerations: tuple[JSON, ...], places: Granting
) -> tuple[list[Op], dict[str, str]]:
    """Give the pod a place at once, or a gate behind which it waits for its turn.

    Annotations, beside what else is to change.
    """
    spec, gates = mapping(pod, "spec"), gates_of(pod)
    if names.GRANTED in mapping(mapping(pod, "metadata"), "annotations"):
        return [], {}
    if not gates and not pins.own_terms(pod):
        borne = [*(spec.get("tolerations") or ()), *tolerations]
        found = places.grant({**pod, "spec": {**spec, "tolerations": borne}})
        if found is not None:
            return granting.pinned(pod, found.nodes), {names.GRANTED: found.token}
    gate = () if names.GATE in gates else ({"name": names.GATE},)
    return patches.append(spec, gate, "spec", "schedulingGates"), {}


def _notes(metadata: JSON, targets: tuple[str, ...], whole: str) -> dict[str, str]:
    """Annotations that the pod must carry; raise InvalidRequest if they leave too little room.

    The containers are written down: another webhook may put one of its own before them later.
    """
    held = mapping(metadata, "annotations")
    added = {} if names.GPU_CONTAINERS in held else {names.GPU_CONTAINERS: ",".join(targets)}
    if whole:
        added[names.GPU_FRACTION] = whole
    room = assignment.MAX_BYTES - assignment.OURS_BYTES
    if assignment.size({**held, **added}) > room:
        raise InvalidRequest(
            f"the pod's annotations must leave room for ours; keep them below {room} bytes"
        )
    return added


def _changed(spec: JSON, rules: Rules) -> dict[str, object]:
    """Fields of the spec with new values."""
    named = spec.get("schedulerName") or DEFAULT_SCHEDULER
    if named not in (DEFAULT_SCHEDULER, names.SCHEDULER_NAME, *rules.take_over):
        raise InvalidRequest(
            f"schedulerName {amounts.quoted(str(named))} is another scheduler's, which would not "
            f"keep the GPU shares; leave it out, or let an admin list it as one to take over"
        )
    changed: dict[str, object] = {"schedulerName": names.SCHEDULER_NAME}
    if rules.runtime_class and not spec.get("runtimeClassName"):
        changed["runtimeClassName"] = rules.runtime_class
    return changed


def _tolerates(spec: JSON) -> bool:
    return any(
        entry.get("key") in (None, "", names.MANAGED_LABEL)
        and entry.get("operator") == "Exists"
        and entry.get("effect") in (None, "", "NoSchedule")
        for entry in spec.get("tolerations") or ()
    )


def _wired(
    pod: JSON, targets: tuple[str, ...], share: tuple[environment.Variable, ...]
) -> list[Op]:
    """Each container's variables: of the share for those that see it, none for all others."""
    ops: list[Op] = []
    for kind, index, container in _each(pod):
        wanted = share if container.get("name") in targets else environment.OF_OTHERS
        ops += environment.wire(container, wanted, "spec", kind, index)
    return ops


def _without_gpus(pod: JSON) -> list[Op]:
    """Take nvidia.com/gpu out: the device plugin would hand out cards of its own."""
    return [
        patches.drop("spec", kind, index, "resources", part, names.NVIDIA_GPU)
        for kind, index, container in _each(pod)
        for part in ("limits", "requests")
        if names.NVIDIA_GPU in mapping(mapping(container, "resources"), part)
    ]


def _told(whole: tuple[str, ...], request: Request) -> tuple[str, ...]:
    if not whole:
        return ()
    became = f'{names.NVIDIA_GPU} became {names.GPU_FRACTION}: "{request.devices}"'
    return (became if len(whole) == 1 else f"{became}, and {', '.join(whole)} see the same GPUs",)


def _refuse_other_gpus(pod: JSON) -> None:
    for _, _, container in _each(pod):
        resources = mapping(container, "resources")
        for key in (*mapping(resources, "limits"), *mapping(resources, "requests")):
            if key.startswith(_OTHER_GPUS) and key != names.NVIDIA_GPU:
                raise InvalidRequest(
                    f"{amounts.quoted(key)} passes by the shares; ask by {names.GPU_FRACTION}, "
                    f"and name the slice or model that you want in {names.GPU_MODELS}"
                )


def _refuse_our_notes(pod: JSON) -> None:
    held = mapping(mapping(pod, "metadata"), "annotations")
    if found := sorted(_WRITTEN_BY_US & held.keys()):
        raise InvalidRequest(f"{found[0]} is written by Equipoise only; leave it out")


def _refuse_node(spec: JSON) -> None:
    if spec.get("nodeName"):
        raise InvalidRequest(
            f"nodeName {amounts.quoted(str(spec['nodeName']))} passes by the shares; leave it out, "
            f"and choose nodes by a nodeSelector such as kubernetes.io/hostname"
        )


def _each(pod: JSON) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """Kind, index and container, of all that are there from the start."""
    spec = mapping(pod, "spec")
    for kind in _KINDS:
        for index, container in enumerate(spec.get(kind) or ()):
            yield kind, index, container
