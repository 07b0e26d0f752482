"""`equipoise agent`: what it prints, and what it says instead where it can't."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scheduler.cli.agentread import as_data, read_machine
from scheduler.device.mock import DEMO
from scheduler.device.nvml import NvmlDriver
from tests.device.fake_nvml import FakeCard, FakeNvml

FAULTY = """
name: small
cpu: 8
memory: 32Gi
devices:
  - {model: Tesla T4, memory: 16Gi, load: [{at: 0, utilisation: 0.25, foreign: 1Gi}]}
  - {model: A100-SXM4-80GB, memory: 80Gi, mig: [1g.10gb], fault: {at: 5, lost: true}}
"""


NOWHERE = {"KUBECONFIG": "", "KUBERNETES_SERVICE_HOST": "", "HOME": "/nonexistent"}
"""Environment in which no cluster is found."""


def equipoise(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scheduler", "agent", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def refusal(*arguments: object, **environment: str) -> str:
    done = equipoise(*arguments, **environment)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("equipoise: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def devices(*arguments: object) -> list[dict[str, Any]]:
    done = equipoise("--once", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return [device for node in json.loads(done.stdout)["nodes"] for device in node["devices"]]


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    file = tmp_path / "faulty.yaml"
    file.write_text(FAULTY, encoding="utf-8")
    return file


def test_json_tells_inventory_and_use(faulty: Path) -> None:
    whole, part = devices("--mock", faulty)
    assert (whole["model"], whole["memory_mib"], whole["milli"]) == ("T4", 16_384, 1000)
    assert (whole["used_mib"], whole["utilisation"]) == (1024, 0.25)
    assert [process["used_mib"] for process in whole["processes"]] == [1024]
    assert (part["mig"], part["milli"], part["utilisation"]) == (True, 142, None)


def test_the_script_can_be_read_at_a_later_second(faulty: Path) -> None:
    part = devices("--mock", faulty, "--at", 5)[1]
    assert (part["healthy"], part["fault"], part["used_mib"]) == (False, "the GPU is lost", None)


def test_all_nodes_of_a_cluster_are_printed_or_the_one_that_is_named() -> None:
    assert len(devices("--mock", DEMO)) == 20
    assert {each["model"] for each in devices("--mock", DEMO, "--node", "t4-0")} == {"T4"}


def test_a_table_shows_each_device_and_what_is_wrong_with_it(faulty: Path) -> None:
    done = equipoise("--once", "--mock", faulty, "--at", 7)
    assert done.returncode == 0, done.stderr
    for text in ("small (mock)", "T4", "1024/16384", "25 %", "broken: the GPU is lost"):
        assert text in done.stdout


def test_real_cards_are_told_in_the_same_shape() -> None:
    fake = FakeNvml([FakeCard("GPU-0", used_mib=500, gpu_percent=12, compute=[(5, 490)])])
    data = as_data(read_machine(NvmlDriver(fake), "here"))
    (node,) = data["nodes"]
    assert (node["name"], node["driver"]) == ("here", "nvml, driver 570.133.20, CUDA 12.8")
    assert (node["devices"][0]["utilisation"], node["devices"][0]["used_mib"]) == (0.12, 500)
    assert json.loads(json.dumps(data)) == data
    assert not fake.open


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine has a driver")
def test_without_a_driver_it_says_so_in_one_line() -> None:
    assert "no NVIDIA driver here" in refusal("--once", "--json")


def test_without_a_cluster_it_says_how_to_name_one() -> None:
    told = refusal("--mock", DEMO, "--node", "t4-0", **NOWHERE)
    assert "kubeconfig" in told


def test_the_node_is_named_by_the_environment_where_nobody_names_it() -> None:
    assert 'no node "here"' in refusal("--mock", DEMO, NODE_NAME="here", **NOWHERE)


@pytest.mark.parametrize("option", [("--json",), ("--at", "3")], ids=["json", "at"])
def test_what_belongs_to_once_is_refused_without_it(option: tuple[str, ...]) -> None:
    assert "add --once" in refusal("--mock", DEMO, *option)


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("SERVES", "hami", 'agent.serves knows no "hami"; write mps or driver-limits'),
        ("READ_SECONDS", "0.1", "agent.read_seconds must be at least 1"),
        ("EVICT_SECONDS", "soon", "agent.evict_seconds"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(setting: str, value: str, told: str) -> None:
    settings = {f"EQUIPOISE_AGENT_{setting}": value}
    assert told in refusal("--mock", DEMO, "--node", "t4-0", **settings, **NOWHERE)


def test_an_unknown_node_is_answered_with_those_that_there_are() -> None:
    assert 'no node "x"; it has a100-0' in refusal("--once", "--mock", DEMO, "--node", "x")


def test_a_file_that_cannot_be_read_is_answered_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("nodes:\n  - {name: a, cpu: 1}\n", encoding="utf-8")
    assert f"{file}:2: " in refusal("--once", "--mock", file)
    assert "no such file" in refusal("--once", "--mock", tmp_path / "none.yaml")


@pytest.mark.parametrize("at", ["-1", "nan", "inf"])
def test_a_second_that_never_comes_is_refused(at: str) -> None:
    assert "--at must be a number of seconds" in refusal("--once", "--mock", DEMO, "--at", at)


def test_a_second_without_a_script_is_refused() -> None:
    assert "add --mock FILE" in refusal("--once", "--at", 3)
