"""The webhook, with its certificate: served by every replica, whoever acts."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from scheduler import http
from scheduler import settings as options
from scheduler.cli.running import Work
from scheduler.clock import Clock
from scheduler.core.model.gangowners import Owners
from scheduler.http import Address
from scheduler.kube.client import Client
from scheduler.kube.reflector import Reflector
from scheduler.kube.resources import MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS
from scheduler.kube.webhooks import CONFIGURATION, ConfigurationSink, SecretStore, WebhookInjector
from scheduler.settings import Settings
from scheduler.telemetry.metrics import Metrics
from scheduler.webhook.app import create_app
from scheduler.webhook.granting import Granting
from scheduler.webhook.keeper import Folder, OwnCertificates, Source, TlsKeeper
from scheduler.webhook.mutation import Rules


@dataclass(frozen=True, slots=True)
class Admission:
    """Where it listens, None if it doesn't; the work that has to run beside it."""

    address: Address | None
    ready: Callable[[], bool]
    work: tuple[Work, ...] = ()


@contextlib.asynccontextmanager
async def admission(
    settings: Settings, client: Client, metrics: Metrics, clock: Clock, places: Granting
) -> AsyncIterator[Admission]:
    """Serve the webhook while the block lasts. It is ready once it has a certificate.

    `places`: who may give new pods their places at once.
    """
    ours = settings.webhook
    if not ours.enabled:
        yield Admission(None, lambda: True)
        return
    keeper = TlsKeeper(
        _source(ours, settings.kube.namespace, client, clock), WebhookInjector(client), clock=clock
    )
    owners = Owners(settings.gangs.owners, settings.gangs.ask)
    rules = Rules(ours.take_over, ours.runtime_class, ours.driver_limits, owners, ours.label_users)
    app = create_app(rules, places=places, observe=metrics.observe_admission)
    # Somebody may take our authority out of a configuration, by applying the manifest again.
    again = ConfigurationSink(keeper.look_again)
    named = {"fieldSelector": f"metadata.name={CONFIGURATION}"}
    followers = (
        Reflector(client, resource, again, params=named)
        for resource in (MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS)
    )
    async with http.serving(app, ours.host, ours.port, tls=keeper.context) as address:
        work = (keeper.run, *(each.run for each in followers))
        yield Admission(address, keeper.loaded.is_set, work)


def _source(ours: options.Webhook, namespace: str, client: Client, clock: Clock) -> Source:
    if ours.certificates:
        return Folder(Path(ours.certificates))
    host = f"{ours.service}.{namespace}.svc"
    names = (host, f"{host}.cluster.local", *ours.names)
    return OwnCertificates(SecretStore(client, namespace), names, clock=clock)
