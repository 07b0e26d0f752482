"""Writes to the API server, by who asked and for what, from its audit log."""

from collections import Counter

from tests.support.controlplane.audit import Audit, Entry
from tests.support.controlplane.installed import USER

VERBS = {"create", "update", "patch", "delete", "deletecollection"}
SERVE, SCHEDULER = "serve", "kube-scheduler"
_ACCOUNTS = "system:serviceaccount:kube-system:"

Writes = Counter[tuple[str, str]]
"""Times that (who, "verb resource") was asked for, refusals included."""


def writes(audit: Audit) -> Writes:
    """Count them from the log's mark on. Leases are none of the pods' cost."""
    return Writes(
        (_who(each), f"{each.verb} {each.resource}")
        for each in audit.entries()
        if each.verb in VERBS and each.resource not in {"leases", "subjectaccessreviews"}
    )


def a_pod(found: Writes, pods: int, *who: str) -> float:
    """Return how many each pod took, of these or of everybody."""
    return sum(times for (each, _), times in found.items() if not who or each in who) / pods


def _who(entry: Entry) -> str:
    if entry.user == USER:
        agent = str(entry.raw.get("userAgent", ""))
        return SCHEDULER if agent.startswith("kube-scheduler") else SERVE
    name = entry.user.removeprefix(_ACCOUNTS)
    return SCHEDULER if name == "stock" else name
