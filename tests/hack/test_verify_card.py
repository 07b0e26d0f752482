"""The check of a real card, on a card that is none: what it finds, and that it leaves nothing."""

import json
from pathlib import Path

import pynvml
import pytest

from hack.verify_card import __main__ as verify_card
from hack.verify_card import calls, cards, contract, held, mps, turns
from hack.verify_card.daemon import Daemon
from hack.verify_card.report import Report
from tests.device.fake_nvml import FakeCard, FakeNvml
from tests.hack.fake_bench import Library, Machine

STEPS = (
    *(calls.look, cards.look, held.look, turns.look),
    *(mps.no_daemon, mps.clients, mps.limits, mps.floor),
    *verify_card.FAULTS,
)


def looked(machine: Machine) -> Report:
    return verify_card.run(machine.bench(), STEPS)


def wrong(machine: Machine) -> set[str]:
    return {finding.what for finding in looked(machine).failures}


def test_a_card_as_one_was_seen_passes_and_nothing_is_left_on_it() -> None:
    machine = Machine()
    report = looked(machine)
    assert report.failures == []
    assert {finding.section for finding in report.findings} >= {"Processes", "MPS limits"}
    assert (machine.running, machine.daemons, machine.card.used_mib) == ([], [], 0)


def test_mps_that_keeps_no_limit_is_found_out() -> None:
    assert wrong(Machine(keeps_limits=False)) == {
        "below its limit it can allocate",
        "above its limit it can't",
        "250 milli are multiprocessors",
        "it works at its share",
    }


def test_a_driver_that_lists_no_process_is_found_out() -> None:
    machine = Machine()
    for call in ("Compute", "MPSCompute"):
        machine.card.broken[f"nvmlDeviceGet{call}RunningProcesses"] = pynvml.NVMLError_NotSupported
    assert {"a process is listed by its PID", "a client is listed by its own PID"} <= wrong(machine)


def test_a_step_that_breaks_stops_no_other() -> None:
    machine = Machine()
    machine.card.broken["nvmlDeviceGetUtilizationRates"] = pynvml.NVMLError_GpuIsLost
    report = looked(machine)
    assert "the step goes through" in {finding.what for finding in report.failures}
    assert "MPS limits of the daemon" in {finding.section for finding in report.findings}
    assert machine.running == []


def test_no_driver_and_no_such_card_are_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    without = FakeNvml([], init_error=pynvml.NVMLError_LibraryNotFound)
    assert verify_card.main([], nvml=without) == 2
    assert verify_card.main(["--card", "1"], nvml=Library([FakeCard("GPU-0")])) == 2
    assert [line.split(";")[0] for line in capsys.readouterr().err.splitlines()] == [
        "verify_card: no NVIDIA driver here: libnvidia-ml.so.1 is not found",
        "verify_card: there is no card 1, or MIG cuts it up",
    ]


def test_the_status_says_whether_all_holds_and_a_file_what_was_found(tmp_path: Path) -> None:
    library, file = Library([FakeCard("GPU-0")]), tmp_path / "found.json"
    assert verify_card.main(["--json", str(file)], nvml=library, steps=[calls.look]) == 0
    assert {each["what"] for each in json.loads(file.read_text())} >= {"DeviceGetMemoryInfo_v2"}
    # No card of this name is there for CUDA, whatever machine this is.
    assert verify_card.main([], nvml=library, steps=[cards.look]) == 1


def test_where_mps_is_not_installed_it_is_not_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    bench = Machine().bench()
    bench.daemon = Daemon
    report = verify_card.run(bench, [mps.clients])
    assert [(each.what, each.holds) for each in report.findings] == [("not tried", None)]


@pytest.mark.parametrize(
    ("status", "said", "passed"),
    [
        (0, ["9 passed, 205 deselected in 0.5s"], True),
        (0, ["1 passed, 8 skipped in 0.5s"], False),
        (1, ["E  assert", "1 failed, 8 passed"], False),
        (4, [], False),
    ],
)
def test_tests_that_are_skipped_have_not_passed(status: int, said: list[str], passed: bool) -> None:
    assert contract.verdict(status, said)[0] is passed
