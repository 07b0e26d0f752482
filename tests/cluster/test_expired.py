"""A watch breaks off, the past is forgotten meanwhile: `serve` finds out all that it missed."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.cluster.ledgers import ledger, truth
from tests.cluster.pods import Room, pod
from tests.support.controlplane.api import Api
from tests.support.controlplane.auditor import Auditor
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.proxy import Proxy, lose_before
from tests.support.controlplane.waiting import eventually


@pytest.fixture(scope="module")
def proxy(plane: ControlPlane) -> Iterator[Proxy]:
    with contextlib.closing(Proxy(plane)) as made:
        yield made


@pytest.fixture(scope="module")
def installed(plane: ControlPlane, proxy: Proxy) -> Iterator[Installation]:
    ours = Installation(plane)
    ours.apply()
    plane.nodes(1, gpus=3, prefix="expired-")
    ours.start("expired", server=proxy.url)
    yield ours
    ours.close()


def test_pods_that_came_and_went_while_a_watch_was_broken(
    plane: ControlPlane, installed: Installation, proxy: Proxy, api: Api, namespace: str
) -> None:
    room = Room(api, namespace)
    with contextlib.closing(Auditor(plane.kubeconfig())) as auditor:
        auditor.start()
        for number in range(6):
            room.create(pod(f"p{number}", "0.5", owner=room.owner()))
        eventually(lambda: room.all_run(6), what="all GPUs are full")

        proxy.choose = lambda request: lose_before() if request.watches else None
        proxy.cut()
        for number in range(4):
            room.delete(f"p{number}")
        for number in range(12):
            room.create_patiently(pod(f"late{number}", "0.25", owner=room.owner()))
        for number in range(5):
            room.delete(f"late{number}")
        room.create_patiently(pod("p0", "0.25", owner=room.owner()))  # another of that name
        plane.compact()
        plane.restart_apiserver()
        proxy.choose = lambda request: None

        pods = lambda: any(each.path.startswith("/api/v1/pods?") for each in proxy.expired)  # noqa: E731
        eventually(pods, what="the watch on pods was told that the past is gone")
        eventually(lambda: room.all_run(2 + 7 + 1), 60, what="there is room for all")
        told = truth(room, auditor)
        eventually(
            lambda: ledger(installed, "expired") == told, what="the ledger is what the pods say"
        )
        assert auditor.problems() == []
    assert installed.replicas["expired"].containers["serve"].starts == 1
