"""How a pod is released: ONE patch that takes our gate off and pins the pod to its nodes.

A pin can't be taken back. Each candidate is a term of its own (core.model.pins); where a pod has
required terms already, none may be added and each may only gain lines, so each gets one name.
Source: k8s.io/kubernetes pkg/apis/core/validation, validateNodeAffinityMutation.
"""

from collections.abc import Callable, Sequence

from scheduler.core.model import names
from scheduler.core.model.constraintreader import read_terms
from scheduler.core.model.constraints import Term
from scheduler.core.model.errors import ReleaseRefused
from scheduler.core.model.ids import NodeName
from scheduler.core.model.pins import REQUIRED, line, own_terms, pin
from scheduler.core.model.stored import Stored, mapping, objects
from scheduler.kube.client import JSON, Patch

Allow = Callable[[Term, NodeName], bool]
"""Whether the node satisfies the term."""


def release_patch(pod: Stored, nodes: Sequence[NodeName], *, allow: Allow) -> tuple[Patch, JSON]:
    """Return the patch of a pod; `nodes` are the candidates, the planned one first.

    UID and version are preconditions: what was looked at is what is changed. Other gates, and
    everything else that the pod asks for, stay. Raises ReleaseRefused if no required term of the
    pod's own takes the planned node.
    """
    own = own_terms(pod)
    required = {"nodeSelectorTerms": _narrowed(own, nodes, allow)} if own else pin(nodes)
    affinity = {"nodeAffinity": {REQUIRED: required}}
    # A strategic merge keeps what it doesn't name: other gates, preferences, other affinities.
    return Patch.STRATEGIC, _ungated(pod, affinity=affinity)


def ungate_patch(pod: Stored) -> tuple[Patch, JSON]:
    """Return the patch that takes our gate off and does nothing else."""
    return Patch.STRATEGIC, _ungated(pod)


def nominate_patch(pod: Stored, node: NodeName) -> tuple[Patch, JSON]:
    """Return the patch of `pods/status` that has kube-scheduler try this node first."""
    return Patch.MERGE, {"metadata": preconditions(pod), "status": {"nominatedNodeName": node}}


def preconditions(pod: Stored) -> JSON:
    """Return the metadata with which a patch fits this pod, as it is, and no other."""
    metadata = mapping(pod, "metadata")
    return {key: metadata[key] for key in ("uid", "resourceVersion")}


def _ungated(pod: Stored, **spec: JSON) -> JSON:
    gates = [{"name": names.GATE, "$patch": "delete"}]
    return {"metadata": preconditions(pod), "spec": {"schedulingGates": gates, **spec}}


def _narrowed(own: Sequence[Stored], nodes: Sequence[NodeName], allow: Allow) -> list[Stored]:
    takers = [
        [node for node in nodes if allow(term, node)]
        for term in read_terms({"nodeSelectorTerms": own})
    ]
    if not any(nodes[0] in each for each in takers):
        raise ReleaseRefused(f"none of its own node affinity's terms takes node {nodes[0]}")
    return [_named(term, node) for term, node in zip(own, _names(takers, nodes[0]), strict=True)]


def _names(takers: Sequence[Sequence[NodeName]], planned: NodeName) -> list[NodeName]:
    """One name for each term: the planned node for one, others for as many nodes as possible."""
    first = next(at for at, each in enumerate(takers) if planned in each)
    named = {planned}
    chosen = []
    for at, each in enumerate(takers):
        other = next((node for node in each if node not in named), None)
        # A term that takes none of them gets the planned name too, so that it holds nowhere.
        chosen.append(planned if at == first or other is None else other)
        named.add(chosen[-1])
    return chosen


def _named(term: Stored, node: NodeName) -> Stored:
    """The term with one line more. One without lines holds nowhere, and mustn't gain any."""
    fields, named = objects(term, "matchFields"), line(node)
    if named in fields or not (fields or objects(term, "matchExpressions")):
        return term
    return {**term, "matchFields": [*fields, named]}
