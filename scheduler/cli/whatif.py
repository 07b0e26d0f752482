"""`equipoise whatif`: could a pod start now, and who would wait; whom does a node's going hit."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import yaml

from scheduler.cli.look import Look, admitted, cluster_options, looking
from scheduler.cli.withdrawing import show_withdrawal
from scheduler.core.model import names
from scheduler.core.model.amounts import format_gpus
from scheduler.core.model.errors import InvalidFile
from scheduler.core.model.gangreader import NONE
from scheduler.core.model.ids import NodeName
from scheduler.core.model.plans import Admit
from scheduler.core.model.pods import Pod
from scheduler.core.model.stored import Stored, mapping, objects
from scheduler.core.model.verdicts import Verdict


@click.command("whatif")
@click.option(
    "-f", "--file", "path", type=click.Path(path_type=Path), metavar="FILE",
    help="A pod, or something that makes pods (YAML).",
)  # fmt: skip
@click.option(
    "--without-node", "nodes", multiple=True, metavar="NODE",
    help="Instead of a file: a node that would be taken away. May be given several times.",
)  # fmt: skip
@click.option("-n", "--namespace", metavar="NAME", help="Where the file names none.")
@cluster_options
@click.pass_context
def whatif(
    click_context: click.Context,
    *,
    path: Path | None,
    nodes: tuple[str, ...],
    namespace: str | None,
    kubeconfig: str | None,
    context: str | None,
    as_json: bool,
) -> None:
    """Say whether the pods of FILE could start now, where, and at whose cost; else what is missing.

    Exit status 1 if one of them could not. With --without-node: whose pods would end, whose
    guarantees sink, and who would be stopped elsewhere; exit status 1 if that hits anybody.
    """
    if (path is None) == (not nodes):
        raise click.UsageError("give either -f FILE or --without-node NODE")
    if path is None:
        names = [NodeName(name) for name in dict.fromkeys(nodes)]
        if show_withdrawal(looking(kubeconfig, context), names, as_json=as_json):
            click_context.exit(1)
        return
    asked = list(templates(path))
    found = answers(looking(kubeconfig, context), asked, namespace)
    lines = [each for answer in found for each in answer["says"]]
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(lines))
    if not all(answer["starts"] for answer in found):
        click_context.exit(1)


def answers(
    seen: Look, asked: Sequence[Stored], namespace: str | None = None
) -> list[dict[str, Any]]:
    """Return what --json says of a pod of each of these templates; `namespace`: of none of them."""
    pods = [
        _pod(seen, template, number, namespace or seen.namespace)
        for number, template in enumerate(asked, start=1)
    ]
    plan, before = seen.decide(*pods), seen.decide()
    let_go, reasons = admitted(plan), {hold.pod.key: hold.verdict for hold in plan.holds}
    displaced = sorted(admitted(before).keys() - let_go.keys())
    return [
        _yes(pod, let_go[pod.key], displaced) if pod.key in let_go else _no(pod, reasons[pod.key])
        for pod in pods
    ]


def _no(pod: Pod, why: Verdict) -> dict[str, Any]:
    return {"pod": pod.key, "starts": False, "says": [f"{pod.key}: no, {why.sentence}."]}


def _yes(pod: Pod, admit: Admit, displaced: list[str]) -> dict[str, Any]:
    place = admit.placement
    pieces = [f"{format_gpus(slot.milli)} of GPU {slot.index}" for slot in place.slots]
    what = f": {', '.join(pieces)}" if pieces else ""
    says = [f"{pod.key}: yes, at once on node {place.node}{what}."]
    if displaced:
        says.append(f"In its place these would wait: {', '.join(displaced[:10])}.")
    return {
        "pod": pod.key,
        "starts": True,
        "node": place.node,
        "devices": [slot.uuid for slot in place.slots],
        "instead_of": displaced,
        "says": says,
    }


def _by_itself(template: Stored) -> Stored:
    """Return it without what makes it start together with pods that aren't there."""
    metadata, spec = mapping(template, "metadata"), mapping(template, "spec")
    notes = dict(mapping(metadata, "annotations"))
    if names.GANG not in notes and notes.get(names.GANG_SIZE) != NONE:
        for note in (names.GANG_SIZE, names.REQUIRED_TOPOLOGY, names.PREFERRED_TOPOLOGY):
            notes.pop(note, None)
    alone = {key: value for key, value in spec.items() if key != "schedulingGroup"}
    return {**template, "metadata": {**metadata, "annotations": notes}, "spec": alone}


def _pod(seen: Look, template: Stored, number: int, namespace: str) -> Pod:
    metadata = mapping(template, "metadata")
    name = str(metadata.get("name") or metadata.get("generateName") or "pod")
    ours = {
        **metadata,
        "namespace": str(metadata.get("namespace") or namespace),
        "name": name,
        "uid": f"whatif-{number}",
    }
    return replace(
        seen.read(_by_itself({**template, "metadata": ours})), created=seen.at, foreign_gates=()
    )


def templates(path: Path) -> Iterator[Stored]:
    """Yield the pods of a file, and what makers of pods in it would make; raise InvalidFile."""
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise InvalidFile(str(path), "can't be read; name a YAML file with a pod") from None
    found = [pod for each in documents if isinstance(each, dict) for pod in _pods_of(each)]
    if not found:
        raise InvalidFile(str(path), "has no pod, and nothing that makes pods; give it one")
    yield from found


def _pods_of(document: Stored) -> Iterator[Stored]:
    """Yield a pod itself, or one for each template of what makes pods."""
    if document.get("kind") == "Pod":
        yield document
        return
    above = mapping(document, "metadata")
    for suffix, template in _templates_of(mapping(document, "spec")):
        if "spec" in template:
            head = dict(mapping(template, "metadata"))
            head.setdefault("name", f"{above.get('name') or 'pod'}{suffix}")
            head.setdefault("namespace", above.get("namespace"))
            yield {**template, "metadata": head}


def _templates_of(spec: Stored) -> Iterator[tuple[str, Stored]]:
    """Yield templates, and what tells their pods' names apart: jobs, JobSet, LeaderWorkerSet."""
    inner = mapping(mapping(spec, "jobTemplate"), "spec") or spec
    yield "", mapping(inner, "template")
    for job in objects(spec, "replicatedJobs"):
        yield f"-{job.get('name')}", mapping(mapping(mapping(job, "template"), "spec"), "template")
    group = mapping(spec, "leaderWorkerTemplate")
    yield "-leader", mapping(group, "leaderTemplate")
    yield "-worker", mapping(group, "workerTemplate")
