"""What changed of a mapping: what was put, and None for what was dropped."""

from collections.abc import Iterator, Mapping
from typing import Any

from scheduler.core.journal.codec import decode

_ABSENT = object()


def changes(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """Tell them key by key, in the order of `after`; a value may not be None, but for good."""
    if after is before:
        return
    for key, value in after.items():
        known = before.get(key, _ABSENT)
        if known is not value and known != value:
            yield key, value
    for key in before:
        if key not in after:
            yield key, None


def apply(known: dict[Any, Any], told: Mapping[str, Any], kind: Any) -> None:
    """Bring a mapping up to date with changes as JSON; raise InvalidInput if they are none."""
    for key, raw in told.items():
        if raw is None:
            known.pop(key, None)
        else:
            known[key] = decode(kind, raw)
