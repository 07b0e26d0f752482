"""The policies speak of the names that the code uses; tests/cluster/policies tries them out."""

import re
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import yaml

from scheduler.core.model import limitnotes, names
from scheduler.webhook import environment

BASE = Path(__file__).resolve().parents[2] / "deploy" / "base"
FILES = sorted((BASE / "policies").glob("*.yaml"))
DOCUMENTS: list[dict[str, Any]] = [
    document for file in FILES for document in yaml.safe_load_all(file.read_text())
]
POLICIES = {
    document["metadata"]["name"]: document["spec"]
    for document in DOCUMENTS
    if document["kind"] == "ValidatingAdmissionPolicy"
}
OURS_TO_ASK = {
    *(names.GPU_FRACTION, names.GPU_MEMORY, names.GPU_COUNT, names.GPU_MODELS),
    *(names.GPU_CONTAINERS, names.PLACEMENT, names.PREEMPTIBLE, names.MAX_RUNTIME),
    *(names.PREFIX + "gang", names.PREFIX + "gang-size"),
    *(names.REQUIRED_TOPOLOGY, names.PREFERRED_TOPOLOGY, names.NVLINK),
}
KAIS = {names.KAI_FRACTION, names.KAI_MEMORY, names.KAI_DEVICES}
SYSTEM = ["kube-system", "kube-public", "kube-node-lease", names.NAMESPACE]


def variable(policy: str, name: str) -> str:
    found: list[dict[str, str]] = POLICIES[policy]["variables"]
    return next(each["expression"] for each in found if each["name"] == name)


def listed(expression: str) -> set[str]:
    """The strings in a CEL list, without those that aren't annotations."""
    return {text for text in re.findall(r"'([^']+)'", expression) if "gpu-" in text or "/" in text}


def expressions(policy: str) -> str:
    spec = POLICIES[policy]
    parts = [
        *spec.get("matchConditions", ()),
        *spec.get("variables", ()),
        *spec["validations"],
    ]
    return "\n".join(part["expression"] for part in parts)


@pytest.mark.parametrize(
    ("policy", "name", "wanted"),
    [
        ("equipoise-assignments", "asked", OURS_TO_ASK),
        ("equipoise-requests", "fixed", OURS_TO_ASK | KAIS),
        ("equipoise-bindings", "asking", OURS_TO_ASK | KAIS),
    ],
)
def test_they_list_every_annotation_by_which_a_pod_asks(
    policy: str, name: str, wanted: set[str]
) -> None:
    assert listed(variable(policy, name)) == wanted


def test_a_binding_of_equipoise_with_a_request_is_looked_at() -> None:
    (condition,) = POLICIES["equipoise-bindings"]["matchConditions"]
    looked_at = listed(condition["expression"])
    assert "key.startsWith('gpu-')" in condition["expression"]
    assert OURS_TO_ASK | {each for each in KAIS if not each.startswith("gpu-")} <= looked_at


@pytest.mark.parametrize("policy", ["equipoise-requests", "equipoise-cards"])
def test_a_pod_with_a_share_passes_no_policy_unnoticed(policy: str) -> None:
    for key in (names.GPU_FRACTION, names.GPU_MEMORY, names.GPU_COUNT, *KAIS):
        assert f"'{key}'" in expressions(policy)
    assert f"'{names.SCHEDULER_NAME}'" in expressions(policy)


def test_they_let_pass_the_variables_that_the_webhook_writes() -> None:
    limits = variable("equipoise-cards", "limits")
    paths = dict(re.findall(r"'(\w+)': \"([^\"]+)\"", limits))
    for entry in environment.of_share(mps=True, driver=True):
        path = entry["valueFrom"]["fieldRef"]["fieldPath"]
        if entry["name"] == environment.VISIBLE:
            assert f'"{path}"' in variable("equipoise-cards", "seeing")
        else:
            assert paths.pop(entry["name"]) == path
    assert not paths
    assert f"'{environment.NOTHING['value']}'" in variable("equipoise-cards", "seeing")


def test_what_a_binding_says_is_ours_to_write() -> None:
    assert all(key.startswith(names.PREFIX) for key in limitnotes.ALL)
    assert not (limitnotes.ALL | {names.DEVICES, names.ASSIGNMENT}) & OURS_TO_ASK
    pattern = re.search(r"matches\('([^']+)'\)", variable("equipoise-bindings", "injecting"))
    assert pattern
    assert re.search(pattern[1], limitnotes.CDI_PREFIX + "main")
    assert pattern[1] in variable("equipoise-cards", "injecting")


def test_they_name_gate_labels_and_accounts_as_the_code_does() -> None:
    assert f"'{names.GATE}'" in expressions("equipoise-releases")
    assert f"'{names.GATE}'" in expressions("equipoise-requests")
    assert f"'{names.ASSIGNMENT}'" in expressions("equipoise-endings")
    assert f"'{names.TENANT_LABEL}'" in expressions("equipoise-namespaces")
    accounts = "system:serviceaccount"
    scheduler = f"'{accounts}:{names.NAMESPACE}:equipoise-scheduler'"
    agent = f"'{accounts}:equipoise-agents:equipoise-agent'"
    for policy in ("assignments", "releases", "bindings", "requests", "gpunodes", "tenants"):
        assert scheduler in expressions(f"equipoise-{policy}")
    assert agent in expressions("equipoise-gpunodes")


@pytest.mark.parametrize("policy", ["requests", "cards", "endings"])
def test_system_namespaces_are_left_alone(policy: str) -> None:
    spec = POLICIES[f"equipoise-{policy}"]
    condition = spec["matchConditions"][0]["expression"]
    outside, rest = f"!(request.namespace in {SYSTEM}) && (", condition
    assert rest.startswith(outside)
    assert rest.endswith(")")
    # What is opened there is closed at the very end: nothing stands beside it.
    depths = list(accumulate((char == "(") - (char == ")") for char in rest[len(outside) :]))
    assert depths[-1] == -1
    assert min(depths[:-1]) >= 0


def test_so_they_are_for_claims() -> None:
    spec = POLICIES["equipoise-claims"]
    assert spec["matchConditions"][0]["expression"] == f"!(request.namespace in {SYSTEM})"


def test_none_has_a_namespace_selector() -> None:
    # The API server would read it anew for every request of any kind.
    assert all("namespaceSelector" not in each["matchConstraints"] for each in POLICIES.values())


def test_each_fails_closed_and_is_bound() -> None:
    assert all(spec["failurePolicy"] == "Fail" for spec in POLICIES.values())
    bindings = [each for each in DOCUMENTS if each["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert {each["spec"]["policyName"] for each in bindings} == POLICIES.keys()
    assert all(each["spec"]["validationActions"] == ["Deny"] for each in bindings)


def test_all_files_are_installed() -> None:
    resources = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    assert {f"policies/{file.name}" for file in FILES} <= set(resources)


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_every_refusal_is_one_sentence_that_says_what_to_change(policy: str) -> None:
    for validation in POLICIES[policy]["validations"]:
        said = validation.get("message") or validation["messageExpression"]
        assert ";" in said or "," in said
        assert "\n" not in said.strip()
        assert not said.rstrip("'").endswith(".")
        assert validation["reason"] == "Forbidden"
