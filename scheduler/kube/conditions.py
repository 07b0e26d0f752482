"""Conditions: what holds of an object, in stable words, and since when."""

from collections.abc import Iterable

from scheduler.core.model import names
from scheduler.core.model.stored import Stored, mapping, objects
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.kube.client import JSON
from scheduler.kube.times import stamp

ADMITTED = f"{names.PREFIX}Admitted"
"""On pods: False with the reason while it is held, True once it was released after that."""

_STEADY = (
    Reason.INVALID_REQUEST,
    Reason.UNKNOWN_TENANT,
    Reason.TENANT_HAS_CHILDREN,
    Reason.FOREIGN_GATE,
)
"""Their details say what to change, and hold no number that moves while nothing changes."""


def condition(
    kind: str, *, holds: bool, reason: str, message: str, at: float, before: Stored | None = None
) -> JSON:
    """Return a condition. `before` is the one that is stored: since when it holds is kept.

    `at` is in seconds since the epoch.
    """
    status = "True" if holds else "False"
    since = before.get("lastTransitionTime") if before and before.get("status") == status else None
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since or stamp(at),
    }


def admitted(verdict: Verdict, *, at: float, before: Stored | None = None) -> JSON:
    """Return the condition of a pod on which that is the verdict."""
    return condition(
        ADMITTED,
        holds=verdict.reason is Reason.RELEASED,
        reason=verdict.reason.value,
        message=steady_sentence(verdict),
        at=at,
        before=before,
    )


def steady_sentence(verdict: Verdict) -> str:
    """Return the verdict in words that stay the same while nothing changes."""
    return verdict.sentence if verdict.reason in _STEADY else verdict.stable


def find(stored: Stored | None, kind: str) -> Stored | None:
    """Return the condition of that type that an object carries."""
    listed = objects(mapping(stored or {}, "status"), "conditions")
    return next((each for each in listed if each.get("type") == kind), None)


def says(stored: Stored | None, wanted: Stored) -> bool:
    """Whether a stored condition says the same already, whenever it began."""
    return stored is not None and same((stored,), (wanted,))


def same(some: Iterable[Stored], others: Iterable[Stored]) -> bool:
    """Whether conditions in the same order say the same, whenever they began."""
    return [_words(each) for each in some] == [_words(each) for each in others]


def _words(of: Stored) -> tuple[object, ...]:
    return tuple(of.get(key) for key in ("type", "status", "reason", "message"))
