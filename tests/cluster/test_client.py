"""The contract of client and reflector, on a real API server."""

from collections.abc import AsyncIterator, Callable

import pytest

from scheduler.kube.client import Client
from tests.support.controlplane.plane import ControlPlane
from tests.support.kubecontract import ClientContract, ReflectorContract


@pytest.fixture
async def client(plane: ControlPlane) -> AsyncIterator[Client]:
    async with await Client.connect(kubeconfig=str(plane.kubeconfig())) as made:
        yield made


@pytest.fixture
def forget(plane: ControlPlane) -> Callable[[], None]:
    def now() -> None:
        # etcd forgets pages of lists, and a new API server knows no change of before.
        plane.compact()
        plane.restart_apiserver()

    return now


class TestClient(ClientContract):
    """The same as on the fake one."""


class TestReflector(ReflectorContract):
    """The same as on the fake one."""
