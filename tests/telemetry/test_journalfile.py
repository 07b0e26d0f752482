"""The journal in a file: what is there after crashes, full disks and many rounds."""

import logging
import threading
import time
from pathlib import Path

import pytest

from scheduler.cli.journalreading import read_journal
from scheduler.core.cycle.profile import Profile
from scheduler.core.journal.inputs import Inputs
from scheduler.core.model.plans import Plan
from scheduler.telemetry.journalfile import RETRY_SECONDS, JournalFile
from scheduler.telemetry.journalthread import WAITING, JournalThread
from tests.core.journal.worlds import World
from tests.support.builders import node, pod, tenant


def rounds(count: int = 3) -> list[tuple[Inputs, Plan]]:
    """Rounds in each of which one more pod is placed."""
    world = World([node("n1", 8)], [tenant("a")], Profile())
    for number in range(count):
        arrived = pod(f"p{number}")
        world.waiting[arrived.uid] = arrived
        world.round()
    return world.rounds


def read(path: Path) -> list[tuple[int, int, Plan]]:
    """Line, lost and plan of each round."""
    return [(line, entry.lost, entry.plan) for line, entry in read_journal(path)]


def test_a_new_process_goes_on_in_the_same_file_even_after_half_a_line(tmp_path: Path) -> None:
    path, made = tmp_path / "deep" / "journal.jsonl", rounds()
    first = JournalFile(path, 1)
    for inputs, plan in made:
        first.note(inputs, plan)
    first.close()
    torn = path.read_bytes()[:-40]
    path.write_bytes(torn)
    assert [line for line, _, _ in read(path)] == [1, 2]
    second = JournalFile(path, 1)
    second.note(*made[2])
    second.close()
    assert read(path) == [(1, 0, made[0][1]), (2, 0, made[1][1]), (4, 0, made[2][1])]


def test_past_its_size_it_becomes_the_older_one_and_both_can_be_read(tmp_path: Path) -> None:
    path, (one, *_) = tmp_path / "journal.jsonl", rounds(1)
    older = tmp_path / "journal.jsonl.1"
    older.write_text("the one before\n")
    journal = JournalFile(path, 0)
    for _ in range(3):
        journal.note(*one)
    journal.close()
    assert read(path) == read(older) == [(1, 0, one[1])]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["journal.jsonl", "journal.jsonl.1"]


def test_where_nothing_can_be_written_rounds_go_on_and_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "folder").write_text("a file is in the way")
    path, made, seconds = tmp_path / "folder" / "journal.jsonl", rounds(), [0.0]
    journal = JournalFile(path, 1, now=lambda: seconds[0])
    with caplog.at_level(logging.WARNING):
        journal.note(*made[0])
        journal.note(*made[1])
        seconds[0] += RETRY_SECONDS
        journal.note(*made[1])
        assert len(caplog.records) == 1
        assert "can't be written" in caplog.text
        (tmp_path / "folder").unlink()
        seconds[0] += RETRY_SECONDS
        journal.note(*made[2])
        assert "written again" in caplog.text
    journal.close()
    assert read(path) == [(1, 3, made[2][1])]


class Slow(JournalFile):
    """A disk that answers when it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, 1)
        self.begun, self.may = threading.Event(), threading.Event()

    def note(self, inputs: Inputs, plan: Plan) -> None:
        self.begun.set()
        self.may.wait(30)
        super().note(inputs, plan)


def test_rounds_wait_for_no_disk_and_what_is_missing_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, made = tmp_path / "journal.jsonl", rounds(WAITING + 4)
    slow = Slow(path)
    journal = JournalThread(slow)
    with caplog.at_level(logging.WARNING):
        journal.note(*made[0])
        assert slow.begun.wait(30)
        # One is being written, some wait, and for two there is no room.
        for inputs, plan in made[1 : WAITING + 3]:
            journal.note(inputs, plan)
    assert [record.message for record in caplog.records] == [
        "the journal is written more slowly than rounds come: some are missing"
    ]
    slow.may.set()
    while not path.exists() or len(path.read_bytes().splitlines()) <= WAITING:
        time.sleep(0.001)
    journal.note(*made[-1])
    journal.close()
    found = read(path)
    assert [plan for _, _, plan in found] == [plan for _, plan in [*made[: WAITING + 1], made[-1]]]
    assert [lost for _, lost, _ in found] == [0] * (WAITING + 1) + [2]
