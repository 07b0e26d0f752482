"""Kubernetes' JSON of pods, nodes and volumes → constraints, and whether a pod may be pinned."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from scheduler.core.model import names, pins
from scheduler.core.model.constraints import (
    NAME_FIELD,
    Constraints,
    Requirement,
    Taint,
    Term,
    Toleration,
)
from scheduler.core.model.podstate import owner_of
from scheduler.core.model.stored import Stored, mapping, objects, texts

Groups = tuple[tuple[Term, ...], ...]
"""As `Constraints.terms`: all groups must hold, any term of a group will do."""

ZONES_APART = "__"
"""Between the zones that a volume's label lists."""

_GENERAL = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
}
_TOPOLOGY = (*_GENERAL, *_GENERAL.values())
_COUNTED = ("cpu", "memory", names.NVIDIA_GPU)

# Pods of one template share them, and so does what is kept by them.
_shared = lru_cache(maxsize=4096)(Constraints)


def read_constraints(pod: Stored, volumes: Groups = (), *, pinned: bool = False) -> Constraints:
    """Read what a pod's spec says about nodes; `volumes` are the groups of its bound volumes.

    One that was `pinned` names nodes by our doing: what it names is left out.
    """
    spec = mapping(pod, "spec")
    affinity = mapping(mapping(spec, "affinity"), "nodeAffinity")
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    own: Groups = (read_terms(required),) if isinstance(required, Mapping) else ()
    if pinned:
        own = tuple(filter(None, map(_without_names, own)))
    selector = mapping(spec, "nodeSelector")
    return _shared(
        tuple(sorted((str(key), str(value)) for key, value in selector.items())),
        (*own, *volumes),
        tuple(_toleration(each) for each in objects(spec, "tolerations")),
    )


def _without_names(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    """Leave out names of nodes; () if one of the terms then asks for nothing."""
    left = [
        Term(term.labels, tuple(line for line in term.fields if line.key != NAME_FIELD))
        for term in terms
    ]
    return tuple(dict.fromkeys(left)) if all(t.labels or t.fields for t in left) else ()


def read_terms(selector: Stored) -> tuple[Term, ...]:
    """Read a NodeSelector; without a term it selects no node."""
    return tuple(
        Term(_lines(each, "matchExpressions"), _lines(each, "matchFields"))
        for each in objects(selector, "nodeSelectorTerms")
    )


def read_taints(node: Stored) -> tuple[Taint, ...]:
    """Read a node's taints."""
    return tuple(
        Taint(*(str(each.get(key) or "") for key in ("key", "value", "effect")))
        for each in objects(mapping(node, "spec"), "taints")
    )


def read_volume(volume: Stored) -> Groups:
    """Read where a PersistentVolume can be used, as VolumeBinding and VolumeZone look at it.

    Its node affinity is asked about labels only; its zone labels bind nodes that have such labels.
    Sources: k8s.io/component-helpers storage/volume CheckNodeAffinity, plugin VolumeZone.
    """
    groups: list[tuple[Term, ...]] = []
    required = mapping(mapping(volume, "spec"), "nodeAffinity").get("required")
    if isinstance(required, Mapping):
        terms = read_terms(required)
        # A term about fields alone holds everywhere, and so the group does.
        if not any(term.fields and not term.labels for term in terms):
            groups.append(tuple(Term(term.labels) for term in terms))
    labels = mapping(mapping(volume, "metadata"), "labels")
    for key in _TOPOLOGY:
        zones = tuple(part.strip() for part in str(labels.get(key, "")).split(ZONES_APART))
        if all(zones):
            groups.append(tuple(_in_zone(key, zones)))
    return tuple(groups)


def uses_claims(pod: Stored) -> bool:
    """Whether the pod uses volumes that may first have to be made or found."""
    volumes = objects(mapping(pod, "spec"), "volumes")
    return any("persistentVolumeClaim" in each or "ephemeral" in each for each in volumes)


def is_pinnable(pod: Stored) -> bool:
    """Whether we know all that kube-scheduler looks at, and somebody would make the pod again.

    Bound volumes apart: what they ask for is told by `read_volume`.
    """
    spec = mapping(pod, "spec")
    affinity = mapping(spec, "affinity")
    if affinity.get("podAffinity") or affinity.get("podAntiAffinity"):
        return False
    if spec.get("topologySpreadConstraints") or spec.get("resourceClaims"):
        return False
    if not owner_of(pod):
        return False
    containers = (*objects(spec, "containers"), *objects(spec, "initContainers"))
    if any(port.get("hostPort") for each in containers for port in objects(each, "ports")):
        return False
    # A pod may ask for resources as a whole, too.
    return all(map(_asks_for_counted, (spec, *containers)))


def is_movable(pod: Stored) -> bool:
    """Whether a pod that runs could be made again elsewhere, as far as it names nodes itself.

    A DaemonSet's belongs to its node. Of names beside other terms of its own it can't be told which
    of them are ours.
    """
    owners = objects(mapping(pod, "metadata"), "ownerReferences")
    if any(each.get("controller") is True and each.get("kind") == "DaemonSet" for each in owners):
        return False
    terms = pins.own_terms(pod)
    named = any(
        line.get("key") == NAME_FIELD for term in terms for line in objects(term, "matchFields")
    )
    return not named or pins.is_pin(terms)


def _asks_for_counted(entry: Stored) -> bool:
    """Whether it asks for no other resources than the ledger counts."""
    resources = mapping(entry, "resources")
    asked = (*mapping(resources, "requests"), *mapping(resources, "limits"))
    return all(resource in _COUNTED for resource in asked)


def _toleration(entry: Stored) -> Toleration:
    key, value, effect = (str(entry.get(key) or "") for key in ("key", "value", "effect"))
    return Toleration(key, str(entry.get("operator") or "Equal"), value, effect)


def _lines(term: Stored, key: str) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(str(each.get("key", "")), str(each.get("operator", "")), texts(each, "values"))
        for each in objects(term, key)
    )


def _in_zone(key: str, zones: tuple[str, ...]) -> Iterable[Term]:
    """Nodes in one of the zones, by this label or its general name; nodes that name no zone."""
    yield Term((Requirement(key, "In", zones),))
    if key in _GENERAL:
        missing = Requirement(key, "DoesNotExist")
        yield Term((missing, Requirement(_GENERAL[key], "In", zones)))
    yield Term(tuple(Requirement(each, "DoesNotExist") for each in _TOPOLOGY))
