"""JSON patches (RFC 6902) that only say what changes: whoever patches less, conflicts less."""

from collections.abc import Mapping, Sequence
from typing import Any

JSON = Mapping[str, Any]
Op = dict[str, Any]


def pointer(*path: str | int) -> str:
    """Return the JSON pointer to a path (RFC 6901)."""
    return "".join(f"/{_escaped(str(part))}" for part in path)


def put(value: object, *path: str | int) -> Op:
    """Set the key of an object, or put before an item of a list ("-": at its end)."""
    return {"op": "add", "path": pointer(*path), "value": value}


def replace(value: object, *path: str | int) -> Op:
    """Put it in the place of what is there."""
    return {"op": "replace", "path": pointer(*path), "value": value}


def drop(*path: str | int) -> Op:
    """Take out what is there."""
    return {"op": "remove", "path": pointer(*path)}


def merge(above: JSON, wanted: Mapping[str, object], *path: str) -> list[Op]:
    """Set each key of the object that stands under the last part of `path`, made if missing."""
    found = above.get(path[-1])
    missing = {key: value for key, value in wanted.items() if (found or {}).get(key) != value}
    if not missing or found:
        return [put(value, *path, key) for key, value in missing.items()]
    return [put(missing, *path)]


def append(above: JSON, items: Sequence[object], *path: str | int) -> list[Op]:
    """Add to the end of the list that stands under the last part of `path`, made if missing."""
    if not items or above.get(str(path[-1])):
        return [put(item, *path, "-") for item in items]
    return [put(list(items), *path)]


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")
