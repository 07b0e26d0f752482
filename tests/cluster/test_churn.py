"""Many mixed pods come and go: the ledger stays what the API server's pods say."""

import contextlib
import random
from collections.abc import Iterator

import pytest

from tests.cluster.ledgers import ledger, truth
from tests.cluster.pods import Room, pod
from tests.support.controlplane.api import Api
from tests.support.controlplane.auditor import Auditor
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually

PODS = 300
ROUNDS = 20


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    ours = Installation(plane)
    ours.apply()
    plane.nodes(5, gpus=8, prefix="churn-")
    ours.start("churn")
    yield ours
    ours.close()


@pytest.fixture
def auditor(plane: ControlPlane) -> Iterator[Auditor]:
    with contextlib.closing(Auditor(plane.kubeconfig())) as made:
        made.start()
        yield made


def test_three_hundred_mixed_pods_with_deletions(
    installed: Installation, api: Api, namespace: str, auditor: Auditor
) -> None:
    room, rng = Room(api, namespace), random.Random(4)
    owner = room.owner()
    for number in range(PODS):
        share = rng.choice(["0.1", "0.25", "0.5", "0.5", "1", "2"])
        room.create(pod(f"p{number}", share, owner=owner if number % 2 else None))
        if number % 3 == 2:
            with contextlib.suppress(Exception):
                room.delete(f"p{rng.randrange(number)}")
    while left := sorted(room.phases()):
        waiting = [name for name, phase in room.phases().items() if phase != "Running"]
        if not waiting:
            break
        for name in rng.sample(left, min(10, len(left))):
            with contextlib.suppress(Exception):
                room.delete(name)
    auditor.caught_up()
    assert auditor.problems() == []
    told = truth(room, auditor)
    eventually(lambda: ledger(installed, "churn") == told, what="the ledger is what the pods say")


def test_sixteen_halves_on_one_node_twenty_times_over(
    plane: ControlPlane, installed: Installation, api: Api, namespace: str, auditor: Auditor
) -> None:
    room = Room(api, namespace)
    only = {"kubernetes.io/hostname": "churn-0"}
    plane.kubectl("label", "--overwrite", "node", "churn-0", "kubernetes.io/hostname=churn-0")
    for number in range(ROUNDS):
        for index in range(16):
            room.create(pod(f"r{number}-{index}", "0.5", nodeSelector=only))
        eventually(lambda: room.all_run(16), 30, what=f"round {number} runs")
        auditor.caught_up()
        devices = [uuid for _, slots in auditor.held().values() for uuid in slots]
        assert sorted(devices.count(uuid) for uuid in set(devices)) == [2] * 8
        for name in room.phases():
            room.delete(name)
        eventually(lambda: not room.phases(), 30, what="all are gone")
    assert auditor.problems() == []
