"""Where journals are written: beside a live controller, and by the demo."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from scheduler.controller.controller import Controller
from scheduler.core.model.errors import InvalidFile
from scheduler.settings import Journal
from scheduler.telemetry.journalfile import JournalFile
from scheduler.telemetry.journalthread import JournalThread

LARGEST = 1_000_000
"""MiB: the demo's journal is one file."""


@contextlib.asynccontextmanager
async def journaling(settings: Journal, controller: Controller) -> AsyncIterator[None]:
    """Have rounds taken down beside the event loop while the block lasts, if a path is set."""
    if not settings.path:
        yield
        return
    journal = JournalThread(JournalFile(Path(settings.path), settings.megabytes))
    controller.take_down(journal)
    try:
        yield
    finally:
        await asyncio.to_thread(journal.close)


@contextlib.contextmanager
def writing(path: Path | None) -> Iterator[JournalFile | None]:
    """Open a new journal that is written at once, as virtual time waits for no thread.

    Raises InvalidFile where there can be none.
    """
    if path is None:
        yield None
        return
    try:
        path.write_bytes(b"")
    except OSError as problem:
        raise InvalidFile(str(path), f"can't be written ({problem.strerror})") from None
    journal = JournalFile(path, LARGEST)
    try:
        yield journal
    finally:
        journal.close()
