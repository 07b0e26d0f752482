"""Label and field selectors, as far as Equipoise and its tests use them."""

from collections.abc import Callable
from typing import Any

JSON = dict[str, Any]


def matcher(labels: str, fields: str) -> Callable[[JSON], bool]:
    """Return whether an object is selected; "" selects all."""
    wanted = [part.strip() for part in labels.split(",") if part.strip()]
    places = [part.strip() for part in fields.split(",") if part.strip()]

    def matches(item: JSON) -> bool:
        held = item["metadata"].get("labels") or {}
        return all(_label(part, held) for part in wanted) and all(
            _field(part, item) for part in places
        )

    return matches


def _label(part: str, held: dict[str, str]) -> bool:
    for sign, same in (("!=", False), ("==", True), ("=", True)):
        key, found, value = part.partition(sign)
        if found:
            return (held.get(key.strip()) == value.strip()) is same
    return part[1:] not in held if part.startswith("!") else part in held


def _field(part: str, item: JSON) -> bool:
    key, _, value = part.replace("!=", "=!").partition("=")
    at: Any = item
    for step in key.strip().split("."):
        at = at.get(step) if isinstance(at, dict) else None
    if value.startswith("!"):
        return (at or "") != value[1:]
    return (at or "") == value.lstrip("=")
