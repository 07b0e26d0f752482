"""Check on a real card what tests can only assume: NVML's answers, whose memory is whose, MPS.

    python -m hack.verify_card [--card N] [--fault] [--json FILE]

Needs NVIDIA's driver, a card that nothing else uses, and for MPS nvidia-cuda-mps-control. Takes
three minutes and up to 17 GiB of the card, and changes none of its settings. Ends with 0 if all
holds, with 1 if something doesn't, with 2 if there is no card to look at.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pynvml

from hack.verify_card import calls, cards, contract, fault, held, mps, turns
from hack.verify_card.bench import Bench
from hack.verify_card.daemon import NoDaemon
from hack.verify_card.program import NoAnswer
from hack.verify_card.report import Report
from scheduler.core.model.errors import DeviceError
from scheduler.device.nvml import NvmlDriver

Step = Callable[[Bench, Report], None]

STEPS: tuple[Step, ...] = (
    calls.look,
    cards.look,
    cards.agent,
    contract.look,
    held.look,
    turns.look,
    mps.no_daemon,
    mps.clients,
    mps.limits,
    mps.floor,
)
FAULTS: tuple[Step, ...] = (fault.alone, fault.shared)

PROBLEMS = (
    *(NoAnswer, DeviceError, pynvml.NVMLError),
    *(OSError, LookupError, ValueError, subprocess.SubprocessError),
)
"""What may break a step."""


class NoCard(Exception):
    """The card that was asked for can't be looked at."""


def main(
    arguments: Sequence[str] | None = None, *, nvml: Any = pynvml, steps: Sequence[Step] = STEPS
) -> int:
    """Look at a card; return the exit status."""
    given = _parser().parse_args(arguments)
    try:
        with closing(NvmlDriver(nvml)) as driver:
            report = run(opened(driver, nvml, given.card), (*steps, *FAULTS * given.fault))
    except (DeviceError, NoCard) as problem:
        print(f"verify_card: {problem}", file=sys.stderr)
        return 2
    if given.json:
        text = json.dumps([asdict(finding) for finding in report.findings], indent=1)
        given.json.write_text(text + "\n", encoding="utf-8")
    print(f"\n{len(report.failures)} of {len(report.findings)} findings don't hold")
    return bool(report.failures)


def opened(driver: NvmlDriver, nvml: Any, card: int) -> Bench:
    """Return the card at a place, as nvidia-smi counts; raise NoCard."""
    for record in driver.inventory():
        if record.index == card and record.uuid and not record.mig:
            return Bench(driver, nvml, record, nvml.nvmlDeviceGetHandleByIndex(card))
    raise NoCard(f"there is no card {card}, or MIG cuts it up; choose another with --card")


def run(bench: Bench, steps: Sequence[Step]) -> Report:
    """Take the steps; one that breaks stops no other."""
    report = Report(lambda line: print(line, flush=True))
    for step in steps:
        try:
            step(bench, report)
        except NoDaemon as problem:
            report.tell("not tried", problem)
        except PROBLEMS as problem:
            report.check("the step goes through", False, f"{type(problem).__name__}: {problem}")
        finally:
            bench.end()
    return report


def _parser() -> argparse.ArgumentParser:
    assert __doc__
    parser = argparse.ArgumentParser(prog="verify_card", description=__doc__.splitlines()[0])
    parser.add_argument("--card", type=int, default=0, help="as nvidia-smi counts (default: 0)")
    parser.add_argument(
        "--fault", action="store_true", help="let a program fail: an XID in the log"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings there too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
