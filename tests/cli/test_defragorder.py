"""Orders to defragment: what is written on Tenants, and taken off them again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scheduler.cli.defragorder import Order, give
from scheduler.core.model.ids import TenantName
from scheduler.core.model.names import DEFRAG_MOVES, DEFRAG_UNTIL
from scheduler.kube.client import Client
from scheduler.kube.errors import NotFound, Unreachable
from scheduler.kube.resources import TENANTS
from tests.support.apiserver.kubeconfigs import by_token
from tests.support.apiserver.server import FakeApi
from tests.support.builders import pod

A, B = TenantName("a"), TenantName("b")
THEIRS = {DEFRAG_UNTIL: "2099-01-01T00:00:00Z", DEFRAG_MOVES: "7"}
GONE = pod("gone", 500, "a")
"""It isn't there any more, so nothing is waited for."""


@pytest.fixture
async def server() -> AsyncIterator[FakeApi]:
    async with FakeApi() as made:
        for name in (A, B):
            made.put(TENANTS, {"metadata": {"name": name, "annotations": {"other": "stays"}}})
        yield made


@pytest.fixture
async def client(server: FakeApi, tmp_path: Path) -> AsyncIterator[Client]:
    path = by_token(tmp_path / "kubeconfig", server.url, "sesame")
    async with await Client.connect(kubeconfig=str(path), timeout_seconds=5.0) as made:
        yield made


def notes(server: FakeApi, name: str) -> dict[str, str]:
    found: dict[str, str] = server.get(TENANTS, name)["metadata"].get("annotations", {})
    return found


def order(**moves: int | None) -> Order:
    return Order((GONE,), {TenantName(name): most for name, most in moves.items()}, 60.0)


def ignore(_text: str) -> None:
    """Nobody listens."""


async def test_an_order_is_taken_back_once_all_have_their_places(
    server: FakeApi, client: Client
) -> None:
    standing = dict[str, str]()

    def tell(text: str) -> None:
        if text.startswith("Ordered"):
            standing.update(notes(server, A))

    assert await give(client, order(a=2, b=None), wait=True, tell=tell)
    assert (set(standing), standing[DEFRAG_MOVES]) == ({"other", *THEIRS}, "2")
    assert notes(server, A) == notes(server, B) == {"other": "stays"}


async def test_an_order_of_somebody_else_is_not_taken_back(server: FakeApi, client: Client) -> None:
    def tell(text: str) -> None:
        if text.startswith("Ordered"):
            server.put(TENANTS, {"metadata": {"name": A, "annotations": THEIRS}})
            server.put(TENANTS, {"metadata": {"name": B}})

    assert await give(client, order(a=2, b=1), wait=True, tell=tell)
    assert (notes(server, A), notes(server, B)) == (THEIRS, {})


async def test_without_waiting_it_stands(server: FakeApi, client: Client) -> None:
    assert await give(client, order(a=2), wait=False, tell=ignore) is None
    assert set(notes(server, A)) == {"other", *THEIRS}


async def test_what_was_stored_without_an_answer_is_taken_back(
    server: FakeApi, client: Client
) -> None:
    server.drop(verb="PATCH", path="/tenants/b", processed=True)
    with pytest.raises(Unreachable):
        await give(client, order(a=2, b=1), wait=True, tell=ignore)
    assert notes(server, A) == notes(server, B) == {"other": "stays"}


async def test_of_a_tenant_that_is_gone_that_is_said(server: FakeApi, client: Client) -> None:
    server.remove(TENANTS, B)
    with pytest.raises(NotFound):
        await give(client, order(a=2, b=1), wait=True, tell=ignore)
    assert notes(server, A) == {"other": "stays"}
