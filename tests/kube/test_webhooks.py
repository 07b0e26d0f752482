"""The Secret and the webhook configurations, by their rules of versions."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from scheduler.kube.client import JSON, Patch
from scheduler.kube.errors import Conflict, NotFound
from scheduler.kube.webhooks import ConfigurationSink, SecretStore, WebhookInjector

SECRETS = "/api/v1/namespaces/equipoise-system/secrets"
SECRET = f"{SECRETS}/equipoise-webhook-tls"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
KINDS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
FILES = {"tls.crt": b"c", "tls.key": b"k", "ca.crt": b"a", "ca.key": b"\x00\xff"}


class Api:
    """Objects by path: a version each, 409 for another one, 404 for what isn't there."""

    def __init__(self) -> None:
        self.objects: dict[str, JSON] = {}
        self.folders = {SECRETS}
        self.patched: list[str] = []
        self.version = 0

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> JSON:
        if path not in self.objects:
            raise NotFound(404, "NotFound", "not found")
        return self.objects[path]

    async def post(self, path: str, body: Any, params: Mapping[str, str] | None = None) -> JSON:
        if path not in self.folders:
            raise NotFound(404, "NotFound", "namespaces not found")
        name = f"{path}/{body['metadata']['name']}"
        if name in self.objects:
            raise Conflict(409, "AlreadyExists", "already exists")
        return self._store(name, body)

    async def put(self, path: str, body: Any, params: Mapping[str, str] | None = None) -> JSON:
        old = await self.get(path)
        if old["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", "modified")
        return self._store(path, body)

    async def patch(
        self,
        path: str,
        body: Any,
        kind: Patch,
        params: Mapping[str, str] | None = None,
        *,
        brief: bool = False,
    ) -> JSON:
        """Webhooks are merged by name, clientConfig key by key."""
        assert kind is Patch.STRATEGIC
        self.patched.append(path)
        changed = {entry["name"]: entry for entry in body["webhooks"]}
        for entry in self.objects[path]["webhooks"]:
            entry["clientConfig"] |= changed.get(entry["name"], {}).get("clientConfig", {})
        return self.objects[path]

    def _store(self, path: str, body: JSON) -> JSON:
        self.version += 1
        self.objects[path] = {
            **body,
            "metadata": {**body["metadata"], "resourceVersion": str(self.version)},
        }
        return self.objects[path]


async def test_a_secret_is_made_read_and_replaced() -> None:
    api = Api()
    store = SecretStore(api)
    assert await store.load() == ({}, "")
    assert await store.save(FILES, over="")
    assert api.objects[SECRET]["type"] == "kubernetes.io/tls"
    files, version = await store.load()
    assert files == FILES
    assert await store.save({**FILES, "tls.crt": b"new"}, over=version)
    assert (await store.load())[0]["tls.crt"] == b"new"


async def test_who_comes_second_is_told_so() -> None:
    api = Api()
    first, second = SecretStore(api), SecretStore(api)
    assert await first.save(FILES, over="")
    assert not await second.save(FILES, over="")
    _, version = await second.load()
    assert await first.save(FILES, over=version)
    assert not await second.save(FILES, over=version)


async def test_a_secret_that_was_deleted_meanwhile_is_no_error() -> None:
    api = Api()
    assert not await SecretStore(api).save(FILES, over="7")


async def test_a_namespace_that_isnt_there_is_one() -> None:
    api = Api()
    api.folders.clear()
    with pytest.raises(NotFound):
        await SecretStore(api).save(FILES, over="")


async def test_a_secret_without_data_or_with_nonsense_reads_as_nothing_of_use() -> None:
    api = Api()
    metadata = {"resourceVersion": "3"}
    api.objects[SECRET] = {"metadata": metadata}
    assert await SecretStore(api).load() == ({}, "3")
    api.objects[SECRET] = {"metadata": metadata, "data": {"tls.crt": "not base64!"}}
    assert await SecretStore(api).load() == ({"tls.crt": b""}, "3")


def configured(api: Api, *bundles: str | None) -> list[str]:
    paths = [f"{ADMISSION}/{kind}/equipoise" for kind in KINDS]
    for path in paths:
        api.objects[path] = {
            "webhooks": [
                {
                    "name": f"w{index}",
                    "clientConfig": {
                        "service": {"name": "s"},
                        **({"caBundle": text} if text else {}),
                    },
                }
                for index, text in enumerate(bundles)
            ]
        }
    return paths


async def test_the_authorities_are_written_where_they_arent_yet() -> None:
    api = Api()
    wanted = base64.b64encode(b"PEM").decode()
    paths = configured(api, None, wanted, "old")
    injector = WebhookInjector(api)
    await injector.inject(b"PEM")
    assert api.patched == paths
    for path in paths:
        for entry in api.objects[path]["webhooks"]:
            assert entry["clientConfig"] == {"service": {"name": "s"}, "caBundle": wanted}
    await injector.inject(b"PEM")
    assert api.patched == paths


async def test_a_configuration_that_isnt_there_needs_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await WebhookInjector(Api()).inject(b"PEM")
    assert "there is no MutatingWebhookConfiguration equipoise" in caplog.text


def test_changes_of_a_configuration_are_worth_a_look() -> None:
    looks: list[int] = []
    sink = ConfigurationSink(lambda: looks.append(1))
    sink.replace([])
    sink.see("DELETED", {})
    assert looks == []
    sink.replace([{}])
    sink.see("ADDED", {})
    sink.see("MODIFIED", {})
    assert len(looks) == 3
