"""The webhook as `serve` runs it, in a thread beside a control plane, reached by a URL.

The shipped configurations name a Service; nothing here routes to one, so only that is replaced.
"""

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from scheduler.cli.admission import admission
from scheduler.clock import SystemClock
from scheduler.kube.client import Client
from scheduler.settings import Settings, Webhook
from scheduler.telemetry.metrics import Metrics
from scheduler.webhook.granting import NoGrants
from tests.support.controlplane import namespaces
from tests.support.controlplane.api import Api
from tests.support.controlplane.layout import BASE
from tests.support.controlplane.waiting import eventually

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
KINDS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")


class Admission:
    """Serves while the block lasts, on the port given, or on a free one."""

    def __init__(self, kubeconfig: Path, *, port: int = 0, **settings: Any) -> None:
        ours = Webhook(host="127.0.0.1", port=port, names=("127.0.0.1",), **settings)
        self._settings = Settings(webhook=ours)
        self._kubeconfig = str(kubeconfig)
        self._listens = threading.Event()
        self._failed: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._ends = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="webhook")
        self.url = ""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listens.wait(30)
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._ends.set)
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as problem:
            self._failed = problem
        finally:
            self._listens.set()
            self._loop.close()

    async def _serve(self) -> None:
        async with (
            await Client.connect(kubeconfig=self._kubeconfig) as client,
            admission(self._settings, client, Metrics(), SystemClock(), NoGrants()) as found,
        ):
            tasks = [asyncio.create_task(each()) for each in found.work]
            assert found.address is not None
            self.url = found.address.url
            while not found.ready():
                await asyncio.sleep(0.01)
            self._listens.set()
            await self._ends.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def install(api: Api, url: str) -> None:
    """Apply the shipped configurations for a webhook at that URL."""
    for document in yaml.safe_load_all((BASE / "webhook.yaml").read_text()):
        if document["kind"] == "Service":
            continue
        for entry in document["webhooks"]:
            path = entry["clientConfig"].pop("service")["path"]
            entry["clientConfig"]["url"] = f"{url}{path}"
        kind = document["kind"].lower() + "s"
        api.apply(f"{ADMISSION}/{kind}/equipoise", document, manager="test")


def bundles(api: Api) -> list[str]:
    """The caBundles that the API server has, "" for none."""
    return [
        entry["clientConfig"].get("caBundle", "")
        for kind in KINDS
        for entry in api.get(f"{ADMISSION}/{kind}/equipoise")["webhooks"]
    ]


def until_trusted(api: Api) -> None:
    eventually(lambda: all(bundles(api)), 20, what="the authority is in all configurations")


def namespace_of(api: Api, name: str, tenant: str = "") -> str:
    """Make a namespace, a tenant's if one is named; return the path of its pods."""
    namespaces.create(api, name, labels={"equipoise.dev/tenant": tenant} if tenant else {})
    return f"/api/v1/namespaces/{name}/pods"
