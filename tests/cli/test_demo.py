"""`equipoise demo`: what it reports, what it shows meanwhile, and what it refuses."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from io import StringIO
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console, RenderableType

from scheduler.cli import demoview
from scheduler.cli.demoplay import Options, with_limit
from scheduler.cli.demorun import run
from scheduler.cli.demoscreen import tell
from scheduler.cli.main import run as equipoise
from scheduler.core.model.errors import EquipoiseError
from scheduler.core.model.ids import NodeName, TenantName
from scheduler.core.model.standing import Standing
from scheduler.simulator import virtualtime
from scheduler.simulator.demoload import LARGE, SMALL, arrivals
from scheduler.simulator.demoreport import Audit, Latency, Report, TenantLine
from tests.support.standings import device, piece, tenant, waiting

START = [sys.executable, "-m", "scheduler", "demo"]


def options(seconds: float, seed: int = 1) -> Options:
    return Options(seconds, seed, "127.0.0.1", None, sockets=False)


def fast(seconds: float, seed: int = 1) -> tuple[Report, list[Standing]]:
    """Run it in virtual time; return the report, and how everybody stood twice a second."""
    seen: list[Standing] = []
    work = run(
        options(seconds, seed),
        virtualtime.LoopClock(),
        show=lambda standing, _passed: seen.append(standing),
        listening=lambda _url: None,
    )
    return virtualtime.run(work), seen


@pytest.fixture(scope="module")
def long() -> tuple[Report, list[Standing]]:
    return fast(60.0)


def test_the_same_seed_gives_the_same_report_and_another_seed_another() -> None:
    once, again, other = (replace(fast(8.0, seed)[0], latencies={}) for seed in (3, 3, 4))
    assert once == again
    assert once.tenants != other.tenants


def test_no_gpu_is_ever_sold_twice(long: tuple[Report, list[Standing]]) -> None:
    report, seen = long
    assert report.oversold_gpus == 0
    assert len(seen) == 120
    for standing in seen:
        for each in standing.devices:
            assert sum(slice_.milli for slice_ in each.slices) <= each.milli
            assert sum(slice_.memory_mib for slice_ in each.slices) <= each.memory_mib


def test_every_pod_that_started_went_through_filter_and_bind(
    long: tuple[Report, list[Standing]],
) -> None:
    report, seen = long
    started = sum(each.started for each in report.tenants)
    assert report.errors == 0
    # A bind may be under way when it ends.
    assert started - 20 <= report.bound <= started <= report.created
    assert report.latencies["filter"].calls >= report.latencies["bind"].calls >= report.bound
    assert report.bound > 300
    running = {slice_.uid for each in seen[-1].devices for slice_ in each.slices if slice_.bound}
    assert len(running) > 20


def test_everybody_gets_what_it_is_due(long: tuple[Report, list[Standing]]) -> None:
    report, _ = long
    lines = {each.tenant: each for each in report.tenants}
    assert set(lines) == {LARGE, *SMALL}
    for each in lines.values():
        assert each.ratio == pytest.approx(1.0, abs=0.25), each.tenant
        assert each.started
    assert report.jain > 0.98
    assert 0.85 * report.gpus < report.allocated_mean <= report.gpus == 20
    waits = [lines[name].wait_median for name in SMALL]
    assert all(wait is not None and wait < 5.0 for wait in waits)


def test_late_tenants_get_their_due_within_seconds_and_it_is_told_what_that_cost(
    long: tuple[Report, list[Standing]],
) -> None:
    report, seen = long
    held = [{each.name: each for each in standing.tenants}[LARGE] for standing in seen]
    # At 2.5 s it has nearly all, most of it by jobs that outlast the demo.
    assert held[5].allocated > 18
    assert held[24].allocated < held[24].fair_share + 1
    (large, *small) = sorted(report.tenants, key=lambda each: -each.weight)
    assert large.lost > 20 > max(each.lost for each in small)
    # Nobody is lost: whoever was stopped was made again, but for what happens at the very end.
    came = sum(each.at <= 59.0 for each in arrivals(60.0, seed=1))
    assert came + report.stopped - 5 < report.created


def test_json_is_the_report_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert equipoise(["demo", "--fast", "--seconds", "6", "--json"]) == 0
    out, err = capsys.readouterr()
    data = json.loads(out)
    assert err == ""
    assert set(data) == {
        "seconds", "gpus", "tenants", "jain", "allocated_mean", "fragmented_gpus",
        "oversold_gpus", "created", "bound", "errors", "latencies", "stopped",
    }  # fmt: skip
    assert set(data["latencies"]) == {"filter", "bind"}
    assert set(data["latencies"]["bind"]) == {"calls", "p50", "p99"}
    assert {frozenset(each) for each in data["tenants"]} == {
        frozenset(
            {"tenant", "weight", "due", "got", "ratio", "started", "waiting", "wait_median",
             "wait_worst", "lost"}
        )
    }  # fmt: skip


def test_without_a_terminal_there_are_plain_lines_and_then_the_report(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert equipoise(["demo", "--fast", "--seconds", "5"]) == 0
    out, _ = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["0.0", "2.0", "4.0"]
    for text in ("got/due", "atlas", "lab-f", "bind over HTTP", "no GPU was ever sold twice"):
        assert text in out
    assert "status page" not in out


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*START, *arguments], capture_output=True, text=True, check=False)


def test_over_real_sockets_without_a_page() -> None:
    done = demo("--seconds", "1", "--no-web", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert (data["oversold_gpus"], data["errors"]) == (0, 0)
    assert data["bound"] > 0


def test_the_page_and_the_metrics_are_there_while_it_runs() -> None:
    with subprocess.Popen(
        [*START, "--seconds", "3", "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        address = running.stdout.readline().removeprefix("status page: ").strip()
        page, state = httpx.get(address), httpx.get(f"{address}/api/v1/state")
        assert (page.status_code, state.status_code) == (200, 200)
        assert "<title>" in page.text
        assert "Equipoise demo" in state.text
        families = _families(address)
        rest = running.stdout.read()
    assert running.returncode == 0
    assert "no GPU was ever sold twice" in rest
    assert families["equipoise_oversold_gpus"] == [0.0]
    assert len(families["equipoise_tenant_fair_share_gpus"]) == 7
    assert sum(families["equipoise_tenant_allocated_gpus"]) > 0


def _families(address: str) -> dict[str, list[float]]:
    """Return metrics by name, once the first pods run."""
    deadline = time.monotonic() + 3.0
    while True:
        text = httpx.get(f"{address}/metrics").text
        found = {
            family.name: [sample.value for sample in family.samples]
            for family in text_string_to_metric_families(text)
        }
        if sum(found["equipoise_tenant_allocated_gpus"]) or time.monotonic() > deadline:
            return found


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seconds", "0"], "--seconds"),
        (["--seconds", "nan"], "--seconds must be a number"),
        (["--seconds", "inf"], "--seconds"),
        (["--seconds", "soon"], "--seconds"),
        (["--port", "70000"], "--port"),
        (["--seed", "x"], "--seed"),
        (["--host", "no such host"], "can't listen on no such host"),
        (["--what"], "--what"),
    ],
)
def test_bad_options_are_answered_in_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert equipoise(["demo", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.startswith("equipoise: ")
    assert err.count("\n") == 1


def test_a_port_in_use_is_answered_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = demo("--seconds", "2", "--port", str(port))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"equipoise: can't listen on 127.0.0.1:{port} ")
    assert done.stderr.count("\n") == 1


def test_a_run_that_hangs_is_ended() -> None:
    async def hang() -> Report:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    with pytest.raises(EquipoiseError, match="did not end within 70 s"):
        virtualtime.run(with_limit(hang(), 70.0))


# --------------------------------------------------------------------------------------- drawing


def drawn(view: RenderableType, width: int = 120) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(view)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


NASTY = TenantName("[red]x[/blue][/]")

ODD: dict[str, Standing] = {
    "nothing at all": Standing(0.0),
    "no devices": Standing(0.0, tenants=(tenant(),)),
    "no tenants": Standing(0.0, devices=(device(slices=(piece(),)),)),
    "zero shares": Standing(
        0.0, tenants=(tenant(fair_share=Fraction(0), allocated=Fraction(0), lag=-0.0),)
    ),
    "only inner tenants": Standing(0.0, tenants=(tenant(leaf=False),)),
    "markup in names": Standing(
        0.0,
        tenants=(tenant(NASTY),),
        devices=(device(node=NodeName(NASTY), slices=(piece(NASTY),)),),
        waiting=(waiting(NASTY),),
    ),
    "a device of nothing": Standing(
        0.0, devices=(device(milli=0, memory_mib=0, slices=(piece(),), foreign_mib=5),)
    ),
    "more than there is": Standing(
        0.0,
        tenants=(tenant(allocated=Fraction(900), fair_share=Fraction(1, 3)),),
        devices=(device(foreign_mib=10**6, slices=(piece(milli=1500, bound=False),)),),
        oversold_milli=500,
    ),
    "crowded": Standing(0.0, devices=(device(slices=tuple(piece(milli=1) for _ in range(99))),)),
}


@pytest.mark.parametrize("standing", ODD.values(), ids=ODD)
@pytest.mark.parametrize("width", [20, 120])
def test_whatever_the_moment_it_can_be_drawn(standing: Standing, width: int) -> None:
    view = demoview.live(standing, 3.0, 40.0, url="http://127.0.0.1:1")
    text = drawn(view, width)
    assert "Equipoise" in text
    assert demoview.line(standing, 3.0).endswith(f"waiting {len(standing.waiting)}")


def test_names_are_shown_as_they_are() -> None:
    text = drawn(demoview.live(ODD["markup in names"], 3.0, 40.0, url=""))
    assert text.count(NASTY) == 2
    assert NASTY in demoview.line(ODD["markup in names"], 3.0)


def test_a_bar_is_as_wide_as_a_gpu_and_shows_who_is_on_it() -> None:
    slices = (piece("a", 500), piece("b", 250, bound=False))
    moment = Standing(0.0, devices=(device(slices=slices, foreign_mib=8192),))
    assert "█" * 10 + "▒" * 5 + "·" * 3 + "xx" in drawn(demoview.live(moment, 0, 1, url=""))


def report(**changes: Any) -> Report:
    nobody = TenantLine(NASTY, 1.0, 0.0, 0.0, 0, 3, None, None)
    plain = Report(
        seconds=5.0,
        gpus=20.0,
        tenants=(nobody,),
        jain=1.0,
        allocated_mean=0.0,
        fragmented_gpus=0.0,
        oversold_gpus=0.0,
        created=3,
        bound=0,
        errors=0,
        latencies={"filter": Latency(0, None, None)},
    )
    return replace(plain, **changes)


def test_a_report_in_which_nothing_happened_can_be_drawn() -> None:
    text = drawn(demoview.report(report()))
    assert NASTY in text
    assert "no calls" in text
    assert "no GPU was ever sold twice" in text
    assert drawn(demoview.report(report(tenants=(), latencies={})))


def test_nobody_is_named_who_did_not_audit() -> None:
    assert "auditor" not in drawn(demoview.report(report()))


def test_the_auditor_is_named_with_all_that_it_saw() -> None:
    text = drawn(demoview.report(report().audited(Audit(12, 0.0))))
    assert "auditor                saw 12 pods placed" in text
    assert "and no problems" in text
    found = tuple(f"wrong {number}" for number in range(12))
    text = drawn(demoview.report(report().audited(Audit(12, 0.25, found))))
    assert "and 12 problems" in text
    assert "0.25  (THIS IS A BUG)" in text
    assert "wrong 9" in text
    assert "wrong 10" not in text


def test_json_has_the_audit_if_there_was_one(capsys: pytest.CaptureFixture[str]) -> None:
    tell(report(tenants=()), as_json=True)
    assert "audit" not in json.loads(capsys.readouterr().out)
    tell(report(tenants=()).audited(Audit(12, 0.0, ("x",))), as_json=True)
    audit = json.loads(capsys.readouterr().out)["audit"]
    assert audit == {"pods": 12, "oversold_gpus": 0.0, "problems": ["x"]}


def test_errors_are_told_if_there_were_any() -> None:
    assert "errors" not in drawn(demoview.report(report()))
    assert "errors                 2 pods" in drawn(demoview.report(report(errors=2)))


def test_a_gpu_that_was_sold_twice_is_called_a_bug() -> None:
    assert "0.5  (THIS IS A BUG)" in drawn(demoview.report(report(oversold_gpus=0.5)))
