"""Where credentials come from, and how the client follows them when they change."""

import asyncio
import base64
import gc
import os
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.model.errors import InvalidInput
from scheduler.kube.client import Client
from scheduler.kube.credentials import Kubeconfig, ServiceAccount, authorization, find
from scheduler.kube.errors import Unauthorized, Unreachable
from scheduler.kube.resources import CONFIG_MAPS
from tests.support.apiserver.kubeconfigs import by_token, write
from tests.support.apiserver.server import FakeApi
from tests.support.controlplane.certificates import Authority, Pair

LIST = CONFIG_MAPS.list_path()
IN_A_POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


# Which of them is used.


def test_the_kubeconfig_given_comes_first(tmp_path: Path) -> None:
    environ = {"KUBECONFIG": "/other", **IN_A_POD}

    source = find("/mine", None, environ=environ, home=tmp_path)

    assert isinstance(source, Kubeconfig)
    assert source.paths == "/mine"


def test_the_environments_kubeconfig_comes_before_the_pods_account(tmp_path: Path) -> None:
    source = find(None, None, environ={"KUBECONFIG": "/other", **IN_A_POD}, home=tmp_path)

    assert isinstance(source, Kubeconfig)
    assert source.paths == "/other"


def test_a_pod_uses_its_account(tmp_path: Path) -> None:
    by_token(_usual(tmp_path), "http://127.0.0.1", "t")

    assert isinstance(find(None, None, environ=IN_A_POD, home=tmp_path), ServiceAccount)


def test_a_context_is_looked_up_in_a_kubeconfig_even_in_a_pod(tmp_path: Path) -> None:
    by_token(_usual(tmp_path), "http://127.0.0.1", "t")

    assert isinstance(find(None, "it", environ=IN_A_POD, home=tmp_path), Kubeconfig)


def test_the_usual_kubeconfig_is_the_last_resort(tmp_path: Path) -> None:
    path = by_token(_usual(tmp_path), "http://127.0.0.1", "t")

    source = find(None, None, environ={}, home=tmp_path)

    assert isinstance(source, Kubeconfig)
    assert source.paths == str(path)


def test_without_any_of_them_the_error_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="give --kubeconfig, set KUBECONFIG, or put"):
        find(None, None, environ={}, home=tmp_path)


# What they say.


async def test_a_kubeconfig_names_server_token_and_namespace(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sesame\n")
    path = write(
        tmp_path / "config",
        cluster={"server": "http://127.0.0.1:1/"},
        user={"tokenFile": "token"},
        namespace="lab",
    )

    async with await Client.connect(kubeconfig=str(path)) as client:
        assert client.server == "http://127.0.0.1:1"
        assert client.namespace == "lab"
    configuration = await Kubeconfig(str(path)).load(fresh=False)
    assert authorization(configuration) == "Bearer sesame"


async def test_another_context_may_be_named(tmp_path: Path) -> None:
    path = by_token(tmp_path / "config", "http://127.0.0.1:1", "t")

    with pytest.raises(InvalidInput, match="other"):
        await Client.connect(kubeconfig=str(path), context="other")
    async with await Client.connect(kubeconfig=str(path), context="it") as client:
        assert client.namespace == "default"


async def test_several_kubeconfigs_are_merged(tmp_path: Path) -> None:
    path = by_token(tmp_path / "config", "http://127.0.0.1:1", "t")
    paths = f"{tmp_path / 'missing'}{os.pathsep}{path}"

    async with await Client.connect(kubeconfig=paths) as client:
        assert client.server == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "a: [", "kind: Config", '{"current-context": "x", "contexts": []}', "\x00"],
    ids=["empty", "list", "no yaml", "no context", "no such context", "no text"],
)
async def test_a_broken_kubeconfig_is_one_clear_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)

    with pytest.raises(InvalidInput) as refused:
        await Client.connect(kubeconfig=str(path))

    assert str(refused.value).startswith(f"kubeconfig {path}: ")
    assert str(refused.value).endswith("; correct it, or name another")
    assert "\n" not in str(refused.value)


