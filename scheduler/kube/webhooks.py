"""The webhook's two things in the API: the Secret with its certificate, and who trusts it.

Both follow protocols of the webhook's own, which this layer doesn't know: files with a version, and
certificates to be trusted.
"""

import base64
import binascii
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from scheduler.core.model import names
from scheduler.kube.api import Api
from scheduler.kube.client import JSON, Patch
from scheduler.kube.errors import Conflict, NotFound
from scheduler.kube.resources import MUTATING_WEBHOOKS, SECRETS, VALIDATING_WEBHOOKS

SECRET = "equipoise-webhook-tls"
CONFIGURATION = "equipoise"

log = logging.getLogger(__name__)


class SecretApi(Api, Protocol):
    """A client that replaces objects as well."""

    async def put(self, path: str, body: Any, params: Mapping[str, str] | None = None) -> JSON:
        """Replace an object; Conflict if its resourceVersion isn't the newest."""
        ...


class SecretStore:
    """Files in a Secret; its resourceVersion is their version."""

    def __init__(
        self, api: SecretApi, namespace: str = names.NAMESPACE, name: str = SECRET
    ) -> None:
        self._api, self._namespace, self._name = api, namespace, name

    async def load(self) -> tuple[Mapping[str, bytes], str]:
        """Return the files and their version; {} and "" if there is no Secret."""
        try:
            secret = await self._api.get(SECRETS.path(self._name, self._namespace))
        except NotFound:
            return {}, ""
        return _decoded(secret.get("data") or {}), str(secret["metadata"]["resourceVersion"])

    async def save(self, files: Mapping[str, bytes], *, over: str) -> bool:
        """Save over that version, "" to create; False if somebody changed it meanwhile."""
        metadata = {"name": self._name, "namespace": self._namespace}
        if over:
            metadata["resourceVersion"] = over
        body: JSON = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": "kubernetes.io/tls",
            "data": {name: base64.b64encode(text).decode() for name, text in files.items()},
        }
        try:
            if over:
                await self._api.put(SECRETS.path(self._name, self._namespace), body)
            else:
                await self._api.post(SECRETS.list_path(self._namespace), body)
        except Conflict:
            return False
        except NotFound:
            if over:
                return False
            raise  # there is no such namespace
        return True


class WebhookInjector:
    """Writes the authorities into both webhook configurations, where they aren't yet."""

    def __init__(self, api: Api, name: str = CONFIGURATION) -> None:
        self._api, self._name = api, name

    async def inject(self, trusted: bytes) -> None:
        """Have these certificates (PEM) trusted; a configuration that isn't there needs none."""
        wanted = base64.b64encode(trusted).decode()
        for resource in (MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS):
            path = resource.path(self._name)
            try:
                body = _patch(await self._api.get(path), wanted)
                if body:
                    await self._api.patch(path, body, Patch.STRATEGIC)
            except NotFound:
                log.warning("there is no %s %s; apply webhook.yaml", resource.kind, self._name)


class ConfigurationSink:
    """Follows a webhook configuration, as a reflector's sink: somebody may take our authority out.

    Ours are the only writes that end it: a look at an unchanged configuration writes nothing.
    """

    def __init__(self, look_again: Callable[[], None]) -> None:
        self._look_again = look_again

    def replace(self, items: Sequence[JSON]) -> None:
        """Look at all that are there."""
        if items:
            self._look_again()

    def see(self, event: str, item: JSON) -> None:
        """Look at one that is new or changed."""
        if event != "DELETED":
            self._look_again()


def _patch(configuration: JSON, wanted: str) -> JSON:
    """Return a strategic merge patch (webhooks are merged by name), {} if nothing is to change."""
    changed: list[dict[str, Any]] = [
        {"name": entry["name"], "clientConfig": {"caBundle": wanted}}
        for entry in configuration.get("webhooks") or ()
        if (entry.get("clientConfig") or {}).get("caBundle") != wanted
    ]
    return {"webhooks": changed} if changed else {}


def _decoded(data: Mapping[str, str]) -> dict[str, bytes]:
    """What isn't base64 can't come from an API server; it reads as nothing."""
    found = {}
    for name, text in data.items():
        try:
            found[name] = base64.b64decode(text, validate=True)
        except binascii.Error:
            found[name] = b""
    return found
