"""Whose memory is whose: what NVML lists of processes, and what it leaves unexplained."""

from collections.abc import Mapping

from hack.verify_card.bench import Bench, Started, of, seconds, told, unexplained
from hack.verify_card.report import Report
from scheduler.agent.processes import pod_uid
from scheduler.device.driver import foreign_mib
from scheduler.settings import Agent

MIB = 2048
CROWD = 32
"""Programs at once, at most; each gets 2 GiB of the card to live in."""


def look(bench: Bench, report: Report) -> None:
    """One process of ours, then two, then many."""
    report.section("Processes")
    others = {process.pid for process in bench.use().processes}
    report.tell("unexplained before", f"{unexplained(bench.use(), others)} MiB")
    one = bench.program()
    _one(bench, report, one, others=others)
    _cgroup(bench, report, one.pid)
    _stranger(bench, report, others | {one.pid})
    _gone(bench, report, one)
    crowd(bench, report, "process", {})


def crowd(bench: Bench, report: Report, kind: str, env: Mapping[str, str]) -> None:
    """Start one program after the other; however many they are, nothing of theirs is foreign."""
    ours = {process.pid for process in bench.use().processes}
    most = min(CROWD, bench.record.memory_mib // 2048)
    for number in range(1, most + 1):
        ours.add(bench.program(env).pid)
        if number in {1, 2, 8, most}:
            use = bench.use()
            foreign, left = foreign_mib(use, ours=ours), unexplained(use, ours)
            what = f"{number} × {kind} of ours, nothing is foreign"
            report.check(what, not foreign, f"{left} MiB without an owner")
    bench.end()


def _one(bench: Bench, report: Report, one: Started, *, others: set[int]) -> None:
    context = of(bench.use(), one.pid)
    one.ask(f"take {MIB}")
    use = bench.use()
    entry = of(use, one.pid)
    report.check("a process is listed by its PID", entry is not None, told(entry))
    own = (entry.used_mib or 0) - MIB if entry else -1
    report.check("with what it allocated and its context", 0 <= own <= 1024, f"{own} MiB more")
    report.tell("the context alone", told(context))
    forgiven = Agent().tolerance_mib
    report.check("which the agent forgives a pod", own <= forgiven, f"{forgiven} MiB")
    foreign = foreign_mib(use, ours=others)
    report.check("as a stranger's all of it is foreign", foreign >= MIB + own, f"{foreign} MiB")


def _stranger(bench: Bench, report: Report, ours: set[int]) -> None:
    """A second process is a stranger's, and ends by itself."""
    two = bench.program()
    two.ask(f"take {MIB // 2}")
    foreign = foreign_mib(bench.use(), ours=ours)
    right = MIB // 2 <= foreign <= MIB // 2 + 1024
    report.check("a stranger's counts beside ours", right, f"{foreign} MiB")
    two.close()
    after = bench.within(10, lambda use: of(use, two.pid) is None)
    report.check("a process that ends leaves the list", after is not None, seconds(after))


def _gone(bench: Bench, report: Report, program: Started) -> None:
    """A process is killed: how long its memory stays."""
    held = bench.use().used_mib
    program.kill()
    after = bench.within(10, lambda use: use.used_mib <= held - MIB)
    report.check("a killed one gives its memory back", after is not None, seconds(after))


def _cgroup(bench: Bench, report: Report, pid: int) -> None:
    """Of no pod, unless this runs in one."""
    text = bench.cgroup(pid)
    report.check("its cgroup can be read", bool(text), f"{len(text.splitlines())} lines")
    report.tell("its pod", pod_uid(text) or "none")
