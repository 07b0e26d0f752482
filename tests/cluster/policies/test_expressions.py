"""The expressions fit what they speak of, and large pods don't exhaust them."""

import pytest

from tests.cluster.policies.people import DRY, TEAM, People, refusal
from tests.cluster.policies.specimens import VISIBLE, VOID, asking, container, plain
from tests.support.controlplane.api import JSON, Api
from tests.support.controlplane.waiting import eventually

POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
PODS = f"/api/v1/namespaces/{TEAM}/pods"

MANY = {f"example.com/{'k' * 40}-{number}": "v" * 60 for number in range(1500)}
LONG = {"example.com/long": "v" * 200_000}
CROWD = [{"name": f"VARIABLE_{number}", "value": "v"} for number in range(1500)]


def test_the_api_server_finds_nothing_wrong_with_them(people: People) -> None:
    checked = eventually(lambda: _checked(people["admin"]), 30, what="policies are type-checked")
    warnings = {
        policy["metadata"]["name"]: policy["status"]["typeChecking"].get("expressionWarnings")
        for policy in checked
    }
    assert len(warnings) >= 11
    assert not any(warnings.values()), warnings


def _checked(api: Api) -> list[JSON] | None:
    ours = [each for each in api.items(POLICIES) if each["metadata"]["name"].startswith("equip")]
    done = all("typeChecking" in each.get("status", {}) for each in ours)
    return ours if done else None


@pytest.mark.parametrize("notes", [MANY, LONG], ids=["many", "long"])
def test_large_annotations_are_no_reason_to_refuse(people: People, notes: dict[str, str]) -> None:
    tenant = people["tenant"]
    made = tenant.post(PODS, plain(f"large-{len(notes)}", notes=notes))
    target = f"{PODS}/{made['metadata']['name']}"
    people["admin"].patch(f"{target}/status", {"status": {"reason": "x"}})
    tenant.patch(target, {"metadata": {"annotations": {"example.com/one-more": "x"}}})
    tenant.delete(target)


def test_nor_are_many_variables(people: People) -> None:
    containers = [
        container("main", env=[*CROWD, VISIBLE]),
        *(container(f"c-{number}", env=[*CROWD, VOID]) for number in range(4)),
    ]
    pod = asking(containers=containers)
    people["tenant"].post(PODS, pod, DRY)
    pod["spec"]["containers"][4]["env"][-1] = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}
    assert "container c-3 sets" in refusal(lambda: people["tenant"].post(PODS, pod, DRY))
