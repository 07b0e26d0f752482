"""Load, and what two programs get of a card that they share without MPS."""

from hack.verify_card.bench import Bench, Started, seconds
from hack.verify_card.report import Report

SECONDS = 2.0


def look(bench: Bench, report: Report) -> None:
    """One busy program, then two at once."""
    report.section("Taking turns")
    one, two = bench.program(), bench.program()
    _load(bench, report, one)
    alone = rates(one)[0]
    report.tell("launches a second alone", alone)
    shares = [round(rate / alone, 2) for rate in rates(one, two)]
    fair = all(0.35 <= share <= 0.65 for share in shares)
    report.check("two at once get about half each", fair, shares)


def _load(bench: Bench, report: Report, program: Started) -> None:
    """How long the driver takes to notice that a card is busy, and that it is idle again."""
    bench.within(10, lambda use: not use.utilisation)
    program.tell(f"busy {SECONDS}")
    risen = bench.within(SECONDS, lambda use: (use.utilisation or 0) >= 900)
    program.answer()
    report.check("a busy card shows load above 90 %", risen is not None, seconds(risen))
    fallen = bench.within(10, lambda use: (use.utilisation or 0) <= 50)
    report.check("and an idle one soon none", fallen is not None, seconds(fallen))


def rates(*programs: Started) -> list[float]:
    """Return the launches a second of each while all are busy."""
    for program in programs:
        program.ask("busy 0")
    for program in programs:
        program.tell(f"busy {SECONDS}")
    return [float(program.answer()["rate"]) for program in programs]
