"""Reads the file of a journal, as it may be: after a crash a line breaks off in the middle."""

from collections.abc import Iterator
from pathlib import Path

from scheduler.core.journal.reading import Entry, Line, Reader, parse
from scheduler.core.model.errors import InvalidFile, InvalidInput

NO_JOURNAL = "holds no round; name a file that `equipoise serve` or `equipoise demo` wrote"

Numbered = tuple[int, Entry]
"""The number of a line, from 1, and its round."""


def read_journal(path: Path) -> Iterator[Numbered]:
    """Return the rounds one by one; raise InvalidFile with the line that can't be read.

    A line that breaks off is left out where nothing needs it: at the end, and before a line that
    says all, as a new process writes first.
    """
    reader, rounds, broken = Reader(), 0, 0
    for number, line in _lines(path):
        if line is None:
            if broken:
                raise _unreadable(path, broken)
            broken = number
            continue
        if broken and line.get("whole") is not True:
            raise _unreadable(path, broken)
        broken, rounds = 0, rounds + 1
        try:
            yield number, reader.read(line)
        except InvalidInput as problem:
            raise InvalidFile(str(path), str(problem), number) from None
    if not rounds:
        raise InvalidFile(str(path), NO_JOURNAL)


def _lines(path: Path) -> Iterator[tuple[int, Line | None]]:
    """Numbered lines as JSON; None for one that is none."""
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, start=1):
                try:
                    yield number, parse(text.decode())
                except ValueError:
                    yield number, None
    except OSError as problem:
        raise InvalidFile(str(path), f"can't be read ({problem.strerror}); name a file") from None


def _unreadable(path: Path, number: int) -> InvalidFile:
    return InvalidFile(str(path), "is no line of a journal, and those after it need it", number)
