"""Certificates of server and client: who is believed, and what happens when they change."""

import asyncio
import base64
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.kube.client import Client
from scheduler.kube.credentials import Kubeconfig, ServiceAccount
from scheduler.kube.errors import Unreachable
from scheduler.kube.resources import CONFIG_MAPS
from tests.kube.accounts import account, renewed
from tests.support.apiserver.kubeconfigs import write
from tests.support.apiserver.server import FakeApi
from tests.support.controlplane.certificates import Authority, Pair

LIST = CONFIG_MAPS.list_path()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


@pytest.fixture
async def secure(authority: Authority) -> AsyncIterator[FakeApi]:
    """A server that wants a client certificate."""
    async with FakeApi(_tls(authority)) as made:
        yield made


async def test_a_client_certificate_says_who_we_are(
    secure: FakeApi, authority: Authority, tmp_path: Path
) -> None:
    path = _inline(tmp_path / "config", secure, authority, authority.client("ann"))

    async with await Client.connect(kubeconfig=str(path)) as client:
        assert (await client.get(LIST))["items"] == []

    assert secure.requests[0].authorization == ""


async def test_no_file_is_left_of_certificates_within_a_kubeconfig(
    secure: FakeApi, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    path = _inline(tmp_path / "config", secure, authority, authority.client("ann"))

    async with await Client.connect(kubeconfig=str(path)):
        assert list(folder.iterdir()) == []
        # What is remembered of them doesn't get into the way of the next client.
        async with await Client.connect(kubeconfig=str(path)) as other:
            await other.get(LIST)

    assert list(folder.iterdir()) == []


async def test_certificates_within_a_kubeconfig_can_be_read_again(
    secure: FakeApi, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = _inline(tmp_path / "config", secure, authority, authority.client("ann"))
    async with await Client.open(Kubeconfig(str(path)), renew_seconds=0.0) as client:
        for _ in range(3):
            await client.get(LIST)
            await renewed()

    assert caplog.records == []
    assert len(secure.peers()) == 1


async def test_closing_breaks_off_what_is_under_way_with_old_certificates_too(
    secure: FakeApi, authority: Authority, tmp_path: Path
) -> None:
    path = _inline(tmp_path / "config", secure, authority, authority.client("ann"))
    client = await Client.open(Kubeconfig(str(path)), renew_seconds=0.0)
    gate = secure.hold(verb="GET")
    held = asyncio.create_task(client.get(LIST))
    await gate.reached.wait()
    _inline(path, secure, authority, authority.client("ann"))
    await client.get(LIST)
    await renewed()

    await client.close()

    with pytest.raises(Unreachable, match="is closed"):
        await held
    with pytest.raises(Unreachable, match="is closed"):
        await client.get(LIST)


async def test_a_new_client_certificate_gets_new_connections_and_old_requests_finish(
    secure: FakeApi, authority: Authority, tmp_path: Path
) -> None:
    pair = authority.client("ann")
    path = write(tmp_path / "config", cluster=_cluster(secure, authority), user=_files(pair))
    async with await Client.open(Kubeconfig(str(path)), renew_seconds=0.0) as client:
        gate = secure.hold(verb="GET")
        held = asyncio.create_task(client.get(LIST))
        await gate.reached.wait()
        await client.get(LIST)
        await renewed()
        before = secure.peers()
        assert len(before) == secure.connections == 2

        authority.client("ann")
        await client.get(LIST)
        await renewed()
        await client.get(LIST)

        assert secure.peers() - before
        gate.open()
        assert (await held)["items"] == []
        async with asyncio.timeout(5.0):
            while secure.connections > 1:
                await asyncio.sleep(0)


async def test_a_server_with_the_certificate_of_another_authority_is_not_believed(
    secure: FakeApi, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    path = _inline(tmp_path / "config", secure, other, authority.client("ann"))

    async with await Client.connect(kubeconfig=str(path), timeout_seconds=3.0) as client:
        with pytest.raises(Unreachable, match="certificate verify failed"):
            await client.get(LIST)


async def test_a_new_authority_is_believed_once_the_account_names_it(
    tmp_path: Path, authority: Authority
) -> None:
    old, new = authority, Authority(tmp_path / "new")
    async with FakeApi(_tls(old, ask=False)) as server:
        folder = account(tmp_path, "sesame", old)
        environ = {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(server.port),
        }
        source = ServiceAccount(folder, environ)
        async with await Client.open(source, renew_seconds=0.0) as client:
            await client.get(LIST)
            await server.stop()
            server.tls = _tls(new, ask=False)
            await server.start()
            account(tmp_path, "sesame", new)
            assert (await client.get(LIST))["items"] == []


def _tls(authority: Authority, *, ask: bool = True) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.certificate)
    pair = authority.server("api", ["127.0.0.1"])
    context.load_cert_chain(pair.certificate, pair.key)
    context.verify_mode = ssl.CERT_REQUIRED if ask else ssl.CERT_NONE
    return context


def _cluster(server: FakeApi, authority: Authority) -> dict[str, Any]:
    return {"server": server.url, "certificate-authority": str(authority.certificate)}


def _files(pair: Pair) -> dict[str, Any]:
    return {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}


def _inline(path: Path, server: FakeApi, authority: Authority, pair: Pair) -> Path:
    """Write a kubeconfig with everything within it."""

    def data(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    return write(
        path,
        cluster={
            "server": server.url,
            "certificate-authority-data": data(authority.certificate),
        },
        user={
            "client-certificate-data": data(pair.certificate),
            "client-key-data": data(pair.key),
        },
    )
