"""Two owners pool their machines on the real control plane: what is lent comes back."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.pods import Room
from tests.cluster.tenants import TENANTS, rooms_of
from tests.cluster.test_commands import run
from tests.cluster.test_reclaim import GRACE, PATIENCE, SETTINGS, deploy, deployment, running
from tests.support.controlplane.api import JSON, MERGE, Api
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually, stays

OWNERS = "pooled-one", "pooled-other"
NODES = "pooled-0", "pooled-1"
GPUS = 2
OWNER = "equipoise.dev/owner"


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    ours = Installation(plane)
    ours.apply()
    plane.nodes(len(NODES), gpus=GPUS, prefix="pooled-")
    for name in OWNERS:
        kind = {"apiVersion": "equipoise.dev/v1alpha1", "kind": "Tenant"}
        spec = {"guarantee": "contributed"}
        plane.api.ensure(TENANTS, {**kind, "metadata": {"name": name}, "spec": spec})
    ours.start("pooled", settings=SETTINGS)
    yield ours
    ours.close()


@pytest.fixture
def rooms(plane: ControlPlane, installed: Installation) -> Iterator[tuple[Room, Room]]:
    with rooms_of(plane, OWNERS) as (first, second):
        yield first, second


def own(api: Api, node: str, owner: str | None, **spec: Any) -> None:
    body = {"metadata": {"labels": {OWNER: owner}}, "spec": spec}
    api.patch(f"/api/v1/nodes/{node}", body, MERGE)


def told(api: Api, owner: str) -> tuple[object, ...]:
    """What a Tenant's status says: guaranteed, brought, missing."""
    status: JSON = api.get(f"{TENANTS}/{owner}").get("status", {})
    return tuple(status.get(f"{word}GPUs") for word in ("guarantee", "brought", "missing"))


def test_what_is_lent_comes_back_and_a_machine_that_is_taken_away_is_missed(
    rooms: tuple[Room, Room], plane: ControlPlane, api: Api
) -> None:
    one, other = rooms
    for node, owner in zip(NODES, OWNERS, strict=True):
        own(api, node, owner)
    for owner in OWNERS:
        eventually(lambda owner=owner: told(api, owner) == (2, 2, 0), 20, what="each has its own")  # type: ignore[misc]

    deploy(other, deployment("greedy", 4))
    eventually(lambda: running(other) == 4, 30, what="the other one borrows all there is")
    said = run(plane, "whatif", "--without-node", NODES[0], good=1)
    assert f"Without {NODES[0]} (of {OWNERS[0]}):" in said
    assert f"The guarantee of {OWNERS[0]} would go from 2 to 0 GPUs." in said
    assert (
        said.count(f"(1 GPU, tenant {OWNERS[1]}) would end there: made again, it would wait") == 2
    )

    deploy(one, deployment("own", 3))
    eventually(lambda: running(one) == 2, PATIENCE + GRACE + 10, what="it is back at its own")
    stays(
        lambda: (running(one), running(other)) == (2, 2),
        2 * PATIENCE + 1,
        every=0.2,
        what="so is the other one",
    )
    assert "2 brought" in " ".join(run(plane, "tenants").split())

    own(api, NODES[0], "nobody-at-all")
    eventually(lambda: told(api, OWNERS[0]) == (0, 0, 0), 20, what="its machine is another's")
    assert f'{NODES[0]} names the owner "nobody-at-all"' in run(plane, "tenants")
    own(api, NODES[0], OWNERS[0], unschedulable=True)
    eventually(lambda: told(api, OWNERS[0]) == (0, 2, 2), 20, what="its machine is cordoned")
    own(api, NODES[0], OWNERS[0], unschedulable=None)
    eventually(lambda: told(api, OWNERS[0]) == (2, 2, 0), 20, what="it is back")
