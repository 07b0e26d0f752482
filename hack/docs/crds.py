"""The page of the custom resources' fields, from the definitions that are installed."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from hack.docs.markdown import code, table, written_by

CRDS = Path(__file__).resolve().parents[2] / "deploy" / "base" / "crds"

_INTRODUCTION = f"""\
# Fields of custom resources

{written_by("deploy/base/crds")}

All fields, as the API server checks them. [Tenants and GPUNodes](custom-resources.md) says what
they are for.
"""

_STANDARD = frozenset(("apiVersion", "kind", "metadata"))

Schema = Mapping[str, Any]


def page() -> str:
    """Return the page as Markdown."""
    kinds = [
        yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]
        for path in sorted(CRDS.glob("*.yaml"), reverse=True)
    ]
    return "\n".join([_INTRODUCTION, *(_kind(spec) for spec in kinds)])


def _kind(spec: Schema) -> str:
    names, group = spec["names"], spec["group"]
    parts = [_version(f"{group}/{each['name']}", names["kind"], each) for each in spec["versions"]]
    short = ", ".join(code(each) for each in names.get("shortNames", ()))
    listed = f"`kubectl get {names['plural']}`" + (f", short {short}" if short else "")
    return f"## {names['kind']}\n\n{spec['scope']}-scoped; {listed}.\n\n" + "\n".join(parts)


def _version(version: str, kind: str, found: Schema) -> str:
    schema = found["schema"]["openAPIV3Schema"]
    rows = [
        (code(path), _type(field), _default(field), _about(field))
        for path, field in _fields("", schema)
    ]
    head = ("field", "type", "default", "")
    about = " ".join(schema.get("description", f"A {kind}.").split())
    return f"`{version}`: {about}\n\n{table(head, rows)}\n"


def _fields(above: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    for name, field in schema.get("properties", {}).items():
        if not above and name in _STANDARD:
            continue
        path = f"{above}.{name}" if above else name
        inside = field
        if field.get("type") == "array":
            inside, path = field["items"], f"{path}[]"
        yield path, field
        yield from _fields(path, inside)


def _type(field: Schema) -> str:
    if field.get("type") == "array":
        return "list"
    return "any" if "type" not in field else str(field["type"])


def _default(field: Schema) -> str:
    default = field.get("default")
    return "" if default in (None, {}) else code(str(default))


def _about(field: Schema) -> str:
    """Its description, and what its rules answer to who breaks them."""
    about = str(field.get("description", "")).strip()
    if options := field.get("enum"):
        about += f" One of {', '.join(code(str(each)) for each in options)}."
    rules: Sequence[Schema] = field.get("x-kubernetes-validations", ())
    refused = "; ".join(" ".join(str(rule["message"]).split()) for rule in rules)
    return f"{about} Refusals: “{refused}”." if refused else about
