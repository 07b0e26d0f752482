"""`equipoise simulate --tenants FILE` as it is used: figures, a picture, one line for mistakes."""

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.cli.main import run
from scheduler.simulator.turns.rules import RULES

Captured = pytest.CaptureFixture[str]

PLAN = """\
tenants:
  - {name: large, weight: 40, work: 0.6}
  - {name: small, count: 4, weight: 15, work: 0.1}
load: 1.1
nodes: 0.02
longest_hours: 2
days: 0.25
window_hours: 3
"""


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file for a short run, where no trace is to be found."""
    away = tmp_path / "a" / "b"
    away.mkdir(parents=True)
    monkeypatch.chdir(away)
    monkeypatch.delenv("EQUIPOISE_TRACES", raising=False)
    file = tmp_path / "tenants.yaml"
    file.write_text(PLAN)
    return file


def simulate(*arguments: object) -> int:
    return run(["simulate", *map(str, arguments)])


def as_json(capsys: Captured, *arguments: object) -> Any:
    assert simulate(*arguments, "--json", "--jobs", 1) == 0
    return json.loads(capsys.readouterr().out)


def test_every_rule_is_told_by_size_of_tenant(plan: Path, capsys: Captured) -> None:
    told = as_json(capsys, "--trace", "synthetic", "--tenants", plan)
    assert [(entry["rule"], entry["seed"]) for entry in told["runs"]] == [
        (rule, 42) for rule in RULES
    ]
    for entry in told["runs"]:
        large, small = entry["tenants"]["large"], entry["tenants"]["small"]
        assert (large["tenants"], small["tenants"]) == (1, 4)
        assert small["service_by_due"]["least"] <= small["service_by_due"]["most"]
        assert small["median_wait_seconds"] <= small["worst_wait_seconds"]
        assert 0.2 <= entry["jain"]["least"] <= entry["jain"]["median"] <= 1
        assert entry["jain"]["windows"] == 2
        assert 0 <= entry["idle"] < 1
        assert entry["started"] > 0
        # Nobody gets more GPU-seconds than there are.
        gpus = told["settings"]["traces"]["synthetic"]["gpus"]
        used = large["gpu_seconds"] + small["gpu_seconds"]
        assert used == pytest.approx((1 - entry["idle"]) * gpus * 6 * 3600, rel=1e-3)
    lost = {entry["rule"]: entry["lost_gpu_seconds"] for entry in told["runs"]}
    assert lost["turns alone"] == lost["first come"] == 0
    assert told["settings"]["plan"]["load"] == 1.1


def test_seeds_and_rules_can_be_chosen_and_a_seed_gives_the_same(
    plan: Path, capsys: Captured
) -> None:
    options = ("--trace", "synthetic", "--tenants", plan, "--rule", "first-come", "--seeds", "1,2")
    told, again = as_json(capsys, *options), as_json(capsys, *options)
    for entry in (*told["runs"], *again["runs"]):
        assert entry.pop("seconds") > 0
    assert told == again
    assert [(entry["rule"], entry["seed"]) for entry in told["runs"]] == [
        ("first come", 1),
        ("first come", 2),
    ]
    assert told["runs"][0]["tenants"] != told["runs"][1]["tenants"]


def test_a_trace_of_ones_own_is_played_and_a_table_told(
    plan: Path, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "nodes.csv").write_text(
        "sn,cpu_milli,memory_mib,gpu,model\na,64000,262144,2,T4\nb,64000,262144,2,P100\n"
    )
    (tmp_path / "pods_tiny.csv").write_text(
        "name,cpu_milli,memory_mib,num_gpu,gpu_milli,creation_time,deletion_time\n"
        + "".join(f"p{at},1000,1,1,500,{at * 10},{at * 10 + 600}\n" for at in range(9))
    )
    plan.write_text(PLAN.replace("nodes: 0.02\n", ""))
    options = ("--traces", tmp_path, "--trace", "tiny", "--tenants", plan, "--rule", "equipoise")
    assert simulate(*options) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "tiny: 2 nodes, 4 GPUs; a pass of 9 pods" in out
    assert "small (4)" in out


def test_without_a_trace_the_synthetic_one_is_played_and_a_picture_drawn(
    plan: Path, tmp_path: Path, capsys: Captured
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib draws; install it with equipoise[plot]")
    picture = tmp_path / "turns.svg"
    options = ("--tenants", plan, "--rule", "first-come,kai-like", "--jobs", 1)
    assert simulate(*options, "--plot", picture) == 0
    assert "synthetic workload" in capsys.readouterr().err
    assert "<svg" in picture.read_text()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--tenants gone.yaml", "gone.yaml: can't be read"),
        ("--tenants BAD", "tenants.yaml: the parts of the work add up to 0.5"),
        ("--tenants PLAN --rule fairest", 'no rule "fairest"; choose from equipoise, turns-alone'),
        ("--tenants PLAN --load 120", "--load has no meaning with --tenants"),
        ("--tenants PLAN --policy fgd", "--policy has no meaning with --tenants"),
        ("--tenants PLAN --json --curve", "--curve has no meaning with --tenants"),
        ("--tenants PLAN --placements x.csv", "--placements has no meaning with --tenants"),
        ("--tenants PLAN --plot picture.nonsense", "end in .png"),
        ("--tenants PLAN --traces nowhere", "no such folder"),
        ("--tenants PLAN --trace old --traces TRACES", 'no column "creation_time"'),
        ("--rule equipoise", "give --tenants as well"),
    ],
)
def test_bad_input_is_told_in_one_line_before_anything_is_played(
    plan: Path, tmp_path: Path, line: str, says: str, capsys: Captured
) -> None:
    (tmp_path / "nodes.csv").write_text("sn,cpu_milli,memory_mib,gpu,model\na,9,9,2,T4\n")
    (tmp_path / "pods_old.csv").write_text(
        "name,cpu_milli,memory_mib,num_gpu,gpu_milli\np,1,1,1,500\n"
    )
    if "BAD" in line:
        plan.write_text("tenants: [{name: a, work: 0.5}]")
    for word, path in (("PLAN", plan), ("BAD", plan), ("TRACES", tmp_path)):
        line = line.replace(word, str(path))
    options = line.split()
    if "--trace" not in options and "--traces" not in options:
        options += ["--trace", "synthetic"]
    assert simulate(*options) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
