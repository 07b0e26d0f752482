"""Objects as the API server stores them: JSON as dicts and lists, whose parts may be missing."""

from collections.abc import Mapping, Sequence
from typing import Any

Stored = Mapping[str, Any]


def mapping(entry: Stored, key: str) -> Stored:
    """Return the object under a key; an empty one if there is none."""
    found = entry.get(key)
    # Nearly always it is a dict, which is asked first: an abstract class takes five times as long.
    return found if isinstance(found, (dict, Mapping)) else {}


def objects(entry: Stored, key: str) -> Sequence[Stored]:
    """Return the objects in the list under a key; none if there is no list."""
    found = entry.get(key)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def texts(entry: Stored, key: str) -> tuple[str, ...]:
    """Return the texts in the list under a key; none if there is no list."""
    found = entry.get(key)
    return tuple(map(str, found)) if isinstance(found, list) else ()
