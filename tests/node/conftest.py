"""One real node for all tests in here, with Equipoise on it; `make test-node` runs them.

They share it and run one after another. Each test has a namespace of its own, and holds nothing
when it has ended.
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.controlplane import namespaces
from tests.support.controlplane.api import JSON, Api
from tests.support.controlplane.auditor import Auditor
from tests.support.controlplane.sweeping import drop_namespace
from tests.support.node.enclosure import inside
from tests.support.node.machine import Machine
from tests.support.node.release import FAST, Release
from tests.support.node.rooms import Room, RoomFor

_numbers = itertools.count(1)
TENANTS = "/apis/equipoise.dev/v1alpha1/tenants"
TENANT: JSON = {"apiVersion": "equipoise.dev/v1alpha1", "kind": "Tenant"}
BASELINE: JSON = {"pod-security.kubernetes.io/enforce": "baseline"}


# Others than those who name this folder don't mean these tests.
collect_ignore_glob = [] if inside() else ["test_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    """Outside of an enclosure say so at once, in one line."""
    here = Path(__file__).parent
    named = any(Path(arg.partition("::")[0]).resolve().is_relative_to(here) for arg in config.args)
    if named and not inside():
        raise pytest.UsageError("these tests need a node of their own; use: make test-node")


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """A control plane and a real node; their logs are in build/node/logs afterwards."""
    with Machine() as machine:
        yield machine


@pytest.fixture(scope="session")
def installed(machine: Machine) -> Release:
    """Equipoise, installed by its chart, in whatever way the last test left it."""
    release = Release(machine)
    release.install(FAST)
    return release


@pytest.fixture
def release(installed: Release) -> Release:
    """Equipoise as all tests find it; a test may change what it wants, it is put right again."""
    installed.ensure(FAST)
    return installed


@pytest.fixture
def api(machine: Machine) -> Api:
    """The API server, as an admin."""
    return machine.api


@pytest.fixture(scope="session")
def auditor(machine: Machine, installed: Release) -> Iterator[Auditor]:
    """Who held what from the first pod to the last, as the pods themselves say."""
    auditor = Auditor(machine.plane.kubeconfig())
    auditor.start()
    yield auditor
    auditor.close()


@pytest.fixture
def room_for(
    request: pytest.FixtureRequest, installed: Release, auditor: Auditor
) -> Iterator[RoomFor]:
    """Opens namespaces of tenants. With them goes what is in them.

    And nothing was ever sold twice, nor did the API server refuse anything to Equipoise.
    """
    api, opened = installed.machine.api, list[str]()

    def open_room(tenant: str, **spec: Any) -> Room:
        if tenant != "default":
            installed.machine.api.ensure(
                TENANTS, {**TENANT, "metadata": {"name": tenant}, "spec": spec}
            )
        name = f"{_plain(request.node.name)}-{next(_numbers)}"
        namespaces.create(api, name, labels={"equipoise.dev/tenant": tenant, **BASELINE})
        opened.append(name)
        return Room(installed, name)

    yield open_room
    for name in opened:
        drop_namespace(api, name)
    auditor.caught_up()
    assert auditor.problems() == []
    assert installed.refusals() == []


@pytest.fixture
def room(release: Release, room_for: RoomFor) -> Room:
    """A namespace of the tenant "default"."""
    return room_for("default")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.removeprefix("test_").lower())[:40].strip("-")