async def test_a_kubeconfig_that_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="it isn't there"):
        await Client.connect(kubeconfig=str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("cluster", "match"),
    [
        ({"server": "ftp://x"}, "write it as https"),
        ({"server": "http://x", "proxy-url": "socks5://p"}, "begins with http"),
        ({"server": "https://x", "certificate-authority-data": "eHl6"}, "certificates"),
    ],
    ids=["scheme", "proxy", "authority"],
)
async def test_what_can_not_be_used_is_said_before_anything_is_sent(
    tmp_path: Path, cluster: dict[str, str], match: str
) -> None:
    path = write(tmp_path / "config", cluster=cluster, user={"token": "t"})

    with pytest.raises(InvalidInput, match=match):
        await Client.connect(kubeconfig=str(path))


async def test_a_pods_account_names_server_token_and_namespace(tmp_path: Path) -> None:
    folder = _account(tmp_path, "sesame", Authority(tmp_path / "pki"))

    source = ServiceAccount(folder, IN_A_POD)
    configuration = await source.load(fresh=False)

    assert configuration.host == "https://10.96.0.1:443"
    assert authorization(configuration) == "bearer sesame"
    assert source.namespace == "equipoise-system"


async def test_a_pod_without_an_account_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="set automountServiceAccountToken"):
        await ServiceAccount(tmp_path, IN_A_POD).load(fresh=False)


# Plugins.

_PLUGIN = """
import json, pathlib
runs = pathlib.Path("{runs}")
runs.write_text(runs.read_text() + "x")
token = pathlib.Path("{token}").read_text()
expires = "2100-01-01T00:00:00Z"
status = dict(token=token, expirationTimestamp=expires)
print(json.dumps(dict(apiVersion="client.authentication.k8s.io/v1", kind="ExecCredential",
                      status=status)))
"""


@pytest.fixture
def plugin(tmp_path: Path) -> dict[str, Any]:
    """A user whose token a program prints; it counts in `runs` how often it ran."""
    (tmp_path / "runs").write_text("")
    (tmp_path / "token").write_text("first")
    program = tmp_path / "plugin.py"
    program.write_text(_PLUGIN.format(runs=tmp_path / "runs", token=tmp_path / "token"))
    call = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable}
    return {"exec": {**call, "args": [str(program)]}}


async def test_a_plugin_runs_again_only_when_its_token_is_refused(
    server: FakeApi, tmp_path: Path, plugin: dict[str, Any]
) -> None:
    server.tokens = {"first"}
    path = write(tmp_path / "config", cluster={"server": server.url}, user=plugin)

    async with await Client.open(Kubeconfig(str(path)), renew_seconds=0.0) as client:
        for _ in range(3):
            await client.get(LIST)
            await _renewed()
        assert (tmp_path / "runs").read_text() == "x"

        server.tokens = {"second"}
        (tmp_path / "token").write_text("second")
        await asyncio.gather(*(client.get(LIST) for _ in range(5)))

    assert (tmp_path / "runs").read_text() == "xx"


async def test_a_plugin_that_fails_is_an_error(tmp_path: Path, plugin: dict[str, Any]) -> None:
    (tmp_path / "token").unlink()
    path = write(tmp_path / "config", cluster={"server": "http://127.0.0.1:1"}, user=plugin)

    with pytest.raises(InvalidInput, match="its credential plugin failed"):
        await Client.connect(kubeconfig=str(path))


# Changes under way.


async def test_a_token_that_is_refused_is_read_anew_and_the_request_repeated(
    server: FakeApi, tmp_path: Path
) -> None:
    path = by_token(tmp_path / "config", server.url, "old")
    server.tokens = {"old"}
    async with await Client.connect(kubeconfig=str(path)) as client:
        await client.get(LIST)
        server.tokens = {"new"}
        by_token(path, server.url, "new")

        await client.post(CONFIG_MAPS.list_path("lab"), {"metadata": {"name": "c"}})

    assert [seen.verb for seen in server.requests] == ["GET", "POST", "POST"]


