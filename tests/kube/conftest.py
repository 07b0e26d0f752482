"""A fake API server and a client of it, for the tests that speak HTTP."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from scheduler.kube.client import Client
from tests.support.apiserver.kubeconfigs import by_token
from tests.support.apiserver.server import FakeApi


@pytest.fixture
async def server() -> AsyncIterator[FakeApi]:
    async with FakeApi() as made:
        yield made


@pytest.fixture
async def client(server: FakeApi, tmp_path: Path) -> AsyncIterator[Client]:
    path = by_token(tmp_path / "kubeconfig", server.url, "sesame")
    async with await Client.connect(kubeconfig=str(path), timeout_seconds=5.0) as made:
        yield made


@pytest.fixture
def namespace() -> str:
    return "lab"


@pytest.fixture
def forget(server: FakeApi) -> Callable[[], None]:
    def now() -> None:
        server.compact()
        server.end_watches("cut")

    return now
