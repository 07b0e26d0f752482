"""YAML that remembers its lines, so that every complaint says where.

A value is read when it is asked for, never all of it ahead: what a file may hold is bounded by its
reader, however often it repeats or nests itself by aliases.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import yaml

from scheduler.core.model import amounts
from scheduler.core.model.errors import InvalidFile, InvalidInput

_PLAIN = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool"))
_NULL = "tag:yaml.org,2002:null"
_BOOL = "tag:yaml.org,2002:bool"
_TOO_MUCH = 2**31
"""Amounts stay below this, so that they fit the ledger's columns."""


def read_file(path: str | Path) -> "Entry":
    """Return the one document of a YAML file; raise InvalidFile if it can't be read."""
    try:
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        raise InvalidFile(str(path), "there is no such file; check the path") from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise InvalidFile(str(path), f"can't be opened: {reason}") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        raise InvalidFile(str(path), "is not UTF-8 text; save it as UTF-8", line) from None
    return read_text(text, path=str(path))


def read_text(text: str, *, path: str) -> "Entry":
    """Return the one document of a YAML text; raise InvalidFile, naming `path`, if it is none."""
    node = _compose(text, path)
    if node is None:
        raise InvalidFile(path, "is empty; docs/reference/mock-devices.md shows what to write", 1)
    return Entry(path, "the file", node)


def _compose(text: str, path: str) -> yaml.Node | None:
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as problem:
        line = text.count("\n", 0, problem.position) + 1
        raise InvalidFile(path, "holds a character that YAML forbids; remove it", line) from None
    try:
        node: yaml.Node | None = loader.get_single_node()
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line = mark.line + 1 if mark else loader.line + 1
        raise InvalidFile(
            path, f"is no readable YAML: {problem.problem}; correct this line", line
        ) from None
    # PyYAML lets these through: "\UFFFFFFFF" in quotes, absurd numbers, brackets nested too deep.
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        raise InvalidFile(path, "is no readable YAML; simplify it", loader.line + 1) from None
    finally:
        loader.dispose()
    return node


def quoted(text: str) -> str:
    """Return somebody's text in quotes, on one line and not too long."""
    flat = re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text)
    return f'"{flat[:37]}..."' if len(flat) > 40 else f'"{flat}"'


@dataclass(frozen=True, slots=True)
class Entry:
    """A value in a file: where it stands and what it is called in a complaint.

    Each reading method raises InvalidFile with file and line if the value is of another kind.
    """

    path: str
    name: str
    node: yaml.Node

    @property
    def line(self) -> int:
        """Where it begins, counted from 1."""
        return int(self.node.start_mark.line) + 1

    def wrong(self, problem: str) -> InvalidFile:
        """Return the complaint about this value, to be raised."""
        return InvalidFile(self.path, problem, self.line)

    def table(self, known: Collection[str] | None = None) -> dict[str, "Entry"]:
        """Return a mapping in the file's order; `known`, if given, are its only possible keys."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.wrong(f"{self.name} must be a mapping (key: value)")
        found: dict[str, Entry] = {}
        for key, value in self.node.value:
            label = Entry(self.path, f"a key of {self.name}", key)
            name = label.text()
            if known is not None and name not in known:
                choice = ", ".join(known)
                raise label.wrong(f"unknown key {quoted(name)} in {self.name}; known are {choice}")
            if name in found:
                raise label.wrong(f"{quoted(name)} is given twice; keep one")
            found[name] = Entry(self.path, name if name.isidentifier() else quoted(name), value)
        return found

    def fields(self, known: Collection[str], *, needed: Collection[str] = ()) -> dict[str, "Entry"]:
        """Return a mapping with no other keys than `known`, and all of `needed`."""
        found = self.table(known)
        for name in needed:
            if name not in found:
                raise self.wrong(f"{self.name} lacks {name}; add it")
        return found

    def items(self, *, at_most: int) -> tuple["Entry", ...]:
        """Return a list's values."""
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.wrong(f"{self.name} must be a list (lines that begin with a dash)")
        if len(self.node.value) > at_most:
            raise self.wrong(f"{self.name} has more than {at_most} entries; shorten it")
        return tuple(Entry(self.path, f"an entry of {self.name}", node) for node in self.node.value)

    def is_table(self) -> bool:
        """Return whether it is a mapping."""
        return isinstance(self.node, yaml.MappingNode)

    def text(self) -> str:
        """Return a text; numbers and words like "yes" are taken as they are written."""
        return self._plain("a text")

    def truth(self) -> bool:
        """Return true or false."""
        text = self._plain("true or false")
        if self.node.tag != _BOOL:
            raise self.wrong(f"{self.name} is {quoted(text)}; write true or false")
        return text.lower() in ("true", "yes", "on")

    def number(self, *, least: Fraction | int = 0, most: Fraction | int = 10**9) -> Fraction:
        """Return a number between `least` and `most`, exactly."""
        value = self._amount(amounts.parse_decimal, "a number such as 0.5")
        if not least <= value <= most:
            raise self.wrong(
                f"{self.name} is {quoted(self.text())}; it must be between {least} and {most}"
            )
        return value

    def whole(self, *, least: int, most: int) -> int:
        """Return a whole number between `least` and `most`."""
        value = self.number(least=least, most=most)
        if value.denominator != 1:
            raise self.wrong(f"{self.name} is {quoted(self.text())}; it must be a whole number")
        return value.numerator

    def mib(self, *, least: int = 1) -> int:
        """Return a Kubernetes quantity of bytes ("24Gi") in MiB, rounded down, ≥ `least`."""
        size = self._amount(amounts.parse_quantity, "a size such as 24Gi") / 2**20
        if size < 0 or size >= _TOO_MUCH:
            raise self.wrong(f"{self.name} is {quoted(self.text())}; write a size such as 24Gi")
        if int(size) < least or 0 < size < 1:
            raise self.wrong(
                f"{self.name} is {quoted(self.text())}, less than {max(least, 1)} MiB; "
                "write a size with its unit, such as 24Gi"
            )
        return int(size)

    def milli(self) -> int:
        """Return a Kubernetes quantity ("96", "500m") in thousandths, rounded down, ≥ 1."""
        value = self._amount(amounts.parse_quantity, "a number of cores such as 64") * 1000
        if not 1 <= value < _TOO_MUCH:
            raise self.wrong(
                f"{self.name} is {quoted(self.text())}; write a number of cores above 0, such as 64"
            )
        return int(value)

    def _plain(self, kind: str) -> str:
        if self.node.tag == _NULL:
            raise self.wrong(f"{self.name} is empty; write {kind} or remove it")
        if not isinstance(self.node, yaml.ScalarNode) or self.node.tag not in _PLAIN:
            raise self.wrong(f"{self.name} must be {kind}")
        return str(self.node.value)

    def _amount(self, parse: Callable[[str], Fraction], kind: str) -> Fraction:
        text = self._plain(kind)
        try:
            return parse(text)
        except InvalidInput:
            raise self.wrong(f"{self.name} is {quoted(text)}; write {kind}") from None
