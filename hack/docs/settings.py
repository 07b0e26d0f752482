"""The page of settings: each group's docstring, its fields, types and defaults."""

import inspect
import re
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from hack.docs.markdown import code, table, written_by
from scheduler.cli.settingsfile import PREFIX
from scheduler.settings import Settings

_INTRODUCTION = f"""\
# Settings

{written_by("scheduler/settings.py")}

`equipoise serve --config FILE` reads settings from YAML, in the groups below:

```yaml
packing:
  policy: best-fit
fairness:
  half_life_seconds: 3600
```

Each can be given in the environment as well, which stands above the file: `policy` of `packing` is
`{PREFIX}PACKING_POLICY`. A list is written with commas there. What isn't a setting, or has another
type, ends the start with one line that says what to write.
"""

_TYPES = {int: "whole number", float: "number", bool: "true or false", str: "text"}


def page() -> str:
    """Return the page as Markdown."""
    defaults = Settings()
    groups = [_group(each.name, getattr(defaults, each.name)) for each in fields(Settings)]
    return "\n".join([_INTRODUCTION, *groups])


def _group(name: str, group: Any) -> str:
    kinds = get_type_hints(type(group))
    rows = [
        (
            code(each.name),
            _kind(kinds[each.name]),
            _default(getattr(group, each.name)),
            code(f"{PREFIX}{name}_{each.name}".upper()),
        )
        for each in fields(group)
    ]
    head = ("setting", "type", "default", "in the environment")
    return f"## {name}\n\n{_prose(type(group))}\n\n{table(head, rows)}\n"


def _prose(group: type) -> str:
    """Its docstring, in which pages of docs/ become links."""
    text = inspect.getdoc(group) or ""
    return re.sub(r"docs/([\w/-]+\.md)", r"[\1](../\1)", text)


def _kind(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return "list of objects" if is_dataclass(get_args(kind)[0]) else "list of texts"
    options = [each for each in get_args(kind) or (kind,) if each is not type(None)]
    return " or ".join(_TYPES[each] for each in options)


def _default(value: Any) -> str:
    if value is None or value in ("", ()):
        return "none"
    return code(str(value).lower() if isinstance(value, bool) else f"{value}")
