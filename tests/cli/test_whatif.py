"""`equipoise whatif -f`: what of a file is taken for a pod, and what is said of it."""

from typing import Any

import pytest

from scheduler.cli.look import Look, still_parts
from scheduler.cli.whatif import answers
from scheduler.core.model import names
from scheduler.settings import Settings
from tests.cli.test_explain import nothing_to_read
from tests.support.builders import node, tenant

GANG, SIZE = names.GANG, names.GANG_SIZE
RACK = "topology.kubernetes.io/rack"


def look(settings: Settings | None = None, *, gpus: int = 2) -> Look:
    settings = settings or Settings()
    parts = still_parts(settings, nothing_to_read)
    parts.controller.put_nodes([node("n", gpus)])
    parts.controller.set_tenants([tenant("default")])
    return Look(parts, settings, 10_000.0, {}, "lab")


def template(fraction: str = "1", **notes: str) -> dict[str, Any]:
    return {
        "metadata": {"annotations": {names.GPU_FRACTION: fraction, **notes}},
        "spec": {"containers": [{"name": "main"}]},
    }


@pytest.mark.parametrize(
    ("notes", "says"),
    [
        ({SIZE: "all"}, "yes, at once on node n"),
        ({SIZE: "all", names.REQUIRED_TOPOLOGY: RACK}, "yes, at once on node n"),
        ({SIZE: "3", names.PREFERRED_TOPOLOGY: RACK}, "yes, at once on node n"),
        ({names.REQUIRED_TOPOLOGY: RACK}, "yes, at once on node n"),
        ({SIZE: "none", names.REQUIRED_TOPOLOGY: RACK}, "no, "),
        ({GANG: "g", SIZE: "1", names.REQUIRED_TOPOLOGY: RACK}, "no, "),
        ({GANG: "g", SIZE: "1", names.PREFERRED_TOPOLOGY: RACK}, "yes, at once on node n"),
    ],
)
def test_a_pod_of_what_would_make_its_gang_is_looked_at_by_itself(
    notes: dict[str, str], says: str
) -> None:
    (found,) = answers(look(), [template(**notes)])
    assert found["says"][0].startswith(f"lab/pod: {says}")
