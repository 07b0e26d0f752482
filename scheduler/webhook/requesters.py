"""Whose pod it is: the user who creates it, as the value of a label.

A pod that a controller makes comes from that controller's account, which says nothing about whose
it is: it keeps the label of its template.
"""

import hashlib
import re

from scheduler.core.model.stored import mapping, objects
from scheduler.webhook.patches import JSON

LONGEST = 63
"""Of a label's value, in characters."""

_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_OTHERS = re.compile(r"[^-A-Za-z0-9_.]+")
_DIGITS = 8


def requester(request: JSON) -> str | None:
    """Return the label of who asks for a pod; None: its own label stays, if it has one."""
    name = mapping(request, "userInfo").get("username")
    if not isinstance(name, str) or not name:
        return None
    if name.startswith("system:") and _is_made(mapping(request, "object")):
        return None
    return label_of(name)


def label_of(user: str) -> str:
    """Return a user's name as a label's value: as it is, if it may be one.

    Else what may not stand there becomes a dash, and eight digits of the name's SHA-256 tell it
    from others: "jo@example.org" is "jo-example.org-" and those digits.
    """
    if len(user) <= LONGEST and _VALUE.fullmatch(user):
        return user
    digits = hashlib.sha256(user.encode()).hexdigest()[:_DIGITS]
    readable = _OTHERS.sub("-", user)[: LONGEST - _DIGITS - 1].strip("-_.")
    return f"{readable}-{digits}" if readable else digits


def _is_made(pod: JSON) -> bool:
    owners = objects(mapping(pod, "metadata"), "ownerReferences")
    return any(owner.get("controller") is True for owner in owners)
