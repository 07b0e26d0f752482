"""Settings from a YAML file and from the environment, read once, at the start."""

import contextlib
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml

from scheduler.core.model.amounts import quoted
from scheduler.core.model.errors import InvalidFile, InvalidInput
from scheduler.settings import Settings

PREFIX = "EQUIPOISE_"
"""EQUIPOISE_PACKING_POLICY is `policy` of the group `packing`; it stands above the file."""


def read_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Return the defaults, changed by the file, changed by the environment.

    Raises InvalidFile or InvalidInput with what to change.
    """
    settings = Settings()
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise InvalidFile(str(path), f"can't be read ({problem}); name a YAML file") from None
        settings = settings_in(text, str(path))
    return above(settings, environ)


def above(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Return the settings, changed by environment variables; raise InvalidInput."""
    try:
        return _apply(settings, _from(environ))
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise InvalidInput(f"an {PREFIX} variable is no YAML ({type(problem).__name__})") from None


def settings_in(text: str, source: str) -> Settings:
    """Return the defaults, changed by a text in YAML that stands in `source`.

    Raises InvalidFile with what to change.
    """
    try:
        return _apply(Settings(), _loaded(text, source))
    except InvalidFile:
        raise
    except InvalidInput as problem:
        raise InvalidFile(source, str(problem)) from None


def _loaded(text: str, source: str) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        # Not all that looks like a date or a number is one, and then it is a ValueError.
        mark = getattr(problem, "problem_mark", None)
        line = None if mark is None else mark.line + 1
        raise InvalidFile(source, "is no YAML; see the line", line) from None
    if content is not None and not isinstance(content, dict):
        raise InvalidFile(source, "must hold groups, such as `packing:`")
    return content or {}


def _from(environ: Mapping[str, str]) -> Mapping[str, Mapping[str, Any]]:
    """Groups and fields that environment variables name; other EQUIPOISE_ variables are left."""
    found: dict[str, dict[str, Any]] = {}
    for group in fields(Settings):
        for field in fields(getattr(Settings(), group.name)):
            text = environ.get(f"{PREFIX}{group.name}_{field.name}".upper())
            if text is not None:
                found.setdefault(group.name, {})[field.name] = yaml.safe_load(text) if text else ""
    return found


def _apply(settings: Settings, content: Mapping[str, Any]) -> Settings:
    groups = {field.name: getattr(settings, field.name) for field in fields(settings)}
    for name, values in content.items():
        if name not in groups:
            raise InvalidInput(_unknown("group", str(name), groups))
        if values is None:
            continue
        if not isinstance(values, Mapping):
            raise InvalidInput(f"{name} must hold settings by name")
        groups[name] = _group(name, groups[name], values)
    return replace(settings, **groups)


def _group(name: str, group: Any, values: Mapping[str, Any]) -> Any:
    wanted = get_type_hints(type(group))
    for key in values:
        if key not in wanted:
            raise InvalidInput(
                _unknown("setting", f"{name}.{key}", [f"{name}.{w}" for w in wanted])
            )
    read = {key: _value(f"{name}.{key}", value, wanted[key]) for key, value in values.items()}
    return replace(group, **read)


def _value(name: str, value: Any, wanted: Any) -> Any:
    several = get_origin(wanted) in (Union, types.UnionType, tuple)
    options = get_args(wanted) if several else (wanted,)
    if value is None and type(None) in options:
        return None
    if get_origin(wanted) is tuple and is_dataclass(options[0]):
        return _records(name, value, options[0])
    if get_origin(wanted) is tuple:
        texts = value.split(",") if isinstance(value, str) else value
        if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
            return tuple(text.strip() for text in texts if text.strip())
    elif float in options and isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            # Nothing is longer or shorter than what is no number: it would be waited for for ever.
            if not math.isnan(number := float(value)):
                return number
    elif str in options and isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    elif any(option in (int, bool) and type(value) is option for option in options):
        return value
    raise InvalidInput(f"{name} is {quoted(str(value))}; write {_kind(wanted)}")


def _records(name: str, value: Any, kind: Any) -> Any:
    """Read a list of objects; each is checked by its own class, too."""
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise InvalidInput(f"{name} is {quoted(str(value))}; write a list of objects")
    wanted, found = get_type_hints(kind), []
    needed = {each.name for each in fields(kind) if each.default is MISSING}
    for entry in value:
        for key in entry:
            if key not in wanted:
                raise InvalidInput(
                    _unknown("setting", f"{name}.{key}", [f"{name}.{w}" for w in wanted])
                )
        if missing := sorted(needed - entry.keys()):
            raise InvalidInput(f"{name}: an entry lacks {', '.join(missing)}; write them")
        read = {key: _value(f"{name}.{key}", each, wanted[key]) for key, each in entry.items()}
        found.append(kind(**read))
    return tuple(found)


def _kind(wanted: Any) -> str:
    if get_origin(wanted) is tuple:
        return "a list of texts"
    kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    options = get_args(wanted) or (wanted,)
    return " or ".join(kinds.get(option, "nothing") for option in options)


def _unknown(what: str, name: str, known: Mapping[str, Any] | list[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    hint = f"do you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"there is no {what} {quoted(name)}; {hint}"
