"""What the feed needs to know of a pod's JSON beside what `read_pod` makes of it."""

from scheduler.core.model import names
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.podreader import pinned_to
from scheduler.core.model.stored import Stored, mapping, objects

_NVIDIA = (names.NVIDIA_GPU + ".", "nvidia.com/mig-")
"""What NVIDIA's device plugin calls cards that are shared, and parts of cards."""


def uid_of(pod: Stored) -> PodUID:
    """Return the pod's UID."""
    return PodUID(str(mapping(pod, "metadata").get("uid")))


def slim(pod: Stored) -> Stored:
    """Return the pod without what only the API server needs: that is half of most pods."""
    metadata = mapping(pod, "metadata")
    if "managedFields" not in metadata:
        return pod
    kept = {key: value for key, value in metadata.items() if key != "managedFields"}
    return {**pod, "metadata": kept}


def same_wish(before: Stored, pod: Stored) -> bool:
    """Whether both ask for the same; only what others wrote about it may differ."""
    kept, given = mapping(before, "metadata"), mapping(pod, "metadata")
    described = ("annotations", "labels", "ownerReferences")
    return before.get("spec") == pod.get("spec") and all(
        kept.get(key) == given.get(key) for key in described
    )


def turned_down(pod: Stored) -> bool:
    """Whether kube-scheduler has looked at the pod, and found no node."""
    return any(
        each.get("type") == "PodScheduled" and each.get("reason") == "Unschedulable"
        for each in objects(mapping(pod, "status"), "conditions")
    )


def released_to(pod: Stored) -> tuple[tuple[NodeName, ...], bool]:
    """Return the nodes that a pod was released to, and whether it is pinned there."""
    pinned = pinned_to(pod)
    if pinned:
        return pinned, True
    nominated = mapping(pod, "status").get("nominatedNodeName")
    return ((NodeName(str(nominated)),) if nominated else (), False)


def takes_nvidia(pod: Stored) -> bool:
    """Whether the pod holds cards, or parts of them, by NVIDIA's device plugin, past us."""
    spec = mapping(pod, "spec")
    return any(
        (name == names.NVIDIA_GPU or name.startswith(_NVIDIA)) and str(amount) != "0"
        for each in (*objects(spec, "containers"), *objects(spec, "initContainers"))
        for kind in ("limits", "requests")
        for name, amount in mapping(mapping(each, "resources"), kind).items()
    )
