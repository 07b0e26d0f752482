"""MPS: how NVML lists its clients, and whether a pod's limits are kept, and by whom."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from hack.verify_card.bench import Bench, Started, of, told
from hack.verify_card.daemon import Daemon
from hack.verify_card.held import crowd
from hack.verify_card.limited import LIMIT_MIB, MEMORY, MILLI, THREADS, outcome, takes, variables
from hack.verify_card.report import Report
from hack.verify_card.turns import rates
from scheduler.device.driver import ProcessKind, foreign_mib

FAR = 2 * LIMIT_MIB
BOTH = (MEMORY, THREADS)


@contextmanager
def running(bench: Bench) -> Iterator[Daemon]:
    """A daemon, whose clients end before it does."""
    with bench.daemon(bench.record.uuid) as daemon:
        try:
            yield daemon
        finally:
            bench.end()


def no_daemon(bench: Bench, report: Report) -> None:
    """Where no daemon runs nobody reads the limits: they are written on every node."""
    report.section("MPS limits without a daemon")
    free = bench.program().ask("state")["sms"]
    limited = bench.program(variables(bench.record))
    report.check("they take no multiprocessor away", limited.ask("state")["sms"] == free, free)
    report.check("and no memory", takes(limited, FAR), f"{FAR} MiB of {LIMIT_MIB}")


def clients(bench: Bench, report: Report) -> None:
    """Clients without limits: who they are to NVML, and what MPS itself takes."""
    report.section("MPS clients")
    with running(bench) as daemon:
        one = bench.program(daemon.env)
        context = of(bench.use(), one.pid)
        one.ask(f"take {LIMIT_MIB}")
        use = bench.use()
        entry = of(use, one.pid)
        listed = entry is not None and entry.kind is ProcessKind.MPS
        report.check("a client is listed by its own PID", listed, told(entry))
        held = (entry.used_mib or 0) if entry else 0
        report.check("with what it allocated", LIMIT_MIB <= held <= LIMIT_MIB + 1024, f"{held} MiB")
        report.tell("its context alone", told(context))
        report.tell("its server", "; ".join(told(of(use, pid)) for pid in daemon.servers()))
        foreign = foreign_mib(use, ours={one.pid})
        report.check("the server is no stranger", not foreign, f"{foreign} MiB foreign")
        bench.end()
        crowd(bench, report, "client", daemon.env)
        report.tell(
            "its server then", "; ".join(told(of(bench.use(), p)) for p in daemon.servers())
        )


def limits(bench: Bench, report: Report) -> None:
    """Limits in the environment, as our own code writes them for a pod."""
    report.section("MPS limits")
    with running(bench) as daemon:
        free = bench.program(daemon.env)
        given = variables(bench.record)
        report.tell("the pod's environment", given)
        limited = bench.program({**daemon.env, **given})
        _memory(report, limited)
        _compute(report, free, limited, other=bench.program({**daemon.env, **given}))
        _small(bench, report, daemon)
        _forms(bench, report, daemon)
        _escapes(bench, report, daemon)


def _memory(report: Report, limited: Started) -> None:
    state, mib = limited.ask("state"), limited.ask(f"fill {FAR}")["mib"]
    seen = f"{mib} MiB, the rest is its context"
    report.check("below its limit it can allocate", LIMIT_MIB // 2 <= mib <= LIMIT_MIB, seen)
    above = takes(limited, LIMIT_MIB + 1)
    report.check("above its limit it can't", not above, "taken" if above else "out of memory")
    report.tell("cuMemGetInfo", f"{state['free_mib']} MiB free of {state['total_mib']}")


def _compute(report: Report, free: Started, limited: Started, *, other: Started) -> None:
    most, sms = free.ask("state")["sms"], limited.ask("state")["sms"]
    kept = sms <= most * MILLI / 1000 + 1
    report.check(f"{MILLI} milli are multiprocessors", kept, f"{sms} of {most}")
    alone = rates(free)[0]
    share = round(rates(limited)[0] / alone, 2)
    report.check("it works at its share", share <= MILLI / 1000 + 0.05, share)
    both = [round(rate / alone, 2) for rate in rates(limited, other)]
    report.tell("two such clients at once", both)
    report.tell("with an unlimited one", [round(rate / alone, 2) for rate in rates(limited, free)])


def _small(bench: Bench, report: Report, daemon: Daemon) -> None:
    """What a small share is to MPS, which deals in pairs of multiprocessors."""
    seen = {}
    for milli in (10, 20, 50, 100, 330, 500, 1000):
        program = bench.program({**daemon.env, **variables(bench.record, milli=milli)})
        seen[milli] = program.ask("state")["sms"]
        program.close()
    report.tell("multiprocessors by milli", seen)


def _forms(bench: Bench, report: Report, daemon: Daemon) -> None:
    """What MPS makes of texts that we don't write, and of a list with a card that isn't seen."""
    one, uuid = f"{LIMIT_MIB}M", bench.record.uuid
    for name, text in (
        *((MEMORY, text) for text in ("", f"{uuid}={one}", f"0={one},1={one}", f"1={one}")),
        *((THREADS, text) for text in ("", "0")),
    ):
        shown = text.replace(uuid, "GPU-...")
        report.tell(f'{name}="{shown}"', outcome(bench, {**daemon.env, name: text}, FAR))


def _escapes(bench: Bench, report: Report, daemon: Daemon) -> None:
    """A limit in the environment binds only whom it is left to."""
    given = {**daemon.env, **variables(bench.record)}
    for who, names in (
        ("who drops both variables", BOTH),
        ("who turns away from the daemon", (*BOTH, "CUDA_MPS_PIPE_DIRECTORY")),
    ):
        loose = bench.program(given, forget=names)
        report.tell(f"{who} escapes", "yes" if takes(loose, FAR) else "no")


def floor(bench: Bench, report: Report) -> None:
    """Limits in the daemon itself: for clients that bring none, or want more."""
    report.section("MPS limits of the daemon")
    with running(bench) as daemon:
        daemon.tell(f"set_default_device_pinned_mem_limit 0 {LIMIT_MIB}M")
        daemon.tell(f"set_default_active_thread_percentage {MILLI // 10}")
        wishes: Mapping[str, Mapping[str, str]] = {
            "no limits": {},
            "more": variables(bench.record, milli=900, mib=FAR),
            "less": variables(bench.record, milli=100, mib=LIMIT_MIB // 2),
        }
        for wish, given in wishes.items():
            report.tell(f"who brings {wish}", outcome(bench, {**daemon.env, **given}, FAR))
