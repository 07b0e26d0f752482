"""A child process with a log file, which never outlives the tests that started it."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used so far: CPU seconds, resident memory in MiB."""

    cpu_seconds: float
    memory_mib: float


class Process:
    """One child, started at once. Its output is appended to `log`.

    The kernel kills it when the thread that started it ends (PR_SET_PDEATHSIG, by setpriv), so
    nothing is left behind by tests that are killed. Start it from a thread that lives as long.
    """

    def __init__(
        self, argv: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None
    ) -> None:
        self.argv, self.log = tuple(argv), log
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else {**os.environ, **env},
                start_new_session=True,  # a Ctrl-C in the terminal is for the tests alone
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    @property
    def exit_status(self) -> int | None:
        """None while it runs; the negative number of the signal that ended it."""
        return self._child.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens to a process that has ended."""
        self._child.send_signal(number)

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()

    def stop(self, grace: float = 5.0) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds; a stopped process (SIGSTOP) is killed."""
        self._child.terminate()
        try:
            self._child.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()

    def usage(self) -> Usage:
        """Return what it has used; OSError once it is gone."""
        proc = Path("/proc") / str(self.pid)
        after_name = (proc / "stat").read_text().rpartition(")")[2].split()
        ticks = int(after_name[11]) + int(after_name[12])
        pages = int((proc / "statm").read_text().split()[1])
        return Usage(ticks / _TICKS, pages * os.sysconf("SC_PAGE_SIZE") / 2**20)

    def tail(self, lines: int = 30) -> str:
        """Return the last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
