"""What our driver makes of the card, and what a program can really have of its memory."""

import json
import subprocess
import sys
import time

from hack.verify_card.bench import PROC, Bench
from hack.verify_card.program import ROOT
from hack.verify_card.report import Report
from scheduler.agent.reading import Reader
from scheduler.clock import SystemClock
from scheduler.device.models import short_name
from scheduler.device.nvml import NvmlDriver


def look(bench: Bench, report: Report) -> None:
    """The record, and how much of the memory in it a program finds."""
    report.section("The card")
    record = bench.record
    report.tell("driver", bench.driver.about())
    report.tell("card", f"{record.model}, PCI {record.pci}, NUMA node {record.numa}")
    report.check("it is healthy", record.healthy, record.fault or "no fault")
    report.check("its name is short", short_name(record.model) == record.model, record.model)
    use = bench.use()
    report.tell("in use before", f"{use.used_mib} MiB, {len(use.processes)} processes")
    program = bench.program()
    state = program.ask("state")
    report.tell("multiprocessors", state["sms"])
    report.check(
        "CUDA finds as much memory as we count",
        abs(state["total_mib"] - record.memory_mib) <= record.memory_mib // 100,
        f"NVML {record.memory_mib} MiB usable, CUDA {state['total_mib']} MiB in all, "
        f"{state['free_mib']} MiB free",
    )


def agent(bench: Bench, report: Report) -> None:
    """The command as people run it, and the agent's own reading."""
    report.section("The agent")
    command = [sys.executable, "-m", "scheduler", "agent", "--once", "--json"]
    begin = time.monotonic()
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    took = time.monotonic() - begin
    report.check("equipoise agent --once", run.returncode == 0, run.stderr or f"{took:.2f} s")
    if run.returncode == 0:
        (node,) = json.loads(run.stdout)["nodes"]
        uuids = [device["uuid"] for device in node["devices"]]
        report.check("it prints the card", bench.record.uuid in uuids, f"{len(uuids)} devices")
    reader = Reader(lambda: NvmlDriver(bench.nvml), proc=PROC, clock=SystemClock())
    for which in ("first", "second"):
        begin = time.monotonic()
        reading = reader.read()
        report.tell(f"{which} reading", f"{(time.monotonic() - begin) * 1000:.0f} ms")
    report.tell("pods that own processes", len(set(reading.owners.values())))
    reader.close()
