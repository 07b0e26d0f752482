"""What `serve` goes by in a cluster: read from its Deployment and the ConfigMap that this mounts.

Who may not read them sees what would be decided by the shipped settings, and is told so.
"""

from collections.abc import Iterator

import click

from scheduler.cli.settingsfile import above, settings_in
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.stored import Stored, mapping, objects
from scheduler.kube.client import Client
from scheduler.kube.errors import Forbidden, NotFound
from scheduler.settings import Settings

DEPLOYMENTS = "/apis/apps/v1/deployments"
OURS = "app.kubernetes.io/name=equipoise,app.kubernetes.io/component=scheduler"
VOLUME, FILE, CONTAINER = "settings", "settings.yaml", "serve"
"""Of the Deployment, as the chart has them."""


async def settings_of(client: Client) -> Settings:
    """Return the settings there; the shipped ones, with a note on stderr, where they are unknown.

    Raises what Client.get raises, but for what isn't there or may not be read.
    """
    try:
        return await _read(client)
    except (Forbidden, NotFound, InvalidInput) as problem:
        click.echo(
            f"note: decided by the shipped settings, as those of serve can't be read: {problem}",
            err=True,
        )
        return Settings()


async def _read(client: Client) -> Settings:
    found = objects(await client.get(DEPLOYMENTS, {"labelSelector": OURS, "limit": "1"}), "items")
    if not found:
        raise InvalidInput("there is no Deployment of Equipoise's scheduler")
    namespace = mapping(found[0], "metadata").get("namespace")
    pod = mapping(mapping(mapping(found[0], "spec"), "template"), "spec")
    settings = Settings()
    for name in _mounted(pod):
        stored = await client.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
        text = str(mapping(stored, "data").get(FILE) or "")
        settings = settings_in(text, f"ConfigMap {namespace}/{name}")
    return above(settings, dict(_environment(pod)))


def _mounted(pod: Stored) -> Iterator[str]:
    """The ConfigMap that the settings are in: kustomize puts a hash behind its name."""
    for volume in objects(pod, "volumes"):
        if volume.get("name") == VOLUME and "configMap" in volume:
            yield str(mapping(volume, "configMap").get("name"))


def _environment(pod: Stored) -> Iterator[tuple[str, str]]:
    for container in objects(pod, "containers"):
        if container.get("name") == CONTAINER:
            for entry in objects(container, "env"):
                if "value" in entry:
                    yield str(entry.get("name")), str(entry["value"])
