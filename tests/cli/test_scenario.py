"""`equipoise scenario`: what happened as JSON or as a table; one line for what can't be read."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hack.sizes import ROOT
from scheduler.cli.main import run
from tests.simulator.scenarios.test_scenariofile import (
    BAD,
    SCENARIOS,
    entry,
    node,
    pending,
    running,
)

KAI = str(SCENARIOS / "kai.json")

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(content: object) -> str:
        path = tmp_path / "one.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


def test_all_supported_scenarios_of_kai_are_ok(capsys: Captured) -> None:
    assert run(["scenario", KAI, "--json"]) == 0
    told = {each["id"]: each for each in json.loads(capsys.readouterr().out)["scenarios"]}
    assert len(told) == 41
    for each in told.values():
        assert (each["supported"], each["ok"], each["differences"]) == (True, True, [])


def test_json_says_what_happened_pod_by_pod(write: Any, capsys: Captured) -> None:
    share = {"gpus": None, "fraction": 0.5}
    content = entry(
        running=[running("r", **share)],
        pending=[pending("p", **share, order=1), pending("q", gpus=2), pending("s", tenant="x")],
        expected={"bound": {"p": "n1"}, "same_gpu": ["p", "r"], "stay_pending": ["q", "s"]},
    )
    assert run(["scenario", write({"scenarios": [content]}), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["scenarios"]
    waits = told.pop("pending")
    assert set(waits) == {"q", "s"}
    assert waits["s"] == 'its tenant does not exist: there is no tenant "x"; create it'
    assert told == {
        "id": "one",
        "supported": True,
        "ok": True,
        "differences": [],
        "bound": {"p": {"node": "n1", "devices": [0]}},
        "still_running": ["r"],
        "moved": {},
        "evicted": [],
        "shares": {"a": "2"},
        "settled": True,
    }


def test_a_scenario_that_comes_out_otherwise_is_no(write: Any, capsys: Captured) -> None:
    path = write({"scenarios": [entry(pending=[pending("p")], expected={"stay_pending": ["p"]})]})
    assert run(["scenario", path]) == 1
    assert "p was bound to n1, expected to wait" in capsys.readouterr().out
    assert run(["scenario", path, "--json"]) == 1


def test_what_is_not_there_yet_is_listed_and_is_no_failure(write: Any, capsys: Captured) -> None:
    later = entry(mode="one_action", phase="defrag", pending=[pending("p")], expected={})
    path = write({"scenarios": [later]})
    assert run(["scenario", path]) == 0
    out = capsys.readouterr().out
    assert 'not yet supported: it needs the phase "defrag"' in " ".join(out.split())
    assert "1 need what isn't there yet" in out


def test_the_table_tells_who_went_where_and_who_waits(write: Any, capsys: Captured) -> None:
    content = entry(
        id="[red]x[/]", nodes=[node("n1", gpus=1)], pending=[pending("p"), pending("q", order=1)]
    )
    assert run(["scenario", write({"scenarios": [content]})]) == 0
    out = capsys.readouterr().out
    assert "[red]x[/]" in out
    assert "p → n1 GPU 0" in out
    assert "q waits: no GPU that it may use has enough free now" in out
    assert "1 of 1 supported scenarios came out as expected" in out


@pytest.mark.parametrize(
    ("content", "says"),
    [*BAD, ({"scenarios": [entry(running=[running("r", gpus=3)])]}, "can't run on n1")],
)
def test_what_can_not_be_read_is_told_in_one_line(
    content: object, says: str, write: Any, capsys: Captured
) -> None:
    path = write(content)
    assert run(["scenario", path]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"equipoise: {path}")
    assert says in err
    assert len(err) < 400


def test_a_process_of_its_own_ends_with_status_two_and_no_traceback(write: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scheduler", "scenario", write("no JSON")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "is no JSON" in done.stderr
