"""The page of names on Kubernetes objects; its examples are read as the scheduler reads them."""

from collections.abc import Mapping, Sequence
from typing import Any

from hack.docs.markdown import code, table, written_by
from hack.docs.names import BY_ADMINS, BY_US, OTHERS, Known, by_tenants
from scheduler.core.model.errors import InvalidRequest
from scheduler.core.model.requestreader import parse_request

_INTRODUCTION = f"""\
# Annotations and labels

{written_by("hack/docs/names.py, with names and answers from scheduler/core/model")}

On pods, by tenants. They can't be changed once the pod exists; whoever makes the pod (a Deployment,
a Job) carries them in its template.
"""

EXAMPLES: Sequence[Mapping[str, str]] = (
    {"gpu-fraction": "0.25"},
    {"gpu-fraction": "0.5", "gpu-count": "2"},
    {"gpu-fraction": "2"},
    {"gpu-memory": "8Gi"},
    {"gpu-memory": "8Gi", "gpu-count": "2", "gpu-models": "T4,A10"},
    {"gpu-count": "2"},
    {"gpu-fraction": "0.25", "gpu-memory": "8Gi"},
    {"gpu-fraction": "1.5"},
    {"gpu-fraction": "0.0005"},
    {"gpu-fraction": "2", "gpu-count": "2"},
    {"gpu-memory": "lots"},
)


def page() -> str:
    """Return the page as Markdown."""
    parts = [
        _INTRODUCTION,
        _known(by_tenants()),
        "## What is understood, what is refused\n\nThe answers are the scheduler's own.\n",
        _examples(),
        "## On namespaces, nodes and Tenants, by admins\n",
        _known(BY_ADMINS),
        "## On pods, by Equipoise\n\nNobody else can set or change them; `granted` is taken off a "
        "new pod, whoever wrote it.\n",
        _known(BY_US),
        "## Words of others that are understood\n",
        _known(OTHERS),
    ]
    return "\n".join(parts)


def _known(names: Sequence[Known]) -> str:
    rows = [(code(each.name), code(each.example), each.about) for each in names]
    return table(("name", "example", ""), rows) + "\n"


def _examples() -> str:
    rows = [(_written(each), _answer(each)) for each in EXAMPLES]
    return table(("annotations (each with `equipoise.dev/` in front)", "answer"), rows) + "\n"


def _written(short: Mapping[str, str]) -> str:
    return ", ".join(code(f'{name}: "{value}"') for name, value in short.items())


def _answer(short: Mapping[str, str]) -> str:
    notes = {f"equipoise.dev/{name}": value for name, value in short.items()}
    pod: Mapping[str, Any] = {
        "metadata": {"annotations": notes},
        "spec": {"containers": [{"name": "main"}]},
    }
    try:
        return parse_request(pod).describe()
    except InvalidRequest as problem:
        return f"refused: {problem}"
