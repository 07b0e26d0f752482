"""`equipoise defrag` on a round of a journal: a table, a total, and why nothing can be done."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scheduler.cli.defrag import last_of, order_for
from scheduler.cli.main import run as equipoise
from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.journal.inputs import Inputs
from scheduler.core.journal.writing import Recorder
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.ledger.snapshot import Runs
from scheduler.core.model.ids import PodUID
from scheduler.core.model.pods import Pod
from scheduler.core.model.tenants import Tenant
from tests.support.builders import node, place, pod, share, tenant, whole

NOW = 10_000.0
PROFILE = Profile(policy="best-fit")
TENANTS = (tenant("lab"), tenant("vision", parent="lab"), tenant("speech", created=1.0))


def owned(name: str, milli: int, whose: str = "vision", **changes: Any) -> Pod:
    request = whole(milli // 1000) if milli >= 1000 else share(milli)
    return pod(name, request, whose, owner=f"owner-{name}", **changes)


def journal(
    path: Path,
    *waiting: Pod,
    running: bool = True,
    profile: Profile = PROFILE,
    preemptible: bool = True,
    tenants: tuple[Tenant, ...] = TENANTS,
) -> Path:
    """Write one round: four cards with a half on each, the first of them for four hours."""
    ledger = Ledger([node(f"n{number}", 1) for number in range(4)])
    since = dict[PodUID, float]()
    for number in range(4):
        half = owned(f"half{number}", 500, preemptible=preemptible)
        ledger.bind(half, place(f"n{number}", (0, 500, 8_000)))
        since[half.uid] = NOW - 3600 * (4 - number) / 2
    # It ran before the round in which the others were looked at.
    snapshot = ledger.snapshot(tenants=tenants)
    if running:
        snapshot = replace(snapshot, running=Runs(dict(ledger.holdings), since))
    plan = run_cycle(snapshot, waiting, NOW, profile)
    seen = Inputs.of(ledger, snapshot, waiting, NOW, profile)
    path.write_text(f"{Recorder().line(seen, plan)}\n")
    return path


def told(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str, status: int = 0) -> str:
    capsys.readouterr()
    assert equipoise(["defrag", "--dry-run", "--journal", str(path), *arguments]) == status
    out, err = capsys.readouterr()
    return err if status == 2 else out


LARGE = [owned("large0", 1000, created=1.0), owned("large1", 1000, created=2.0)]
OTHER = owned("other", 1000, "speech", created=3.0)


def test_who_would_be_moved_for_whom_and_what_comes_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = journal(tmp_path / "j", *LARGE, OTHER)
    text = told(capsys, path)
    rows = [line.split() for line in text.splitlines() if "lab/half" in line]
    # Those that have run for the shortest time lose the least.
    assert rows == [
        ["lab/half3", "n3", "GPU", "0", "n0", "GPU", "0", "0.2", "lab/other", "n3", "GPU", "0"],
        ["lab/half2", "n2", "GPU", "0", "n1", "GPU", "0", "0.5", "lab/large0", "n2", "GPU", "0"],
    ]
    assert (
        "2 of 3 waiting pods fit by 2 moves, which brings 2 GPUs more into use.\n"
        "1 pod would wait on: no GPU that it may use has enough free now."
    ) in text


def test_the_same_as_json_and_an_order_with_as_many_moves_for_each_tenant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = journal(tmp_path / "j", *LARGE, OTHER)
    data = json.loads(told(capsys, path, "--json"))
    assert [each["pod"] for each in data["fits"]] == ["lab/other", "lab/large0"]
    assert data["fits"][0]["moves"] == [
        {
            "pod": "lab/half3",
            "from": {"node": "n3", "gpus": [0]},
            "to": {"node": "n0", "gpus": [0]},
            "lost_gpu_seconds": 900.0,
        }
    ]
    assert (data["moves"], data["gpus"], data["waiting"]) == (2, 2.0, 3)
    assert (data["reasons"], data["placed"]) == ({"NoRoom": 1}, None)
    assert (data["movable"], data["running"]) == (4, 4)
    found = last_of(path).found(None, 5)
    assert dict(order_for(found, 60.0, limited=True).moves) == {"speech": 1, "vision": 1}
    assert dict(order_for(found, 60.0, limited=False).moves) == {"speech": None, "vision": None}


BY_USER = (
    *TENANTS[:1],
    replace(TENANTS[1], by_user=True),
    *(tenant(name, parent="vision", user=True) for name in ("vision/jo", "vision/al", "vision/")),
    tenant("speech", created=1.0),
)


def test_for_users_the_order_stands_on_their_tenant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = [owned("jos", 1000, "vision/jo"), owned("nobodys", 1000, "vision/", created=1.0)]
    path = journal(tmp_path / "j", *waiting, tenants=BY_USER)
    data = json.loads(told(capsys, path, "--json"))
    assert [(each["pod"], each["tenant"], each["user"]) for each in data["fits"]] == [
        ("lab/jos", "vision", "jo"),
        ("lab/nobodys", "vision", ""),
    ]
    found = last_of(path).found("vision", 5)
    assert dict(order_for(found, 60.0, limited=True).moves) == {"vision": 2}
    # Of a user there is no object on which an order could stand.
    said = told(capsys, path, "--tenant", "vision/jo", status=2)
    assert 'there is no tenant "vision/jo"' in said


@pytest.mark.parametrize(
    ("arguments", "fits"),
    [
        (("--tenant", "vision"), ["lab/large0", "lab/large1"]),
        (("--tenant", "lab"), ["lab/large0", "lab/large1"]),
        (("--tenant", "speech"), ["lab/other"]),
        (("--max-moves", "1"), ["lab/other"]),
        (("--tenant", "lab", "--max-moves", "1"), ["lab/large0"]),
    ],
)
def test_for_some_of_them_or_with_few_moves(
    arguments: tuple[str, ...],
    fits: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = journal(tmp_path / "j", *LARGE, OTHER)
    data = json.loads(told(capsys, path, "--json", *arguments))
    assert [each["pod"] for each in data["fits"]] == fits


def test_why_nothing_can_be_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nobody = journal(tmp_path / "nobody", LARGE[0])
    text = told(capsys, nobody, "--tenant", "speech", status=1)
    assert text == "No pod of speech waits: there is nothing to do.\n"
    fixed = journal(tmp_path / "fixed", *LARGE, preemptible=False)
    text = told(capsys, fixed, status=1)
    assert text.startswith("None of 2 waiting pods would fit, whoever is moved.\n2 pods would wait")
    assert "0 of 4 running pods may be moved: those that may be stopped" in text


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--tenant", "none"), 'there is no tenant "none"'),
        (("--for", "soon"), '"soon" is no duration'),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...],
    problem: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = journal(tmp_path / "j", *LARGE)
    text = told(capsys, path, *arguments, status=2)
    assert problem in text
    assert text.count("\n") == 1


def test_a_journal_is_only_looked_at_and_has_to_say_who_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = journal(tmp_path / "j", *LARGE, running=False)
    assert "doesn't say who runs since when" in told(capsys, path, status=2)
    assert equipoise(["defrag", "--journal", str(path)]) == 2
    assert "give --dry-run with --journal" in capsys.readouterr().err
