"""Amounts are integers: milli-GPU, MiB, milli-CPU. Text comes in and goes out only here."""

from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache

from scheduler.core.model.errors import InvalidInput

MILLI = 1000
"""Milli-GPU in one whole card; also milli-CPU in one core."""

LONGEST_QUOTE = 60
"""Characters of somebody's text that a message repeats."""

_USUAL_LENGTH = 16

_SUFFIXES = {
    "": Fraction(1),
    "n": Fraction(1, 1000**3),
    "u": Fraction(1, 1000**2),
    "m": Fraction(1, 1000),
    **{letter: Fraction(1000) ** power for power, letter in enumerate("kMGTPE", start=1)},
    **{letter + "i": Fraction(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}


def quoted(text: str) -> str:
    """Return the text in quotes, on one line and cut where it is long: an event has to hold it."""
    line = " ".join(text.split())
    return f'"{line}"' if len(line) <= LONGEST_QUOTE else f'"{line[:LONGEST_QUOTE]}…"'


def parse_decimal(text: str) -> Fraction:
    """Return a plain finite decimal number exactly; raise InvalidInput for anything else."""
    body = text.strip()
    try:
        # Decimal also reads "1_000" and digits of other scripts, which Kubernetes doesn't.
        number = Decimal(body if body.isascii() and "_" not in body else "")
    except InvalidOperation:
        raise InvalidInput(f"{quoted(text)} is not a number") from None
    # An exponent of a million would be expanded digit by digit.
    if not number.is_finite() or abs(number.adjusted()) > 30:
        raise InvalidInput(f"{quoted(text)} is not a number")
    return Fraction(number)


def parse_quantity(text: str) -> Fraction:
    """Return a Kubernetes quantity ("8Gi", "500m", "1e3") exactly; InvalidInput if it is none.

    Grammar: k8s.io/apimachinery/pkg/api/resource/quantity.go.
    """
    # Most pods ask for the same few; what somebody made long isn't worth keeping.
    return _usual_quantity(text) if len(text) <= _USUAL_LENGTH else _read_quantity(text)


def _read_quantity(text: str) -> Fraction:
    body = text.strip()
    number = body.rstrip("nukKMGTPEmi")
    try:
        return parse_decimal(number) * _SUFFIXES[body[len(number) :]]
    except (InvalidInput, KeyError):
        raise InvalidInput(
            f'{quoted(text)} is not a quantity; write a number with a unit such as "8Gi"'
        ) from None


_usual_quantity = lru_cache(maxsize=4096)(_read_quantity)


def ceil(value: Fraction) -> int:
    """Round up to a whole number."""
    return -(-value.numerator // value.denominator)


def mib(quantity_in_bytes: Fraction) -> int:
    """Bytes as MiB, rounded up: a promise is never smaller than what was asked for."""
    return ceil(quantity_in_bytes / 2**20)


def format_gpus(milli: int | Fraction) -> str:
    """Milli-GPU as GPUs for people, at most three decimals: 1500 → "1.5"."""
    text = f"{float(milli) / MILLI:.3f}".rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text
