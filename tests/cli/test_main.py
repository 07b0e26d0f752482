"""The command line itself: exit statuses, one line on stderr, nothing imported for nothing."""

import subprocess
import sys

import pytest

from hack.sizes import ROOT
from scheduler.cli.main import COMMANDS, Entry, run

SAMPLES = {
    name: Entry(f"tests.cli.sample_commands:{name}", f"Help of {name}.")
    for name in ("fine", "refuse", "stumble", "unreadable", "interrupted", "broken")
} | {"absent": Entry("tests.cli.no_such_module:absent", "Not there.")}

Captured = pytest.CaptureFixture[str]


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("line", "status", "stderr"),
    [
        ("fine", 0, ""),
        ("refuse", 1, ""),
        ("stumble", 2, "equipoise: cluster.yaml:3: a node has no name; give it one\n"),
        ("unreadable", 2, "equipoise: gone.yaml: No such file or directory\n"),
        ("interrupted", 130, "\n"),
        (
            "broken",
            2,
            "equipoise: internal error, please report it "
            "(ZeroDivisionError: nothing to divide by); with EQUIPOISE_DEBUG=1 it tells where\n",
        ),
    ],
)
def test_a_command_ends_with_its_status_and_at_most_one_line(
    line: str, status: int, stderr: str, capsys: Captured
) -> None:
    assert run(line.split(), SAMPLES) == status
    assert capsys.readouterr().err == stderr


@pytest.mark.parametrize(
    ("line", "says", "points_to"),
    [
        ("nonsense", "nonsense", "equipoise --help"),
        ("absent", "absent", "equipoise --help"),
        ("--nonsense", "--nonsense", "equipoise --help"),
        ("fine --nonsense", "--nonsense", "equipoise fine --help"),
        ("fine --count many", "many", "equipoise fine --help"),
        ("fine surplus", "surplus", "equipoise fine --help"),
    ],
)
def test_a_wrong_command_line_is_answered_in_one_line_that_points_to_help(
    line: str, says: str, points_to: str, capsys: Captured
) -> None:
    assert run(line.split(), SAMPLES) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("equipoise: ")
    assert says in err
    assert points_to in err


@pytest.mark.parametrize("line", ["", "-h", "--help"])
def test_help_lists_the_commands_that_are_there(line: str, capsys: Captured) -> None:
    assert run(line.split(), SAMPLES) == 0
    out = capsys.readouterr().out
    assert "Help of refuse." in out
    assert "absent" not in out


def test_help_of_a_command_is_its_own(capsys: Captured) -> None:
    assert run(["fine", "--help"], SAMPLES) == 0
    assert "--count" in capsys.readouterr().out


def test_version_is_told(capsys: Captured) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("equipoise")


def test_help_imports_no_command_and_nothing_heavy() -> None:
    done = python(
        "import sys; from scheduler.cli.main import run; run(['--help'])\n"
        "heavy = {'numpy', 'fastapi', 'uvicorn', 'rich', 'httpx', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_is_there_and_explains_itself(
    name: str, capsys: Captured
) -> None:
    assert run([name, "--help"]) == 0
    assert f"equipoise {name}" in capsys.readouterr().out


@pytest.mark.parametrize("count", [1, 1_000_000])
def test_a_reader_that_goes_away_ends_it_without_a_word(count: int) -> None:
    code = (
        "import sys; from scheduler.cli.main import run, Entry\n"
        "table = {'fine': Entry('tests.cli.sample_commands:fine', '')}\n"
        f"sys.exit(run(['fine', '--count', '{count}'], table))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 141
