"""The samples on a real API server: each is taken, and its pods pass webhook and policies."""

from collections.abc import Iterator

import pytest

from scheduler.core.model.names import GATE
from tests.samples.files import LISTED, SAMPLES, documents, workloads
from tests.support.controlplane.api import Api
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.sweeping import drop_namespace
from tests.support.controlplane.waiting import eventually

WORKLOADS = dict(workloads())
TENANTS = "/apis/equipoise.dev/v1alpha1/tenants"


@pytest.fixture(scope="module", autouse=True)
def installed(plane: ControlPlane, swept: None) -> Iterator[Installation]:
    """Equipoise without a GPU: whatever asks for one waits."""
    ours = Installation(plane)
    ours.apply()
    ours.start("samples")
    yield ours
    ours.close()


@pytest.fixture(scope="module", autouse=True)
def tenants(plane: ControlPlane, installed: Installation) -> Iterator[None]:
    plane.kubectl("apply", "-f", str(SAMPLES / "tenants.yaml"))
    yield
    for each in documents("tenants.yaml"):
        name = each["metadata"]["name"]
        if each["kind"] == "Namespace":
            drop_namespace(plane.api, name)
        else:
            plane.api.delete(f"{TENANTS}/{name}")


@pytest.mark.parametrize("name", LISTED)
def test_kubectl_validates_it_strictly_without_a_warning(plane: ControlPlane, name: str) -> None:
    said = plane.kubectl(
        *("apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors"),
        *("-f", str(SAMPLES / name)),
    )
    assert said.count("server dry run") == len(documents(name))


@pytest.mark.parametrize("name", WORKLOADS)
def test_what_it_makes_waits_for_its_turn(plane: ControlPlane, api: Api, name: str) -> None:
    workload = WORKLOADS[name]
    plane.kubectl("apply", "-f", str(SAMPLES / name))
    pods = f"/api/v1/namespaces/{workload['metadata']['namespace']}/pods"
    label = workload["spec"]["template"]["metadata"]["labels"]["app"]
    made = eventually(
        lambda: (
            [
                each
                for each in api.items(pods)
                if each["metadata"].get("labels", {}).get("app") == label
            ]
            or None
        ),
        20,
        what=f"{name} makes pods",
    )
    assert all(each["spec"]["schedulingGates"] == [{"name": GATE}] for each in made)
    assert all(each["spec"]["schedulerName"] == "equipoise" for each in made)
    plane.kubectl("delete", "-f", str(SAMPLES / name), "--wait=false")
