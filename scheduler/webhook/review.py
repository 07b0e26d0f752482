"""One AdmissionReview (admission.k8s.io/v1), judged: pure, dict in, Answer out.

Whether a pod's namespace is a tenant's isn't in the review. The API server knows, and asks at
another path, by the namespaceSelector of two webhooks in one configuration.
"""

from collections.abc import Callable
from dataclasses import dataclass

from scheduler.core.model.errors import InvalidRequest
from scheduler.core.model.podreader import mapping
from scheduler.webhook import mutation
from scheduler.webhook.granting import Granting, OthersGrants
from scheduler.webhook.mutation import NO_GRANTS, Draft, Rules
from scheduler.webhook.patches import JSON, Op
from scheduler.webhook.requesters import requester

MIRROR = "kubernetes.io/config.mirror"
"""Carried by a static pod's picture, which only its own kubelet makes."""

Judge = Callable[[JSON, JSON], Draft]
"""The review's request and its pod; raises InvalidRequest."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether it may be; if not `code` and `message` (one sentence), else what is to change."""

    allowed: bool = True
    code: int = 200
    message: str = ""
    patch: tuple[Op, ...] = ()
    warnings: tuple[str, ...] = ()


def mutating(request: JSON, rules: Rules, *, tenants: bool, places: Granting = NO_GRANTS) -> Answer:
    """Judge the `request` of a review sent to /mutate; `tenants`: in a tenant's namespace.

    `places`: who may give a new pod its place at once; nobody is asked for a dry run.
    """
    if request.get("dryRun"):
        places = NO_GRANTS
    return _judged(lambda asked, pod: _changes(asked, pod, rules, places), request, rules, tenants)


def validating(request: JSON, rules: Rules, *, tenants: bool) -> Answer:
    """Judge the `request` of a review sent to /validate: what all webhooks together made of it."""
    return _judged(lambda asked, pod: _checks(asked, pod, rules), request, rules, tenants)


def _judged(judge: Judge, request: JSON, rules: Rules, tenants: bool) -> Answer:
    pod = mapping(request, "object")
    if not _pods(request) or _mirror(request, pod):
        return Answer()
    if not tenants and not mutation.concerns(pod, rules):
        return Answer()
    try:
        draft = judge(request, pod)
    except InvalidRequest as problem:
        return Answer(allowed=False, code=422, message=str(problem))
    return Answer(patch=draft.ops, warnings=draft.warnings)


def _changes(request: JSON, pod: JSON, rules: Rules, places: Granting) -> Draft:
    match request.get("operation"), request.get("subResource") or "":
        case "CREATE", "":
            metadata = {**mapping(pod, "metadata"), "namespace": request.get("namespace")}
            user = requester(request)
            return mutation.mutate({**pod, "metadata": metadata}, rules, places, user=user)
        case "UPDATE", "ephemeralcontainers":
            return mutation.mutate_debug(pod, mapping(request, "oldObject"))
    return Draft()


def _checks(request: JSON, pod: JSON, rules: Rules) -> Draft:
    if left := _changes(request, pod, rules, OthersGrants()).ops:
        raise InvalidRequest(
            f"the pod isn't as Equipoise left it at {left[0]['path']}; another admission webhook "
            f"changed it, let that one leave the field alone"
        )
    return Draft()


def _pods(request: JSON) -> bool:
    resource = mapping(request, "resource")
    return not resource.get("group") and resource.get("resource") == "pods"


def _mirror(request: JSON, pod: JSON) -> bool:
    """Whether a kubelet made it; anybody else who writes the annotation is no kubelet."""
    groups = mapping(request, "userInfo").get("groups") or ()
    return "system:nodes" in groups and MIRROR in mapping(mapping(pod, "metadata"), "annotations")
