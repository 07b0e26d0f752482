"""Which tenant a namespace belongs to, and which nodes are shared, is the admins' to say."""

import itertools
from collections.abc import Iterator

import pytest

from tests.cluster.policies.people import DRY, NODE, OUTSIDE, TEAM, People, refusal
from tests.support.controlplane.api import JSON, STRATEGIC, Api

LABEL = "equipoise.dev/tenant"
ADMINS = f"the label {LABEL} is for admins, who may update tenants; ask them to move the namespace"
SPACES = "/api/v1/namespaces"
_numbers = itertools.count(1)


def labels(**values: str | None) -> JSON:
    return {"metadata": {"labels": values}}


def kubelets(key: str) -> str:
    return f"a kubelet may not change the label {key} of its node; change it as an admin"


@pytest.fixture
def terminating(people: People) -> Iterator[str]:
    """A tenant's namespace that is being deleted and kept by a finalizer."""
    name = f"going-{next(_numbers)}"
    body = {"metadata": {"name": name, "labels": {LABEL: "a"}, "finalizers": ["example.com/x"]}}
    people["admin"].post(SPACES, body)
    people["admin"].delete(f"{SPACES}/{name}")
    yield name
    people["admin"].patch(f"{SPACES}/{name}", {"metadata": {"finalizers": []}})


MOVES = [
    pytest.param(TEAM, "b", id="changed"),
    pytest.param(TEAM, None, id="removed"),
    pytest.param(OUTSIDE, "a", id="added"),
    pytest.param(TEAM, "", id="emptied"),
]


@pytest.mark.parametrize("subresource", ["", "/status"])
@pytest.mark.parametrize("who", ["tenant", "operator", "equipoise"])
@pytest.mark.parametrize(("space", "value"), MOVES)
def test_nobody_but_an_admin_moves_a_namespace(
    people: People, who: str, space: str, value: str | None, subresource: str
) -> None:
    target, body = f"{SPACES}/{space}{subresource}", labels(**{LABEL: value})
    assert refusal(lambda: people[who].patch(target, body)) == ADMINS


def test_nor_as_it_is_deleted(people: People, terminating: str) -> None:
    stored = people["operator"].get(f"{SPACES}/{terminating}")
    stored["metadata"]["labels"][LABEL] = "b"
    target = f"{SPACES}/{terminating}/finalize"
    assert refusal(lambda: people["operator"].put(target, stored)) == ADMINS


def test_nor_does_anybody_found_one_in_a_tenants_name(people: People) -> None:
    body = {"metadata": {"name": "new", "labels": {LABEL: "a"}}}
    assert refusal(lambda: people["operator"].post(SPACES, body, DRY)) == ADMINS


@pytest.mark.parametrize("subresource", ["", "/status"])
@pytest.mark.parametrize(("space", "value"), MOVES)
def test_an_admin_may(people: People, space: str, value: str | None, subresource: str) -> None:
    target = f"{SPACES}/{space}{subresource}"
    people["admin"].patch(target, labels(**{LABEL: value}), params=DRY)


@pytest.mark.parametrize("who", ["tenant", "operator"])
def test_all_else_about_a_namespace_may_change(people: People, who: str) -> None:
    body = {"metadata": {"labels": {"a": "b", LABEL: "a"}, "annotations": {"c": "d"}}}
    people[who].patch(f"{SPACES}/{TEAM}", body, params=DRY)
    people["operator"].post(SPACES, {"metadata": {"name": "new"}}, DRY)


@pytest.mark.parametrize("subresource", ["", "/status"])
@pytest.mark.parametrize("value", ["true", None], ids=["added", "removed"])
def test_no_kubelet_gives_or_takes_its_node(
    people: People, value: str | None, subresource: str
) -> None:
    key = "equipoise.dev/other" if value else "equipoise.dev/managed"
    target, body = f"/api/v1/nodes/{NODE}{subresource}", labels(**{key: value})
    said = refusal(lambda: people["kubelet"].patch(target, body, STRATEGIC))
    assert said == kubelets(key)


def test_a_kubelet_keeps_its_node_up_to_date(people: People) -> None:
    node = f"/api/v1/nodes/{NODE}"
    body = {
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}
    }
    people["kubelet"].patch(f"{node}/status", body, STRATEGIC)
    people["kubelet"].patch(node, labels(**{"beta.kubernetes.io/instance-type": "x"}), STRATEGIC)


def test_a_kubelet_brings_the_label_along_when_it_registers(people: People) -> None:
    newcomer = people.plane.kubelet_kubeconfig("newcomer")
    body = {"metadata": {"name": "newcomer", "labels": {"equipoise.dev/managed": "true"}}}
    with Api(newcomer) as kubelet:
        kubelet.post("/api/v1/nodes", body, DRY)


@pytest.mark.parametrize("who", ["admin", "operator"])
def test_people_who_may_change_nodes_give_and_take_them(people: People, who: str) -> None:
    target = f"/api/v1/nodes/{NODE}"
    people[who].patch(target, labels(**{"equipoise.dev/managed": None}), params=DRY)
