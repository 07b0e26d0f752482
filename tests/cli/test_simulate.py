"""`equipoise simulate` as it is used: figures, files, and one line for whatever is wrong."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from scheduler.cli.main import run

Captured = pytest.CaptureFixture[str]

NODES = "sn,cpu_milli,memory_mib,gpu,model\na,64000,262144,2,T4\nb,64000,262144,2,P100\n"
PODS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\np,1000,1,1,500\nq,1000,1,1,1000\n"


@pytest.fixture
def traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two tiny traces, and no other to be found."""
    folder = tmp_path / "traces"
    folder.mkdir()
    (folder / "nodes.csv").write_text(NODES)
    (folder / "pods_tiny.csv").write_text(PODS)
    (folder / "pods_bad.csv").write_text(PODS + "r,1000,1,one,1000\n")
    away = tmp_path / "a" / "b"
    away.mkdir(parents=True)
    monkeypatch.chdir(away)
    monkeypatch.delenv("EQUIPOISE_TRACES", raising=False)
    return folder


def simulate(*arguments: object) -> int:
    return run(["simulate", *map(str, arguments)])


def as_json(capsys: Captured, *arguments: object) -> Any:
    assert simulate(*arguments, "--json", "--jobs", 1) == 0
    return json.loads(capsys.readouterr().out)


def test_without_traces_it_replays_a_synthetic_workload_and_says_so(
    traces: Path, capsys: Captured
) -> None:
    assert simulate("--policy", "best-fit", "--seeds", 1, "--json") == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert err.count("\n") == 1
    assert "synthetic" in err
    assert "docs/guides/simulate.md" in err
    assert told["settings"]["synthetic"] is True
    assert [entry["trace"] for entry in told["runs"]] == ["synthetic"]


def test_each_trace_policy_and_seed_is_a_run_in_the_order_asked_for(
    traces: Path, capsys: Captured
) -> None:
    told = as_json(
        capsys, "--traces", traces, "--trace", "tiny,synthetic", "--policy", "fgd,random",
        "--seeds", "7-8,3", "--load", 110,
    )  # fmt: skip
    runs = [(entry["trace"], entry["policy"], entry["seed"]) for entry in told["runs"]]
    assert runs == [
        (trace, policy, seed)
        for trace in ("tiny", "synthetic")
        for policy in ("fgd", "random")
        for seed in (7, 8, 3)
    ]
    first = told["runs"][0]
    assert set(first) == {
        "trace", "policy", "seed", "allocation", "arrived_pods", "placed_pods", "failed_pods",
        "seconds", "placements_per_second",
    }  # fmt: skip
    assert set(first["allocation"]) == {"100", "110"}
    assert first["arrived_pods"] == first["placed_pods"] + first["failed_pods"]
    assert told["settings"]["seeds"] == [7, 8, 3]
    assert told["settings"]["traces"]["tiny"]["gpus"] == 4


def test_the_environment_says_where_the_traces_are(
    traces: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("EQUIPOISE_TRACES", str(traces))
    told = as_json(capsys, "--trace", "tiny", "--policy", "spread", "--seeds", 1)
    assert told["settings"]["synthetic"] is False


def test_a_curve_gives_allocation_and_fragmentation_by_load(traces: Path, capsys: Captured) -> None:
    told = as_json(capsys, "--trace", "synthetic", "--policy", "fgd", "--seeds", 1, "--curve")
    curve = told["runs"][0]["curve"]
    loads = [point[0] for point in curve]
    assert loads == sorted(set(loads))
    assert curve[-1][0] in (129, 130)
    # What is fragmented is free, so both together are no more than there is.
    assert all(0 < point[2] <= 100 - point[1] + 0.5 for point in curve)
    by_load = {point[0]: point[1] for point in curve}
    assert by_load[100] == told["runs"][0]["allocation"]["100"]


def test_one_run_writes_its_placements_and_several_write_a_file_each(
    traces: Path, tmp_path: Path
) -> None:
    common = ("--traces", traces, "--trace", "tiny", "--policy", "fgd", "--placements")
    assert simulate(*common, tmp_path / "one.csv", "--seeds", 1) == 0
    assert simulate(*common, tmp_path / "many.csv", "--seeds", "1-2") == 0
    assert {path.name for path in tmp_path.glob("*.csv")} == {
        "one.csv",
        "many-tiny-fgd-1.csv",
        "many-tiny-fgd-2.csv",
    }
    lines = (tmp_path / "one.csv").read_text().splitlines()
    assert lines[0] == "pod,node,devices"
    assert {line.split(",")[0] for line in lines[1:]} == {"p", "q"}
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "many-tiny-fgd-1.csv").read_bytes()


def test_the_number_of_processes_changes_no_byte_of_the_placements(
    traces: Path, tmp_path: Path
) -> None:
    for jobs in (1, 2):
        folder = tmp_path / str(jobs)
        folder.mkdir()
        options = ("--trace", "synthetic", "--seeds", "1-2", "--policy", "random")
        assert simulate(*options, "--jobs", jobs, "--placements", folder / "p.csv") == 0
    files = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert len(files) == 2
    for name in files:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_a_table_compares_with_what_was_published(traces: Path, capsys: Captured) -> None:
    (traces / "published.csv").write_text(
        "trace,policy,alloc_at_100,alloc_at_130\ntiny,FGD,12.345,67.891\n"
    )
    options = ("--traces", traces, "--trace", "tiny", "--policy", "fgd,spread", "--seeds", "1-3")
    assert simulate(*options) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "12.3" in out
    assert "67.89" in out
    assert "±" in out


def test_a_picture_is_drawn(traces: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib draws; install it with equipoise[plot]")
    picture = tmp_path / "picture.svg"
    options = ("--trace", "synthetic", "--policy", "fgd,random", "--seeds", "1-2")
    assert simulate(*options, "--plot", picture) == 0
    assert "<svg" in picture.read_text()


def test_without_matplotlib_one_line_says_how_to_get_it(
    traces: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert simulate("--plot", "picture.png") == 2
    assert capsys.readouterr().err == (
        "equipoise: --plot needs matplotlib; install it with: pip install 'equipoise[plot]'\n"
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--trace bad --traces TRACES", 'pods_bad.csv:4: num_gpu: "one" is not a number'),
        ("--trace nonsense --traces TRACES", "those there are: bad, tiny"),
        ("--trace , --traces TRACES", "names nothing"),
        ("--traces nowhere", "no such folder"),
        ("--traces .", "no list of nodes"),
        ("--policy nonsense", 'no policy "nonsense"; choose from random, best-fit'),
        ("--policy ,", "names nothing"),
        ("--seeds x", '"x" is no seed'),
        ("--seeds -3", '"-3" is no seed'),
        ("--seeds 1,", '"" is no seed'),
        ("--seeds 51-42", "runs backwards"),
        ("--seeds 1-100000000", "more than 1000 seeds"),
        ("--load 0", "--load"),
        ("--load 1.3", "--load"),
        ("--load 2000", "--load"),
        ("--jobs 0", "--jobs"),
        ("--curve", "--json"),
        ("--plot picture.nonsense", "end in .png"),
        ("--plot nowhere/picture.png", "its folder does not exist"),
        ("--placements nowhere/file.csv", "its folder does not exist"),
        ("--placements .", "is a directory"),
    ],
)
def test_bad_input_is_told_in_one_line_before_anything_is_replayed(
    traces: Path, line: str, says: str, capsys: Captured
) -> None:
    assert simulate(*line.replace("TRACES", str(traces)).split()) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
