"""`make cluster-demo`: the demo's story on a control plane of its own; it leaves no trace of it."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.simulator.demoload import LARGE, SMALL
from tests.support.controlplane.layout import ROOT

START = [sys.executable, "-m", "hack.clusterdemo"]
AT_ONCE = 10
"""Bindings that may be under way."""


@pytest.fixture(scope="module", autouse=True)
def swept() -> None:
    """It needs no plane but its own, so none is started, and none swept."""


def started(folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*START, *options],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder), "EQUIPOISE_DEBUG": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_behind(folder: Path) -> list[str]:
    """Files of a plane in that folder, and processes that were started with a path in it."""
    found = [str(path) for path in folder.glob("equipoise-plane-*")]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


def test_everybody_is_served_no_gpu_is_sold_twice_and_nothing_is_left(tmp_path: Path) -> None:
    with started(tmp_path, "--seconds", "10", "--no-web", "--json") as running:
        out, err = running.communicate(timeout=300)
    assert (running.returncode, err) == (0, "")
    report = json.loads(out)
    assert (report["oversold_gpus"], report["gpus"]) == (0, 20)
    assert {each["tenant"] for each in report["tenants"]} == {LARGE, *SMALL}
    assert 0 < report["bound"] < report["created"]
    # A pod is seen to be bound before its Binding is answered, and the end comes in between.
    assert report["latencies"]["bind"]["calls"] >= report["bound"] - AT_ONCE
    audit = report["audit"]
    assert audit["pods"] >= report["bound"]
    assert (audit["oversold_gpus"], audit["problems"]) == (0, [])
    assert left_behind(tmp_path) == []


def test_a_port_in_use_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(tmp_path, "--seconds", "5", "--port", str(port)) as running:
            out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (2, "")
    assert f"can't listen on 127.0.0.1:{port}" in err
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "line"), [(signal.SIGINT, "installing"), (signal.SIGTERM, "  2.")]
)
def test_told_to_end_it_leaves_nothing_either(
    tmp_path: Path, number: signal.Signals, line: str
) -> None:
    with started(tmp_path, "--seconds", "60", "--no-web") as running:
        assert running.stdout is not None
        assert any(told.startswith(line) for told in running.stdout)
        assert left_behind(tmp_path)
        running.send_signal(number)
        running.communicate(timeout=60)
    assert running.returncode == 130
    assert left_behind(tmp_path) == []
