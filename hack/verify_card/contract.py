"""The tests that every driver has to pass, run on the cards of this machine."""

import subprocess
import sys

from hack.verify_card.bench import Bench
from hack.verify_card.program import ROOT
from hack.verify_card.report import Report

COMMAND = (sys.executable, "-m", "pytest", "tests/device", "-q", "-k", "real and cards")
OPTIONS = ("-p", "no:cacheprovider")


def look(bench: Bench, report: Report) -> None:
    """All must pass, and none may be skipped."""
    report.section("What every driver promises")
    run = subprocess.run(
        [*COMMAND, *OPTIONS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    said = (run.stdout + run.stderr).strip().splitlines()
    report.check("tests/device", *verdict(run.returncode, said))


def verdict(status: int, said: list[str]) -> tuple[bool, str]:
    """Return whether all passed, and pytest's last line; all that it said if they didn't."""
    last = said[-1].strip("= ") if said else "nothing was said"
    if status == 0 and "skipped" not in last:
        return True, last
    return False, "\n".join(said) or last