async def test_a_token_that_stays_refused_is_an_error(server: FakeApi, tmp_path: Path) -> None:
    path = by_token(tmp_path / "config", server.url, "old")
    server.tokens = {"new"}
    async with await Client.connect(kubeconfig=str(path)) as client:
        with pytest.raises(Unauthorized):
            await client.get(LIST)

    assert len(server.requests) == 2


async def test_a_token_is_read_anew_after_a_while_without_being_refused(
    server: FakeApi, tmp_path: Path
) -> None:
    path = by_token(tmp_path / "config", server.url, "old")
    async with await Client.open(Kubeconfig(str(path)), renew_seconds=0.0) as client:
        by_token(path, server.url, "new")
        await client.get(LIST)
        await _renewed()
        await client.get(LIST)

    sent = [seen.authorization for seen in server.requests]
    assert sent == ["Bearer old", "Bearer new"]


async def test_credentials_that_can_not_be_read_any_more_stay_in_use_and_are_told_once(
    server: FakeApi, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = by_token(tmp_path / "config", server.url, "sesame")
    async with await Client.open(Kubeconfig(str(path)), renew_seconds=0.0) as client:
        path.unlink()
        for _ in range(3):
            await client.get(LIST)
            await _renewed()

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the credentials read before stay in use" in caplog.text


# Certificates.


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


async def test_a_new_client_certificate_gets_new_connections_and_old_requests_finish(
    secure: FakeApi, authority: Authority, tmp_path: Path
) -> None:
    pair = authority.client("ann")
    path = write(tmp_path / "config", cluster=_cluster(secure, authority), user=_files(pair))
    async with await Client.open(Kubeconfig(str(path)), renew_seconds=0.0) as client:
        gate = secure.hold(verb="GET")
        held = asyncio.create_task(client.get(LIST))
        await gate.reached.wait()
        before = secure.peers()

        authority.client("ann")
        await client.get(LIST)
        await _renewed()
        await client.get(LIST)
        gate.open()

        assert (await held)["items"] == []
        assert secure.peers() - before


async def test_a_server_with_the_certificate_of_another_authority_is_not_believed(
    secure: FakeApi, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    path = _inline(tmp_path / "config", secure, other, authority.client("ann"))

    async with await Client.connect(kubeconfig=str(path), timeout_seconds=0.3) as client:
        with pytest.raises(Unreachable, match="certificate verify failed"):
            await client.get(LIST)


async def test_a_new_authority_is_believed_once_the_account_names_it(
    tmp_path: Path, authority: Authority
) -> None:
    old, new = authority, Authority(tmp_path / "new")
    async with FakeApi(_tls(old, ask=False)) as server:
        folder = _account(tmp_path, "sesame", old)
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
            _account(tmp_path, "sesame", new)
            assert (await client.get(LIST))["items"] == []


async def test_a_closed_client_leaves_no_connection_open(server: FakeApi, tmp_path: Path) -> None:
    path = by_token(tmp_path / "config", server.url, "a")
    client = await Client.open(Kubeconfig(str(path)), renew_seconds=0.0)
    await client.get(LIST)
    await client.close()
    # An open session would say so when it is collected, and warnings are errors here.
    del client
    gc.collect()


def _usual(home: Path) -> Path:
    (home / ".kube").mkdir()
    return home / ".kube" / "config"


def _account(tmp_path: Path, token: str, authority: Authority) -> Path:
    folder = tmp_path / "account"
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text(token)
    (folder / "namespace").write_text("equipoise-system")
    (folder / "ca.crt").write_bytes(authority.certificate.read_bytes())
    return folder


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


async def _renewed() -> None:
    """Wait until the renewal that runs beside requests is over."""
    for task in asyncio.all_tasks():
        if task.get_name() == "credentials":
            await task
