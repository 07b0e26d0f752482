"""The journal in a file: rounds line by line, in at most two files of a size."""

import logging
import time
from collections.abc import Callable
from io import BufferedWriter
from pathlib import Path

from scheduler.core.journal.inputs import Inputs
from scheduler.core.journal.writing import Recorder
from scheduler.core.model.plans import Plan

RETRY_SECONDS = 60.0
"""After a failed write, so long nothing is tried: what comes then is told from scratch."""

MIB = 2**20

log = logging.getLogger(__name__)


class JournalFile:
    """Writes each round at once; past so many `megabytes` (MiB) the file becomes `PATH.1`.

    The one that was there before is gone then. Where nothing can be written, rounds are left out,
    and that is logged once. `now` returns seconds, from whenever.
    """

    def __init__(
        self, path: Path, megabytes: int, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._path, self._most, self._now = path, megabytes * MIB, now
        self._recorder, self._lost = Recorder(), 0
        self._file: BufferedWriter | None = None
        self._rests_until: float | None = None

    def note(self, inputs: Inputs, plan: Plan) -> None:
        """Write down a round; never raises."""
        if self._rests_until is not None and self._now() < self._rests_until:
            self._lost += 1
            return
        try:
            self._write(inputs, plan)
        except Exception as problem:
            # Whatever it is, rounds matter more than what is written about them.
            self._fail(problem)
        else:
            if self._rests_until is not None:
                log.warning("the journal %s is written again", self._path)
            self._rests_until, self._lost = None, 0

    def leave_out(self, rounds: int) -> None:
        """So many rounds before the next one won't be written."""
        self._lost += rounds

    def close(self) -> None:
        """Close the file; nothing is noted after that."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, inputs: Inputs, plan: Plan) -> None:
        if self._file is not None and self._file.tell() >= self._most:
            self.close()
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        if self._file is None:
            self._open()
            self._recorder.start_over()
        assert self._file is not None
        for piece in self._recorder.pieces(inputs, plan, lost=self._lost):
            self._file.write(piece.encode())
        self._file.write(b"\n")
        self._file.flush()

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        broken_off = not _ends_well(self._path)
        self._file = self._path.open("ab")
        if broken_off:
            # A crash, or a disk that was full, left half a line.
            self._file.write(b"\n")

    def _fail(self, problem: Exception) -> None:
        if self._rests_until is None:
            log.warning(
                "the journal %s can't be written (%s); rounds go on without it, and it is tried "
                "again every %g s",
                self._path,
                problem,
                RETRY_SECONDS,
            )
        self._lost += 1
        self._rests_until = self._now() + RETRY_SECONDS
        try:
            self.close()
        except OSError:
            # What was buffered still can't be written.
            self._file = None


def _ends_well(path: Path) -> bool:
    """Whether a new line may follow what is there."""
    if not path.exists() or not path.stat().st_size:
        return True
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
