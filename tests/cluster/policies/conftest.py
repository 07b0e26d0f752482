"""Policies in force on the shared control plane, people who try them, and pods to try them on."""

import itertools
from collections.abc import Iterator

import pytest

from tests.cluster.policies.people import NODE, TEAM, People, disown, police, settle
from tests.cluster.policies.specimens import GATE, WRITTEN, asking, binding
from tests.support.controlplane.api import JSON, STRATEGIC
from tests.support.controlplane.plane import ControlPlane

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def people(plane: ControlPlane, swept: None) -> Iterator[People]:
    """Everybody, once the policies are in force. `swept` takes the rest away after the file."""
    police(plane)
    settle(plane)
    found = People(plane)
    yield found
    found.close()
    disown(plane.api)


@pytest.fixture
def waiting(people: People) -> JSON:
    """A tenant's pod that waits behind the gate, and behind one of somebody else's."""
    gates = [{"name": GATE}, {"name": "example.com/quota"}]
    pod = asking(f"p-{next(_numbers)}", schedulingGates=gates)
    return people["tenant"].post(f"/api/v1/namespaces/{TEAM}/pods", pod)


@pytest.fixture
def running(people: People) -> JSON:
    """A tenant's pod that was released and bound by Equipoise, and holds half a GPU."""
    pods = f"/api/v1/namespaces/{TEAM}/pods"
    made = people["tenant"].post(pods, asking(f"p-{next(_numbers)}"))
    path = f"{pods}/{made['metadata']['name']}"
    gone = {"spec": {"schedulingGates": [{"name": GATE, "$patch": "delete"}]}}
    people["equipoise"].patch(path, gone, STRATEGIC)
    people["equipoise"].post(f"{path}/binding", binding(made, NODE, WRITTEN))
    return people["kubelet"].patch(f"{path}/status", {"status": {"phase": "Running"}})
