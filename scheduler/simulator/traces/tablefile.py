"""Tables in CSV, plain or gzipped, read so that whatever is wrong is told with file and line."""

import csv
import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from scheduler.core.model import amounts
from scheduler.core.model.errors import InvalidFile, InvalidInput

LARGEST = 10**12
"""No amount in a trace is above this; larger numbers would not fit the columns."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table, by column."""

    path: Path
    line: int
    fields: Mapping[str, str]

    def text(self, column: str) -> str:
        """Return what stands there; "" where the table has no such column."""
        return self.fields.get(column, "").strip()

    def name(self, column: str) -> str:
        """Return what stands there; raise InvalidFile where nothing does."""
        if not (text := self.text(column)):
            raise self.wrong(f"{column} is empty; give it a name")
        return text

    def whole(self, column: str, *, largest: int = LARGEST) -> int:
        """Return a whole number from 0 to `largest`; raise InvalidFile for anything else."""
        text = self.text(column)
        plain = text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST))
        value = int(text) if plain else self.decimal(column)
        if value < 0:
            raise self.wrong(f'{column}: "{text}" is negative; it must be 0 or more')
        if value > largest:
            raise self.wrong(f'{column}: "{text}" is too large; it must be {largest} at most')
        if value != int(value):
            raise self.wrong(f'{column}: "{text}" is not a whole number')
        return int(value)

    def decimal(self, column: str) -> float:
        """Return a finite decimal number; raise InvalidFile for anything else."""
        try:
            return float(amounts.parse_decimal(self.text(column)))
        except InvalidInput as problem:
            raise self.wrong(f"{column}: {problem}") from None

    def wrong(self, problem: str) -> InvalidFile:
        """Say what is wrong with this line."""
        return InvalidFile(str(self.path), problem, self.line)


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Yield each line of a table that has these columns, and perhaps more; raise InvalidFile."""
    try:
        with _open(path) as file:
            reader = csv.reader(file, strict=True)
            header = [column.strip() for column in next(reader, [])]
            _check_header(path, header, columns)
            for values in reader:
                if values:
                    yield _row(path, reader.line_num, header=header, values=values)
    except UnicodeDecodeError:
        raise InvalidFile(str(path), "this is not text in UTF-8") from None
    except csv.Error as problem:
        raise InvalidFile(str(path), f"this is not CSV: {problem}", reader.line_num) from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise InvalidFile(str(path), "it can't be unpacked; fetch or gzip it again") from None


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _check_header(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    if not header:
        raise InvalidFile(str(path), f"it is empty; it needs the columns {', '.join(columns)}")
    missing = [column for column in columns if column not in header]
    if missing:
        raise InvalidFile(
            str(path), f'it has no column "{missing[0]}"; it needs {", ".join(columns)}', 1
        )
    twice = [column for column in columns if header.count(column) > 1]
    if twice:
        raise InvalidFile(str(path), f'it has the column "{twice[0]}" twice; keep one of them', 1)


def _row(path: Path, line: int, *, header: Sequence[str], values: Sequence[str]) -> Row:
    if len(values) != len(header):
        raise InvalidFile(
            str(path),
            f"the header names {len(header)} columns, this line has {len(values)} values",
            line,
        )
    return Row(path, line, dict(zip(header, values, strict=True)))
