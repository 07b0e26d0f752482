"""Where credentials come from, and how the client follows them when they change."""

import asyncio
import gc
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio.client.configuration import Configuration

from scheduler.core.model.errors import InvalidInput
from scheduler.kube.client import Client
from scheduler.kube.credentials import Kubeconfig, ServiceAccount, authorization, find
from scheduler.kube.errors import Unauthorized
from scheduler.kube.resources import CONFIG_MAPS
from tests.kube.accounts import IN_A_POD, account, renewed
from tests.support.apiserver.kubeconfigs import by_token, write
from tests.support.apiserver.server import FakeApi
from tests.support.controlplane.certificates import Authority

LIST = CONFIG_MAPS.list_path()


# Which of them is used.


def test_the_kubeconfig_given_comes_first(tmp_path: Path) -> None:
    environ = {"KUBECONFIG": "/other", **IN_A_POD}

    source = find("/mine", None, environ=environ, home=tmp_path)

    assert isinstance(source, Kubeconfig)
    assert source.paths == "/mine"


def test_the_environments_kubeconfig_comes_before_the_podsaccount(tmp_path: Path) -> None:
    source = find(None, None, environ={"KUBECONFIG": "/other", **IN_A_POD}, home=tmp_path)

    assert isinstance(source, Kubeconfig)
    assert source.paths == "/other"


def test_a_pod_uses_itsaccount(tmp_path: Path) -> None:
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
    folder = account(tmp_path, "sesame", Authority(tmp_path / "pki"))

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
            await renewed()
        assert (tmp_path / "runs").read_text() == "x"

        server.tokens = {"second"}
        (tmp_path / "token").write_text("second")
        await asyncio.gather(*(client.get(LIST) for _ in range(5)))

    assert (tmp_path / "runs").read_text() == "xx"


async def test_a_refusal_that_comes_late_is_no_reason_to_run_the_plugin_again(
    server: FakeApi, tmp_path: Path, plugin: dict[str, Any]
) -> None:
    path = write(tmp_path / "config", cluster={"server": server.url}, user=plugin)
    async with await Client.connect(kubeconfig=str(path)) as client:
        server.tokens = {"second"}
        (tmp_path / "token").write_text("second")
        gate = server.hold(verb="GET")
        late = asyncio.create_task(client.get(LIST))
        await gate.reached.wait()
        await client.get(LIST)
        gate.open()
        await late

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
        await renewed()
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
            await renewed()

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the credentials read before stay in use" in caplog.text


class Slow:
    """Credentials that are there once, and then don't come."""

    namespace = "lab"

    def __init__(self, url: str) -> None:
        self._url, self._loads = url, 0
        self.asked = asyncio.Event()

    async def load(self, *, fresh: bool) -> Configuration:
        self._loads += 1
        if self._loads > 1:
            self.asked.set()
            await asyncio.Event().wait()
        return Configuration(host=self._url)


async def test_requests_do_not_wait_for_a_renewal_and_close_ends_it(server: FakeApi) -> None:
    source = Slow(server.url)
    async with await Client.open(source, renew_seconds=0.0) as client:
        await client.get(LIST)
        await source.asked.wait()
        await client.get(LIST)
        assert "credentials" in _tasks()

    assert "credentials" not in _tasks()


async def test_what_is_in_the_environment_and_netrc_does_not_meet_requests(
    server: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    async with await Client.connect(
        kubeconfig=str(by_token(tmp_path / "config", server.url, "sesame"))
    ) as client:
        await client.get(LIST)

    assert server.requests[0].authorization == "Bearer sesame"


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


def _tasks() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks()]
