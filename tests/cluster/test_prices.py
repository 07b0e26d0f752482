"""Packing by bid prices on the real control plane, and what the journal keeps of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.cli.journalreading import read_journal
from scheduler.core.journal.comparing import replay
from tests.cluster.pods import Room, pod
from tests.support.controlplane.api import Api
from tests.support.controlplane.auditor import Auditor
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def installed(plane: ControlPlane, journal: Path) -> Iterator[Installation]:
    ours = Installation(plane)
    ours.apply()
    plane.nodes(2, gpus=4, prefix="prices-")
    settings = {"packing": {"policy": "bid-price"}, "journal": {"path": str(journal)}}
    ours.start("prices", settings=settings)
    yield ours
    ours.close()


@pytest.mark.usefixtures("installed")
def test_pods_go_by_prices_and_a_replay_needs_no_solver(
    plane: ControlPlane, api: Api, namespace: str, journal: Path
) -> None:
    room = Room(api, namespace)
    owner = room.owner()
    auditor = Auditor(plane.kubeconfig())
    auditor.start()
    for number in range(6):
        room.create(pod(f"early-{number}", "0.7", owner=owner))
    eventually(lambda: room.all_run(6), 30, what="all run")
    # Each round is a line; the next one after ten seconds has them.
    eventually(lambda: b'"bids"' in journal.read_bytes(), 30, what="prices are worked out")
    for number in range(6):
        room.create(pod(f"late-{number}", "0.3", owner=owner))
    eventually(lambda: room.all_run(12), 30, what="the others run, too")
    auditor.caught_up()
    auditor.close()
    assert (auditor.problems(), auditor.oversold_gpus) == ([], 0.0)
    entries = [entry for _, entry in read_journal(journal)]
    assert any(entry.inputs.profile.mix.bids for entry in entries)
    assert [replay(entry.inputs) for entry in entries] == [entry.plan for entry in entries]
