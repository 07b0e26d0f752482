"""The four kinds of patch, as far as they matter here; each gives a new object."""

import copy
from typing import Any

from tests.support.apiserver.refusals import Refused

JSON = dict[str, Any]

# Lists that a strategic merge patch, or an apply, merges by a key; all others are replaced.
KEYS = {
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "schedulingGates": "name",
    "volumeMounts": "mountPath",
    "volumes": "name",
}


def merge(old: Any, patch: Any) -> Any:
    """RFC 7386: null removes, objects are merged, everything else is replaced."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    new = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            new.pop(key, None)
        else:
            new[key] = merge(new.get(key), value)
    return new


def strategic(old: Any, patch: Any) -> Any:
    """A merge patch that merges the lists of `KEYS`, and knows `$patch: delete` and `replace`."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    new = dict(old) if isinstance(old, dict) and patch.get("$patch") != "replace" else {}
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            new.pop(key, None)
        elif isinstance(value, list) and key in KEYS:
            new[key] = _merge_list(new.get(key) or [], value, KEYS[key])
        else:
            new[key] = strategic(new.get(key), value)
        if new.get(key) == []:
            del new[key]
    return new


def _merge_list(old: list[JSON], patch: list[JSON], key: str) -> list[JSON]:
    if any(each.get("$patch") == "replace" for each in patch):
        return [copy.deepcopy(each) for each in patch if "$patch" not in each]
    found = {each[key]: each for each in old}
    for each in patch:
        if each.get("$patch") == "delete":
            found.pop(each[key], None)
        else:
            found[each[key]] = strategic(found.get(each[key]), each)
    return list(found.values())


def json_patch(old: JSON, operations: list[JSON]) -> JSON:
    """RFC 6902: add, remove, replace and test."""
    new = copy.deepcopy(old)
    for operation in operations:
        try:
            _operate(new, operation)
        except (KeyError, IndexError, ValueError, TypeError):
            raise Refused(
                422, "Invalid", "the server rejected our request due to an error in our request"
            ) from None
    return new


def _operate(new: JSON, operation: JSON) -> None:
    steps = [
        step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]
    ]
    at: Any = new
    for step in steps[:-1]:
        at = at[int(step)] if isinstance(at, list) else at[step]
    last: Any = steps[-1]
    if isinstance(at, list):
        last = len(at) if last == "-" else int(last)
    _change(at, last, operation)


def _change(at: Any, last: Any, operation: JSON) -> None:
    match operation["op"]:
        case "test":
            if at[last] != operation["value"]:
                raise ValueError("test failed")
        case "remove":
            del at[last]
        case "replace":
            at[last]
            at[last] = copy.deepcopy(operation["value"])
        case "add" if isinstance(at, list):
            at.insert(last, copy.deepcopy(operation["value"]))
        case "add":
            at[last] = copy.deepcopy(operation["value"])
        case other:
            raise ValueError(other)


def collisions(applied: Any, theirs: Any, path: str = "") -> list[str]:
    """Paths of fields that somebody else applied otherwise."""
    if isinstance(applied, dict) and isinstance(theirs, dict):
        return [
            found
            for key in applied
            if key in theirs
            for found in collisions(applied[key], theirs[key], f"{path}.{key}")
        ]
    return [] if applied == theirs else [path]
