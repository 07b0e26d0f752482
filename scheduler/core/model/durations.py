"""Durations as people write them: "90s", "45m", "2h", "1h30m", "2d"."""

import re

from scheduler.core.model.amounts import quoted
from scheduler.core.model.errors import InvalidInput

UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
DIGITS = {"d": 4, "h": 5, "m": 6, "s": 8}
"""So many at most: some 27 years in one unit. Whoever means for ever leaves it out."""

_FORM = re.compile(
    "".join(rf"(?:(\d{{1,{digits}}}){unit})?" for unit, digits in DIGITS.items()), re.ASCII
)


def parse_duration(text: str) -> float:
    """Return the seconds of a duration; raise InvalidInput for what is none, or 0."""
    found = _FORM.fullmatch(text.strip())
    seconds = 0
    if found is not None:
        seconds = sum(
            int(number or 0) * each
            for number, each in zip(found.groups(), UNITS.values(), strict=True)
        )
    if not seconds:
        raise InvalidInput(f'{quoted(text)} is no duration; write such as "45m", "2h" or "1h30m"')
    return float(seconds)


def format_duration(seconds: float) -> str:
    """Write seconds for people, at most two units: 5400 → "1h30m"."""
    left, parts = max(1, round(seconds)), list[str]()
    for unit, each in UNITS.items():
        number, left = divmod(left, each)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts[:2])
