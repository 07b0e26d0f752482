"""A real control plane for the tests in here; `make test-cluster` builds what it consists of.

Two processes have one each, and a file of tests belongs to one of them: tests wait more than they
work, so a machine with two cores has room for two. More would make them late.
"""

import itertools
import re
from collections.abc import Generator, Iterator

import pytest

from tests.support.controlplane import namespaces
from tests.support.controlplane.api import Api
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.sweeping import drop_namespace, sweep

_PLANE = pytest.StashKey[ControlPlane]()
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """The control plane. Its folder with all logs is kept if any test fails."""
    plane = ControlPlane()
    plane.start()
    request.config.stash[_PLANE] = plane
    yield plane
    plane.stop()
    if request.session.testsfailed:
        print(f"\nThe logs of the control plane are kept in {plane.folder}")
    else:
        plane.remove()


@pytest.fixture(scope="module", autouse=True)
def swept(plane: ControlPlane) -> Iterator[None]:
    """Nothing that the tests of one file leave behind meets those of the next."""
    plane.audit.mark()
    yield
    plane.heal()
    sweep(plane.api)


@pytest.fixture
def api(plane: ControlPlane) -> Api:
    """The API server, as an admin."""
    return plane.api


@pytest.fixture
def namespace(request: pytest.FixtureRequest, plane: ControlPlane) -> Iterator[str]:
    """A namespace of the test's own; it goes with everything in it when the test ends."""
    name = f"{_plain(request.node.name)}-{next(_numbers)}"
    namespaces.create(plane.api, name)
    yield name
    drop_namespace(plane.api, name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say at each failure where the logs lie."""
    report = yield
    plane = item.config.stash.get(_PLANE, None)
    if report.failed and plane is not None:
        report.sections.append(("control plane", f"logs: {plane.folder}"))
    return report


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.removeprefix("test_").lower())[:40].strip("-")
