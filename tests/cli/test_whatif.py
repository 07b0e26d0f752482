"""`equipoise whatif -f`: what of a file is taken for a pod, and what is said of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from scheduler.cli.look import Look, still_parts
from scheduler.cli.whatif import answers, templates
from scheduler.core.model import names
from scheduler.core.model.errors import InvalidFile
from scheduler.settings import Settings
from tests.cli.test_explain import nothing_to_read
from tests.support.builders import node, pod, tenant, whole

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


POD, JOB = template(), {"spec": {"template": template()}}


@pytest.mark.parametrize(
    ("kind", "spec", "pods"),
    [
        ("Job", JOB["spec"], ["it"]),
        ("CronJob", {"jobTemplate": JOB}, ["it"]),
        (
            "JobSet",
            {"replicatedJobs": [{"name": "head", "template": JOB}, {"name": "w", "template": JOB}]},
            ["it-head", "it-w"],
        ),
        ("LeaderWorkerSet", {"leaderWorkerTemplate": {"workerTemplate": POD}}, ["it-worker"]),
        (
            "LeaderWorkerSet",
            {"leaderWorkerTemplate": {"leaderTemplate": POD, "workerTemplate": POD}},
            ["it-leader", "it-worker"],
        ),
    ],
)
def test_of_what_makes_pods_each_template_is_asked_about(
    kind: str, spec: dict[str, Any], pods: list[str], tmp_path: Path
) -> None:
    named = {"name": "it", "namespace": "team"}
    file = tmp_path / "it.yaml"
    file.write_text(yaml.safe_dump({"kind": kind, "metadata": named, "spec": spec}))
    found = answers(look(), list(templates(file)))
    assert [each["pod"] for each in found] == [f"team/{name}" for name in pods]
    assert all(each["starts"] for each in found)


def test_a_file_without_any_is_bad_input(tmp_path: Path) -> None:
    file = tmp_path / "it.yaml"
    file.write_text("kind: JobSet\nspec: {replicatedJobs: [{name: head}, 3]}\n---\n5\n")
    with pytest.raises(InvalidFile, match="has no pod, and nothing that makes pods"):
        list(templates(file))


def test_it_does_not_hang_on_how_many_may_be_on_their_way() -> None:
    few = replace(Settings(), kube=replace(Settings().kube, backlog=1))
    seen = look(few, gpus=3)
    for number in range(2):
        seen.parts.controller.add(pod(f"before{number}", whole(), "default", created=float(number)))
    (found,) = answers(seen, [template()])
    assert found["starts"], found["says"]
