"""Amounts: exact in, readable out."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.model.amounts import (
    ceil,
    format_gpus,
    mib,
    parse_decimal,
    parse_quantity,
    quoted,
)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9))
def test_a_decimal_is_read_exactly(number: object) -> None:
    value = Fraction(str(number))
    if value == 0 or Fraction(1, 10**30) < abs(value):
        assert parse_decimal(str(number)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", Fraction(0)),
        ("1n", Fraction(1, 10**9)),
        ("1u", Fraction(1, 10**6)),
        ("1m", Fraction(1, 1000)),
        ("1k", Fraction(1000)),
        ("1M", Fraction(10**6)),
        ("1G", Fraction(10**9)),
        ("1T", Fraction(10**12)),
        ("1P", Fraction(10**15)),
        ("1E", Fraction(10**18)),
        ("1Ki", Fraction(2**10)),
        ("1Mi", Fraction(2**20)),
        ("1Gi", Fraction(2**30)),
        ("1Ti", Fraction(2**40)),
        ("1Pi", Fraction(2**50)),
        ("1Ei", Fraction(2**60)),
        ("1e2", Fraction(100)),
        ("1E2", Fraction(100)),
        ("-1.5Gi", Fraction(-3, 2) * 2**30),
    ],
)
def test_every_suffix_of_kubernetes_is_known(text: str, value: Fraction) -> None:
    assert parse_quantity(text) == value


@given(st.fractions(min_value=-1000, max_value=1000))
def test_rounding_up_never_promises_less(value: Fraction) -> None:
    assert 0 <= ceil(value) - value < 1
    assert mib(value * 2**20) == ceil(value)


@pytest.mark.parametrize(
    ("milli", "text"),
    [(0, "0"), (1, "0.001"), (250, "0.25"), (1000, "1"), (1500, "1.5"), (100_000, "100"),
     (-500, "-0.5"), (Fraction(1, 3), "0"), (Fraction(-1, 3), "0"), (Fraction(1000, 3), "0.333")],
)  # fmt: skip
def test_milli_are_shown_as_gpus(milli: int | Fraction, text: str) -> None:
    assert format_gpus(milli) == text


def test_what_people_wrote_is_repeated_on_one_line_and_not_without_end() -> None:
    assert quoted("a\n b") == '"a b"'
    assert quoted("x" * 61) == f'"{"x" * 60}…"'
