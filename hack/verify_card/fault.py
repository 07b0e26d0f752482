"""How a program's own error reaches us: as an XID that is told once and closes no card."""

from collections.abc import Mapping
from typing import Any

from hack.verify_card.bench import Bench, seconds
from hack.verify_card.mps import running
from hack.verify_card.report import Report
from scheduler.device.nvmlhealth import APPLICATION_XIDS

WAIT_MS, PATIENCE_SECONDS = 5000, 30.0


def alone(bench: Bench, report: Report) -> None:
    """Let a program write where nothing is. The kernel's log gets a line of it."""
    report.section("A program's error")
    _fail(bench, report, {})


def shared(bench: Bench, report: Report) -> None:
    """Let a client of MPS do the same, beside another one."""
    report.section("An MPS client's error")
    with running(bench) as daemon:
        neighbour = bench.program(daemon.env)
        neighbour.ask("busy 0")
        _fail(bench, report, daemon.env)
        report.tell("its neighbour", neighbour.ask("busy 0")["error"] or "goes on")
        report.tell("a new client beside them", _works(bench, daemon.env) or "can work")
        bench.end()
        begin, problem = bench.now(), _works(bench, daemon.env)
        while problem and bench.now() - begin < PATIENCE_SECONDS:
            bench.pause(0.2)
            problem = _works(bench, daemon.env)
        report.check("once all have ended", not problem, problem or seconds(bench.now() - begin))


def _works(bench: Bench, env: Mapping[str, str]) -> str:
    """Return why a new program can't work, "" if it can."""
    program = bench.start(bench.environment(env))
    try:
        return program.refused or str(program.ask("busy 0")["error"])
    finally:
        program.close()


def _fail(bench: Bench, report: Report, env: Mapping[str, str]) -> None:
    nvml = bench.nvml
    events = nvml.nvmlEventSetCreate()
    try:
        nvml.nvmlDeviceRegisterEvents(bench.handle, nvml.nvmlEventTypeXidCriticalError, events)
        bench.driver.inventory()
        report.tell("CUDA calls it", bench.program(env).ask("fail")["error"])
        xids = _xids(nvml, events)
    finally:
        nvml.nvmlEventSetFree(events)
    report.check("the driver tells XIDs, a program's all", set(xids) <= APPLICATION_XIDS, xids)
    faults = [record.fault for record in bench.driver.inventory() if record.fault]
    report.check("the card stays open", not faults, faults or "no fault")


def _xids(nvml: Any, events: Any) -> list[int]:
    """Return what is told until nothing more is."""
    found: list[int] = []
    try:
        while len(found) < 64:
            found.append(int(nvml.nvmlEventSetWait(events, 500 if found else WAIT_MS).eventData))
    except nvml.NVMLError_Timeout:
        pass
    return found
