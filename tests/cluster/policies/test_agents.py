"""An agent tells about its own node; what Equipoise remembers is written by Equipoise."""

from collections.abc import Callable, Iterator

import pytest

from tests.cluster.policies.people import DRY, NODE, OTHER_NODE, People, refusal
from tests.support.controlplane.api import JSON

GROUP = "/apis/equipoise.dev/v1alpha1"
GPUNODES, TENANTS = f"{GROUP}/gpunodes", f"{GROUP}/tenants"
HEAD = {"apiVersion": "equipoise.dev/v1alpha1", "kind": "GPUNode"}

NAMELESS = (
    "the agent's token names no node; run the agent as a pod of Kubernetes 1.30 or newer, with the "
    "token that the kubelet mounts"
)
NO_DELETE = "an agent creates and updates its GPUNode; leave deleting it to admins"
STATUS_ONLY = (
    "Equipoise's scheduler writes the status of a GPUNode only; leave the rest to its agent"
)
BY_HAND = (
    "GPUNodes are written by Equipoise's agents; only admins, who may update tenants, change them "
    "by hand"
)
TENANT_STATUS = (
    "the status of a Tenant is written by Equipoise; only admins, who may update tenants, change "
    "it by hand"
)


def foreign(name: str) -> str:
    return f"the agent of node {NODE} may write the GPUNode of its own node only, not {name}"


def gpunode(name: str, **fields: JSON) -> JSON:
    return {**HEAD, "metadata": {"name": name}, **fields}


@pytest.fixture(scope="module", autouse=True)
def objects(people: People) -> Iterator[None]:
    admin = people["admin"]
    tenant = {"apiVersion": HEAD["apiVersion"], "kind": "Tenant", "metadata": {"name": "a"}}
    admin.post(TENANTS, tenant)
    yield
    admin.delete(f"{TENANTS}/a")


Write = Callable[[People, str, str], object]


def create(people: People, who: str, name: str) -> object:
    return people[who].post(GPUNODES, gpunode(name), DRY)


def annotate(people: People, who: str, name: str) -> object:
    body = {"metadata": {"annotations": {"equipoise.dev/boot-id": "x"}}}
    return people[who].patch(f"{GPUNODES}/{name}", body, params=DRY)


def report(people: People, who: str, name: str) -> object:
    body = gpunode(name, status={"driver": "615.1"})
    params = {**DRY, "fieldManager": "test", "force": "true"}
    target = f"{GPUNODES}/{name}/status"
    return people[who].patch(target, body, "application/apply-patch+yaml", params)


def replace(people: People, who: str, name: str) -> object:
    stored = people["admin"].get(f"{GPUNODES}/{name}")
    stored["status"] = {"driver": "other"}
    return people[who].put(f"{GPUNODES}/{name}/status", stored, DRY)


def delete(people: People, who: str, name: str) -> object:
    return people[who].delete(f"{GPUNODES}/{name}", {"dryRun": ["All"]})


EVERY = [create, annotate, report, replace, delete]
named = pytest.mark.parametrize("write", EVERY, ids=lambda write: write.__name__)


@named
def test_an_agent_writes_no_other_nodes_gpunode(people: People, write: Write) -> None:
    name = "gpu-9" if write is create else OTHER_NODE
    assert refusal(lambda: write(people, "agent", name)) == foreign(name)


@named
def test_a_token_that_names_no_node_writes_none(people: People, write: Write) -> None:
    name = "gpu-9" if write is create else NODE
    assert refusal(lambda: write(people, "nameless-agent", name)) == NAMELESS


def test_an_agent_names_its_gpunode(people: People) -> None:
    body = {**HEAD, "metadata": {"generateName": "gpu-"}}
    said = refusal(lambda: people["agent"].post(GPUNODES, body, DRY))
    assert said.startswith(f"the agent of node {NODE} may write the GPUNode of its own node only")


@pytest.mark.parametrize("write", [annotate, report, replace], ids=lambda write: write.__name__)
def test_an_agent_keeps_its_own(people: People, write: Write) -> None:
    write(people, "agent", NODE)


def test_an_agent_makes_its_own_with_its_node_as_owner(people: People) -> None:
    admin, agent = people["admin"], people["agent"]
    admin.delete(f"{GPUNODES}/{NODE}")
    uid = admin.get(f"/api/v1/nodes/{NODE}")["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": NODE, "uid": uid}
    metadata = {"name": NODE, "ownerReferences": [owner]}
    agent.apply(f"{GPUNODES}/{NODE}", {**HEAD, "metadata": metadata}, manager="equipoise-agent")
    status = {"status": {"driver": "615.1"}, "metadata": {"name": NODE}}
    agent.apply(f"{GPUNODES}/{NODE}/status", {**HEAD, **status}, manager="equipoise-agent")
    assert admin.get(f"{GPUNODES}/{NODE}")["status"]["driver"] == "615.1"


def test_an_agent_deletes_none(people: People) -> None:
    assert refusal(lambda: delete(people, "agent", NODE)) == NO_DELETE


def test_equipoise_writes_their_status(people: People) -> None:
    report(people, "equipoise", NODE)


@pytest.mark.parametrize("write", [create, annotate, delete], ids=lambda write: write.__name__)
def test_equipoise_writes_nothing_else_of_them(people: People, write: Write) -> None:
    name = "gpu-9" if write is create else NODE
    assert refusal(lambda: write(people, "equipoise", name)) == STATUS_ONLY


@pytest.mark.parametrize(
    "write", [create, annotate, report, replace], ids=lambda write: write.__name__
)
def test_nobody_else_writes_them_but_admins(people: People, write: Write) -> None:
    name = "gpu-9" if write is create else NODE
    assert refusal(lambda: write(people, "operator", name)) == BY_HAND
    write(people, "admin", name)


def test_whoever_may_delete_them_does(people: People) -> None:
    delete(people, "operator", NODE)
    delete(people, "admin", NODE)


def owed(people: People, who: str) -> object:
    lag = {"gpuSeconds": 1e6, "slope": 0, "at": "2026-01-01T00:00:00Z"}
    return people[who].patch(f"{TENANTS}/a/status", {"status": {"lag": lag}}, params=DRY)


@pytest.mark.parametrize("who", ["operator", "agent"])
def test_nobody_writes_down_what_a_tenant_is_owed(people: People, who: str) -> None:
    assert refusal(lambda: owed(people, who)) == TENANT_STATUS


@pytest.mark.parametrize("who", ["equipoise", "admin"])
def test_equipoise_and_admins_do(people: People, who: str) -> None:
    owed(people, who)
