"""Settings: defaults, the file above them, the environment above the file; clear refusals."""

from pathlib import Path

import pytest

from scheduler.cli.settingsfile import read_settings
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.gangowners import OwnerPaths
from scheduler.settings import Settings


def written(folder: Path, text: str) -> Path:
    path = folder / "equipoise.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_all_is_as_documented() -> None:
    assert read_settings(None, {}) == Settings()


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    text = """
    packing: {policy: best-fit}
    fairness:
      half_life_seconds: 600
    webhook:
      take_over: [kai-scheduler, runai-scheduler]
    web:
    """
    settings = read_settings(written(tmp_path, text), {})
    assert settings.packing.policy == "best-fit"
    assert settings.fairness.half_life_seconds == 600.0
    assert settings.fairness.lookahead == Settings().fairness.lookahead
    assert settings.webhook.take_over == ("kai-scheduler", "runai-scheduler")


def test_the_environment_stands_above_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "extender: {port: 1000, host: 127.0.0.2}")
    environ = {
        "EQUIPOISE_EXTENDER_PORT": "2000",
        "EQUIPOISE_FAIRNESS_HALF_LIFE_SECONDS": "null",
        "EQUIPOISE_WEBHOOK_TAKE_OVER": "kai-scheduler, other",
        "EQUIPOISE_LEADERSHIP_URL": "",
        "EQUIPOISE_DEBUG": "1",
    }
    settings = read_settings(path, environ)
    assert (settings.extender.host, settings.extender.port) == ("127.0.0.2", 2000)
    assert settings.fairness.half_life_seconds is None
    assert settings.webhook.take_over == ("kai-scheduler", "other")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("packign: {policy: fgd}", 'there is no group "packign"; do you mean packing?'),
        ("packing: {polcy: fgd}", 'no setting "packing.polcy"; do you mean packing.policy?'),
        ("extender: {port: many}", 'extender.port is "many"; write a whole number'),
        ("extender: {port: true}", 'extender.port is "True"; write a whole number'),
        ("fairness: {half_life_seconds: soon}", "write a number or nothing"),
        ("webhook: {take_over: [1, 2]}", "write a list of texts"),
        ("gangs: {look_seconds: .nan}", 'gangs.look_seconds is "nan"; write a number'),
        ("reclaim: {patience_seconds: .nan}", "write a number or nothing"),
        ("packing: {topology: null}", 'packing.topology is "None"; write a list of texts'),
        ("packing: {topology: true}", "write a list of texts"),
        ("gangs: {owners: PyTorchJob}", "write a list of objects"),
        ("gangs: {owners: [PyTorchJob]}", "write a list of objects"),
        (
            "gangs: {owners: [{kind: PyTorchJob, api_version: kubeflow.org/v1}]}",
            "gangs.owners: an entry lacks resource; write them",
        ),
        (
            "gangs: {owners: [{kind: J, api_version: v1, resource: js, count: [replicas]}]}",
            'there is no setting "gangs.owners.count"; do you mean gangs.owners.counts?',
        ),
        (
            "gangs: {owners: [{kind: J, api_version: v1, resource: js, label: [app]}]}",
            "gangs.owners.label is \"['app']\"; write a text",
        ),
        (
            "gangs: {owners: [{kind: J, api_version: v1, resource: js/status}]}",
            "gangs.owners: J needs its resource, the plural in the paths of the API",
        ),
        ("packing: fgd", "packing must hold settings by name"),
        ("- packing", "must hold groups"),
        ("packing: {policy: [", "no YAML"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_to_write(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InvalidInput) as refusal:
        read_settings(path, {})
    assert complaint in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_kinds_of_owners_are_a_list_of_objects(tmp_path: Path) -> None:
    text = """
    gangs:
      owners:
        - api_version: kubeflow.org/v1
          kind: PyTorchJob
          resource: pytorchjobs
          parts: [spec.pytorchReplicaSpecs.*]
    """
    ray = "[{api_version: ray.io/v1, kind: RayCluster, resource: rayclusters}]"
    here = read_settings(written(tmp_path, text), {}).gangs.owners
    there = read_settings(None, {"EQUIPOISE_GANGS_OWNERS": ray}).gangs.owners
    assert here == (
        OwnerPaths(
            *("kubeflow.org/v1", "PyTorchJob", "pytorchjobs"),
            parts=("spec.pytorchReplicaSpecs.*",),
        ),
    )
    assert there == (OwnerPaths("ray.io/v1", "RayCluster", "rayclusters"),)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="name a YAML file"):
        read_settings(tmp_path / "none.yaml", {})


@pytest.mark.parametrize(
    "text",
    ["packing: {policy: 2024-13-45}", "extender: {port: 0b_}", "[" * 2000],
    ids=["no date", "no number", "deep"],
)
def test_what_yaml_stumbles_over_is_bad_input(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match="is no YAML"):
        read_settings(written(tmp_path, text), {})
    with pytest.raises(InvalidInput, match="is no YAML"):
        read_settings(None, {"EQUIPOISE_PACKING_POLICY": text.partition(": ")[2] or text})


def test_so_is_a_number_beyond_all_numbers(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"reclaim\.patience_seconds"):
        read_settings(written(tmp_path, f"reclaim: {{patience_seconds: {'9' * 400}}}"), {})


def test_no_number_and_no_list_are_refused_from_the_environment_too() -> None:
    for name, text in (("GANGS_LOOK_SECONDS", ".nan"), ("PACKING_TOPOLOGY", "null")):
        with pytest.raises(InvalidInput, match="write a"):
            read_settings(None, {f"EQUIPOISE_{name}": text})
    assert read_settings(None, {"EQUIPOISE_PACKING_TOPOLOGY": ""}).packing.topology == ()
    assert read_settings(None, {"EQUIPOISE_FAIRNESS_CREDIT_SECONDS": ".inf"})
