"""Two replicas: whatever dies, the other goes on, and no GPU is given away twice."""

import contextlib
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.cluster.pods import Room, pod
from tests.support.controlplane.api import Api
from tests.support.controlplane.auditor import Auditor
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.replicas import Replica
from tests.support.controlplane.waiting import eventually

TAKE_OVER_SECONDS = 20.0

ENDS: dict[str, Callable[[Replica], None]] = {
    "whole-pod-killed": Replica.kill,
    "serve-killed": Replica.kill_serve,
    "serve-stopped": Replica.stop_serve,
    "kube-scheduler-killed": Replica.kill_scheduler,
}


@pytest.fixture(scope="module")
def nodes(plane: ControlPlane) -> None:
    Installation(plane).apply(webhook=False)
    plane.nodes(2, gpus=8, prefix="pair-")


@pytest.fixture
def pair(plane: ControlPlane, nodes: None) -> Iterator[Installation]:
    ours = Installation(plane)
    ours.apply()
    with contextlib.closing(ours):
        ours.start("one", elect=True)
        acting(plane, ours, "one")
        ours.start("two", elect=True)
        yield ours


def acting(plane: ControlPlane, ours: Installation, name: str) -> None:
    """Wait until this replica acts."""
    page = f"http://127.0.0.1:{ours.ports[name].web}/metrics"

    def acts() -> bool:
        return "equipoise_acts 1.0" in httpx.get(page, trust_env=False).text

    eventually(acts, 40, what=f"{name} acts")


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_the_other_goes_on_in_time(
    plane: ControlPlane,
    api: Api,
    namespace: str,
    pair: Installation,
    end: Callable[[Replica], None],
) -> None:
    room = Room(api, namespace)
    with contextlib.closing(Auditor(plane.kubeconfig())) as auditor:
        auditor.start()
        for number in range(6):
            room.create(pod(f"before-{number}", "0.5", owner=room.owner()))
        end(pair.replicas["one"])
        began = time.monotonic()
        after = room.owner()
        room.create_patiently(pod("after", "0.5", owner=after))
        eventually(lambda: room.runs("after"), 40, what="a pod runs")
        took = time.monotonic() - began
        eventually(lambda: room.all_run(7), 40, what="all run")
        auditor.caught_up()
        assert auditor.problems() == []
    assert took <= TAKE_OVER_SECONDS
