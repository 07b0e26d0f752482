"""Reading JSON files that people wrote: exact numbers, and one sentence about what is wrong."""

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

from scheduler.core.model import amounts
from scheduler.core.model.errors import InvalidFile, InvalidInput

LONGEST_NUMBER = 40
"""Characters of one number in the file."""

Entry = Mapping[str, Any]


def read_document(path: Path) -> object:
    """Return the file's JSON with every number as an exact Fraction; raise InvalidFile."""
    try:
        # Some editors put a mark before the text.
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidFile(str(path), "is no UTF-8 text; write it as JSON in UTF-8") from None
    except (OSError, ValueError) as problem:
        why = getattr(problem, "strerror", None) or str(problem)
        raise InvalidFile(str(path), f"can't be read: {why}") from None
    try:
        return json.loads(
            text,
            # A float would already have lost what was written.
            parse_float=_number,
            parse_int=_number,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as problem:
        raise InvalidFile(str(path), f"is no JSON: {problem.msg}", problem.lineno) from None
    except RecursionError:
        raise InvalidFile(str(path), "is nested too deep") from None
    except InvalidInput as problem:
        raise InvalidFile(str(path), f"{problem}; write plain finite numbers only") from None


def as_object(value: object, what: str) -> Entry:
    """Return a JSON object; raise InvalidInput naming `what`."""
    if not isinstance(value, dict):
        raise InvalidInput(f"{what} must be a JSON object")
    return value


def value(entry: Entry, key: str, where: str) -> Any:
    """Return what stands under a key that must be there."""
    if key not in entry:
        raise InvalidInput(f'{where}: "{key}" is missing; add it')
    return entry[key]


def objects(entry: Entry, key: str, where: str) -> list[Entry]:
    """Return a list of JSON objects that must be there."""
    return [
        as_object(each, f"{where}, {key} {number}")
        for number, each in enumerate(listing(entry, key, where), start=1)
    ]


def listing(entry: Entry, key: str, where: str) -> list[Any]:
    """Return a list that must be there."""
    found = value(entry, key, where)
    if not isinstance(found, list):
        raise InvalidInput(f'{where}: "{key}" must be a list')
    return found


def text(entry: Entry, key: str, where: str) -> str:
    """Return a text that must be there and not be empty."""
    found = value(entry, key, where)
    if not isinstance(found, str) or not found:
        raise InvalidInput(f'{where}: "{key}" must be a text that is not empty')
    if not found.isprintable():
        raise InvalidInput(f'{where}: "{key}" has characters that can\'t be shown; leave them out')
    return found


def amount(entry: Entry, key: str, where: str) -> Fraction:
    """Return a number, at least 0, that must be there."""
    found = value(entry, key, where)
    if not isinstance(found, Fraction):
        raise InvalidInput(f'{where}: "{key}" must be a number')
    if found < 0:
        raise InvalidInput(f'{where}: "{key}" must not be below 0')
    return found


def whole(entry: Entry, key: str, where: str) -> int:
    """Return a whole number that must be there; it may be below 0."""
    found = value(entry, key, where)
    if not isinstance(found, Fraction) or found.denominator != 1:
        raise InvalidInput(f'{where}: "{key}" must be a whole number')
    return found.numerator


def parent(entry: Entry, where: str) -> str | None:
    """Return a tenant's parent, None for one at the top."""
    found = value(entry, "parent", where)
    if found is not None and not isinstance(found, str):
        raise InvalidInput(f'{where}: "parent" must be a tenant\'s name or null')
    return found


def _number(text: str) -> Fraction:
    if len(text) > LONGEST_NUMBER:
        raise InvalidInput(f"{text[:12]}… has more than {LONGEST_NUMBER} digits")
    return amounts.parse_decimal(text)


def _refuse_constant(text: str) -> NoReturn:
    raise InvalidInput(f"{text} is not a number")
