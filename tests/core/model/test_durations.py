"""Durations as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.model.durations import format_duration, parse_duration
from scheduler.core.model.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45s", 45),
        ("90m", 5400),
        ("2h", 7200),
        ("1h30m", 5400),
        ("2d", 172_800),
        ("1d1s ", 86_401),
    ],
)
def test_units_and_sums_of_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0s", "0h0m", "2", "1.5h", "-1h", "30m1h", "2 h", "1h1h", "٣h", "99999d"]
)
def test_what_is_none_is_refused_with_a_way_out(text: str) -> None:
    with pytest.raises(InvalidInput, match='is no duration; write such as "45m", "2h" or "1h30m"'):
        parse_duration(text)


@given(st.integers(1, 9_999 * 86_400))
def test_what_is_written_is_read_to_within_its_second_unit(seconds: int) -> None:
    read = parse_duration(format_duration(seconds))
    assert seconds * 23 / 24 < read <= seconds
