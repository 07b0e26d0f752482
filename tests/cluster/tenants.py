"""Equipoise for some tenants on nodes of their own, and a namespace of each."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tests.cluster.pods import Room
from tests.support.controlplane import namespaces
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.sweeping import drop_namespace

TENANTS = "/apis/equipoise.dev/v1alpha1/tenants"


@contextmanager
def installation(
    plane: ControlPlane,
    name: str,
    tenants: Sequence[str],
    *,
    gpus: int,
    settings: Mapping[str, Any],
) -> Iterator[Installation]:
    """Run it, with one node of so many GPUs, while the block lasts."""
    ours = Installation(plane)
    ours.apply()
    plane.nodes(1, gpus=gpus, prefix=f"{name}-")
    for each in tenants:
        kind = {"apiVersion": "equipoise.dev/v1alpha1", "kind": "Tenant"}
        plane.api.ensure(TENANTS, {**kind, "metadata": {"name": each}, "spec": {}})
    ours.start(name, settings=dict(settings))
    yield ours
    ours.close()


@contextmanager
def rooms_of(plane: ControlPlane, tenants: Sequence[str]) -> Iterator[list[Room]]:
    """Open a namespace of each tenant, named as it is; they go at the end."""
    plane.audit.mark()
    for each in tenants:
        namespaces.create(plane.api, each, labels={"equipoise.dev/tenant": each})
    yield [Room(plane.api, each) for each in tenants]
    for each in tenants:
        drop_namespace(plane.api, each)
