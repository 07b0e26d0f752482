"""A journal beside the event loop: a round waits for no disk."""

import logging
import queue
import threading

from scheduler.core.journal.inputs import Inputs
from scheduler.core.model.plans import Plan
from scheduler.telemetry.journalfile import JournalFile

WAITING = 4
"""So many rounds wait to be written at most; each keeps a copy of who holds what."""

CLOSE_SECONDS = 2.0

log = logging.getLogger(__name__)


class JournalThread:
    """Has a thread write to the file. Where that is slower than the rounds, some are left out."""

    def __init__(self, file: JournalFile) -> None:
        self._file = file
        self._queue: queue.Queue[tuple[Inputs, Plan, int] | None] = queue.Queue(WAITING)
        self._left_out, self._told = 0, False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def note(self, inputs: Inputs, plan: Plan) -> None:
        """Have a round written down; returns at once."""
        try:
            self._queue.put_nowait((inputs, plan, self._left_out))
            self._left_out = 0
        except queue.Full:
            self._left_out += 1
            if not self._told:
                self._told = True
                log.warning("the journal is written more slowly than rounds come: some are missing")

    def close(self) -> None:
        """Write what waits, in a few seconds at most, and end."""
        try:
            self._queue.put(None, timeout=CLOSE_SECONDS)
        except queue.Full:
            return
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while (task := self._queue.get()) is not None:
            inputs, plan, left_out = task
            self._file.leave_out(left_out)
            self._file.note(inputs, plan)
            # It would be kept until the next round comes.
            del task, inputs, plan
        self._file.close()
