"""The samples ask for what their names say, and belong to tenants that are among them."""

import pytest

from scheduler.core.model.names import TENANT_LABEL
from scheduler.core.model.requestreader import parse_gpu_containers, parse_request
from scheduler.kube.convert import tenant
from tests.samples.files import JSON, LISTED, SAMPLES, documents, workloads

ASKED = {
    "inference-8gi.yaml": "8192 MiB",
    "notebook-quarter.yaml": "0.25 GPU",
    "whole-gpu.yaml": "1 GPU",
    "training-job.yaml": "0.5 GPU",
}
WORKLOADS = dict(workloads())


def test_every_file_is_listed() -> None:
    assert sorted(LISTED) == sorted(
        path.name for path in SAMPLES.glob("*.yaml") if path.name != "kustomization.yaml"
    )
    assert set(WORKLOADS) == set(ASKED)


@pytest.mark.parametrize("name", ASKED)
def test_a_sample_asks_for_what_its_name_says(name: str) -> None:
    pod = WORKLOADS[name]["spec"]["template"]
    assert parse_request(pod).describe() == ASKED[name]
    assert parse_gpu_containers(pod) == ("main",)


def tenants_and_namespaces() -> tuple[list[JSON], dict[str, JSON]]:
    found = documents("tenants.yaml")
    named = {
        each["metadata"]["name"]: each["metadata"]["labels"]
        for each in found
        if each["kind"] == "Namespace"
    }
    return [each for each in found if each["kind"] == "Tenant"], named


def test_every_sample_lies_in_the_namespace_of_a_tenant() -> None:
    tenants, namespaces = tenants_and_namespaces()
    read = {tenant(each).name for each in tenants}
    assert {labels[TENANT_LABEL] for labels in namespaces.values()} == read
    for workload in WORKLOADS.values():
        assert workload["metadata"]["namespace"] in namespaces


def test_tenants_namespaces_enforce_what_is_assumed_of_them() -> None:
    _, namespaces = tenants_and_namespaces()
    assert {labels["pod-security.kubernetes.io/enforce"] for labels in namespaces.values()} == {
        "baseline"
    }


def test_being_stopped_for_another_tenant_costs_the_job_no_retry() -> None:
    (rule,) = WORKLOADS["training-job.yaml"]["spec"]["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onPodConditions"]) == ("Ignore", [{"type": "DisruptionTarget"}])


def test_a_rolling_update_never_needs_more_than_the_tenant_has() -> None:
    strategy = WORKLOADS["inference-8gi.yaml"]["spec"]["strategy"]["rollingUpdate"]
    assert strategy["maxSurge"] == 0
    assert WORKLOADS["whole-gpu.yaml"]["spec"]["strategy"] == {"type": "Recreate"}
