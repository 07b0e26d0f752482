"""values.yaml, its schema, and the settings that they become."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.chart.helm import CHART, Refused, helm, rendered
from scheduler.cli.settingsfile import read_settings
from scheduler.core.model.gangowners import KINDS, POD_GROUP, OwnerPaths
from scheduler.settings import Settings
from tests.chart.objects import objects, one

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())

BY_OTHER_VALUES = {
    "extender": {"host", "port", "bind_seconds", "keep_alive_seconds"},
    "web": {"host", "port"},
    "kube": {"namespace"},
    "leadership": {"url", "lease", "poll_seconds", "lease_seconds", "renew_seconds"},
    "webhook": {
        *("enabled", "host", "port", "service"),
        *("take_over", "runtime_class", "certificates"),
    },
    "agent": {"host", "port"},
}
"""Settings that follow from other values, or from kube-scheduler's configuration."""


def test_the_chart_is_sound() -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("replicas=0", "at '/replicas': minimum: got 0, want 1"),
        ("replica=3", "additional properties 'replica' not allowed"),
        ("image.pullPolicy=Sometimes", "at '/image/pullPolicy': value must be one of"),
        ("settings.packing.polcy=fgd", "at '/settings/packing': additional properties 'polcy'"),
        ("settings.leadership.url=x", "at '/settings': additional properties 'leadership'"),
        ("agent.mock.models.T4.memory=16", "at '/agent/mock/models/T4/memory'"),
        ("agent.mock.enabled=maybe", "at '/agent/mock/enabled': got string, want boolean"),
        ("agent.namespace=Agents", "at '/agent/namespace'"),
        ("service.nodePort=30880", "at '/service/type': value must be 'NodePort'"),
        ("webhook.certManager.issuerRef.kind=ClusterIssuer", "'name' required"),
        ("settings.gangs.owners[0].kind=Job", "at '/settings/gangs/owners/0': missing properties"),
        ("resources.request.cpu=1", "at '/resources': additional properties 'request'"),
    ],
)
def test_nonsense_is_refused_with_its_place(argument: str, complaint: str) -> None:
    with pytest.raises(Refused) as caught:
        rendered("--set", argument)
    assert complaint in str(caught.value)


def described(schema: Any) -> list[str]:
    """Paths of properties that nobody describes, or that take anything."""
    found = []
    for name, inner in (schema.get("properties") or {}).items():
        if "$ref" not in inner and not inner.get("description"):
            found.append(name)
        if "properties" in inner and inner.get("additionalProperties") is not False:
            found.append(f"{name} is open")
        found += [f"{name}.{each}" for each in described(inner)]
    return found


def test_every_value_is_described() -> None:
    assert described(SCHEMA) == []


def undeclared(values: Any, schema: Any, path: str = "") -> list[str]:
    """Values without a schema, and the other way round; open objects end the search."""
    known = schema.get("properties")
    if not isinstance(values, dict) or not known:
        return []
    differing = [f"{path}{name}" for name in values.keys() ^ known.keys()]
    both = values.keys() & known.keys()
    return differing + [
        each for name in both for each in undeclared(values[name], known[name], f"{path}{name}.")
    ]


def test_every_value_has_a_default() -> None:
    closed = {
        **SCHEMA["properties"],
        "settings": {},
        "webhook": SCHEMA["properties"]["webhook"],
    }
    del closed["global"]
    missing = undeclared(VALUES, {"properties": closed})
    optional = ("resources.", "hookResources.", "webhook.certManager.issuerRef.")
    assert [each for each in missing if not any(word in each for word in optional)] == []


@pytest.mark.parametrize("group", [field.name for field in fields(Settings)])
def test_the_schema_knows_every_setting(group: str) -> None:
    known = SCHEMA["properties"]["settings"]["properties"].get(group, {}).get("properties", {})
    real = {field.name for field in fields(getattr(Settings(), group))}
    assert known.keys() == real - BY_OTHER_VALUES.get(group, set())


def settings(tmp_path: Path, *arguments: str, of: str = "equipoise-settings") -> Settings:
    file = tmp_path / "settings.yaml"
    file.write_text(one(objects(*arguments), "ConfigMap", of)["data"]["settings.yaml"])
    return read_settings(file, {})


def test_serve_reads_what_becomes_of_values(tmp_path: Path) -> None:
    ours = settings(
        tmp_path,
        "--set=settings.packing.policy=best-fit,settings.fairness.lookahead=7",
        "--set=settings.webhook.driver_limits=true,webhook.takeOver={kai-scheduler}",
        "--set=bindAddress=::",
    )
    assert (ours.packing.policy, ours.fairness.lookahead) == ("best-fit", 7)
    assert ours.webhook.driver_limits
    assert ours.webhook.take_over == ("kai-scheduler",)
    assert ours.webhook.runtime_class == "nvidia"
    assert (ours.web.host, ours.web.port, ours.webhook.host) == ("::", 8800, "::")


def test_what_makes_gangs_is_read_and_may_be_read(tmp_path: Path) -> None:
    torch: Any = {"api_version": "kubeflow.org/v1", "kind": "PyTorchJob"}
    torch |= {"resource": "pytorchjobs", "parts": ["spec.pytorchReplicaSpecs.*"]}
    plain: Any = {"api_version": "v1", "kind": "ReplicationController"}
    plain |= {"resource": "replicationcontrollers"}
    given = f"--set-json=settings.gangs.owners={json.dumps([torch, plain])}"
    assert settings(tmp_path, given).gangs.owners == (
        OwnerPaths(
            *("kubeflow.org/v1", "PyTorchJob", "pytorchjobs"),
            parts=("spec.pytorchReplicaSpecs.*",),
        ),
        OwnerPaths("v1", "ReplicationController", "replicationcontrollers"),
    )

    def gets(*arguments: str) -> set[tuple[str, str]]:
        role = one(objects(*arguments), "ClusterRole", "equipoise-scheduler")
        rules = [each for each in role["rules"] if each["verbs"] == ["get"]]
        return {(each["apiGroups"][0], each["resources"][0]) for each in rules}

    always = {(kind.api_version.rpartition("/")[0], kind.resource) for kind in (*KINDS, POD_GROUP)}
    assert always <= gets()
    added = {("kubeflow.org", "pytorchjobs"), ("", "replicationcontrollers")}
    assert gets(given) - gets() == added


def test_agents_read_theirs(tmp_path: Path) -> None:
    argument = "--set=settings.agent.evict_seconds=600,settings.packing.policy=best-fit"
    ours = settings(tmp_path, argument, of="equipoise-agent")
    assert (ours.agent.evict_seconds, ours.agent.port) == (600, 8802)
    assert ours.packing == Settings().packing


def test_times_of_leadership_are_those_of_kube_scheduler() -> None:
    data = one(objects(), "ConfigMap", "equipoise-scheduler-config")["data"]
    config = yaml.safe_load(data["scheduler-config.yaml"])
    elected, default = config["leaderElection"], Settings().leadership
    assert elected["leaseDuration"] == f"{default.lease_seconds:.0f}s"
    assert elected["renewDeadline"] == f"{default.renew_seconds:.0f}s"
    assert elected["resourceName"] == default.lease
    assert config["extenders"][0]["urlPrefix"].endswith(f":{Settings().extender.port}")
