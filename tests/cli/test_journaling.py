"""A controller whose rounds are taken down as `serve` has them taken down."""

import threading
from pathlib import Path

from scheduler.cli.journaling import journaling
from scheduler.cli.journalreading import read_journal
from scheduler.core.journal.comparing import replay
from scheduler.core.ledger.ledger import Ledger
from scheduler.settings import Journal
from tests.controller.hands import controller
from tests.support.builders import node, pod, tenant
from tests.support.extenders import ManualClock


async def test_what_it_decides_until_the_end_is_in_the_file_that_is_set(tmp_path: Path) -> None:
    path, clock = tmp_path / "lib" / "journal.jsonl", ManualClock()
    ours = controller(Ledger([node("n1", 2)]), [tenant("a")], clock=clock, worker_above=0)
    plans = []
    async with journaling(Journal(path=str(path)), ours):
        for number in range(3):
            ours.add(pod(f"p{number}", 750))
            clock.time += 1.0
            plans.append(await ours.round())
    found = [entry for _, entry in read_journal(path)]
    assert [len(entry.plan.admits) for entry in found] == [1, 1, 0]
    assert [replay(entry.inputs) for entry in found] == [entry.plan for entry in found] == plans


async def test_only_with_a_path_is_there_a_thread_that_writes(tmp_path: Path) -> None:
    ours = controller(Ledger([node("n1", 2)]), [tenant("a")], clock=ManualClock())
    for path, writers in ((str(tmp_path / "journal.jsonl"), 1), ("", 0)):
        async with journaling(Journal(path=path), ours):
            assert [each.name for each in threading.enumerate()].count("journal") == writers
