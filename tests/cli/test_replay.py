"""`equipoise replay`: of a journal that the demo wrote, and of files that are none."""

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.cli.main import run as equipoise

DEMO = ["demo", "--fast", "--seconds", "14", "--json"]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo in virtual time, with reservations and pods that are stopped."""
    path = tmp_path_factory.mktemp("journal") / "demo.jsonl"
    assert equipoise([*DEMO, "--journal", str(path)]) == 0
    return path


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def told(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    capsys.readouterr()
    assert equipoise(["replay", *arguments]) == status
    return capsys.readouterr().out


def test_every_round_of_the_demo_is_decided_alike(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(journal)
    assert any("evicts" in line for line in lines)
    assert any(line.get("leaves", {}).get("reservations") for line in lines)
    assert told(capsys, str(journal)) == f"{len(lines)} rounds: {len(lines)} the same, 0 not.\n"
    report = json.loads(told(capsys, str(journal), "--json"))
    assert (report["rounds"], report["differing"]) == (len(lines), [])


def test_another_profile_is_told_round_by_round(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(journal)
    for line in lines:
        if "profile" in line:
            line["profile"] |= {"horizon": 3600.0, "reclaim_after": None}
    other = write(tmp_path / "other.jsonl", lines)
    report = json.loads(told(capsys, str(other), "--json", status=1))
    assert 0 < len(report["differing"]) <= report["rounds"] == len(lines)
    text = told(capsys, str(other), status=1)
    assert f"{len(lines) - len(report['differing'])} the same" in text
    first = report["differing"][0]
    assert f"round {first['round']}, 2027-01-15 08:00:" in text


def test_a_line_that_was_changed_is_told_alone(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(journal)
    number, line = next((at, each) for at, each in enumerate(lines, 1) if "admits" in each)
    admit = line["admits"][0]
    admit["placement"]["slots"][0]["memory_mib"] += 1
    changed = write(tmp_path / "changed.jsonl", lines)
    report = json.loads(told(capsys, str(changed), "--json", status=1))
    assert [each["round"] for each in report["differing"]] == [number]
    (difference,) = report["differing"][0]["differences"]
    assert difference["journaled"] != difference["replayed"]
    assert difference["subject"].startswith("pod ")
    assert told(capsys, str(changed), "--round", str(number), status=1).startswith(
        f"round {number}, "
    )
    assert told(capsys, str(changed), "--round", str(number + 1)) == (
        "1 round: 1 the same, 0 not.\n"
    )


def test_the_story_of_a_pod_that_was_stopped(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evict = next(each for line in lines_of(journal) for each in line.get("evicts", ()))
    pods = {
        uid: pod
        for line in lines_of(journal)
        for uid, pod in line.get("pending", {}).items()
        if pod
    }
    key = "{namespace}/{name}".format(**pods[evict["pod"]])
    taker = "{namespace}/{name}".format(**pods[evict["taker"]])
    said = [line[26:] for line in told(capsys, str(journal), "--pod", key).splitlines()]
    assert said[0].startswith("in line: ")
    admitted, bound = (
        next(at for at, text in enumerate(said) if text.startswith(what))
        for what in ("admitted to ", "bound to ")
    )
    stopped = next(at for at, text in enumerate(said) if text.startswith(f"stopped for {taker}: "))
    assert admitted < bound < stopped < said.index("gone")
    story = json.loads(told(capsys, str(journal), "--pod", key, "--json"))
    assert [each["says"] for each in story["story"]] == said


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert equipoise(["replay", *arguments]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    return complaint


def test_files_that_are_no_journal_are_refused_in_one_line(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere, other = tmp_path / "nowhere.jsonl", tmp_path / "other.txt"
    assert "can't be read" in refused(capsys, str(nowhere))
    assert "can't be read" in refused(capsys, str(tmp_path))
    for text in (b"", b"hello\n", b"\xff\xfe"):
        other.write_bytes(text)
        assert "holds no round" in refused(capsys, str(other))
    other.write_text("hello\nthere\nagain\n")
    assert "other.txt:1: is no line of a journal" in refused(capsys, str(other))
    lines = journal.read_text().splitlines()
    other.write_text("\n".join([*lines[:5], lines[5][:-20], *lines[6:]]))
    assert "other.txt:6: is no line of a journal" in refused(capsys, str(other))
    other.write_text("\n".join(lines[3:]))
    assert "other.txt:1: the lines before it are missing" in refused(capsys, str(other))
    assert "there is no round 9999" in refused(capsys, str(journal), "--round", "9999")
    assert "doesn't know lab/nobody" in refused(capsys, str(journal), "--pod", "lab/nobody")


def test_inputs_that_no_round_can_use_name_their_line(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(journal)
    lines[0]["profile"]["policy"] = "fastest"
    other = write(tmp_path / "other.jsonl", lines)
    assert 'other.jsonl:1: no policy "fastest"' in refused(capsys, str(other))


def test_half_a_line_at_the_end_is_what_a_crash_leaves(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, text = tmp_path / "other.jsonl", journal.read_text()
    other.write_text(text[: len(text) - 50])
    rounds = text.count("\n") - 1
    assert told(capsys, str(other)) == f"{rounds} rounds: {rounds} the same, 0 not.\n"


def test_a_journal_that_can_not_be_written_ends_the_demo_before_it_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert equipoise([*DEMO, "--journal", str(tmp_path / "no" / "j.jsonl")]) == 2
    assert "j.jsonl: can't be written" in capsys.readouterr().err
