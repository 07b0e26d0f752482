"""Timestamps as the API server writes them."""

import math


def seconds_of(timestamp: object) -> float:
    """RFC 3339 in UTC, as the API server writes it, in seconds since the epoch; 0.0 for others.

    Days since the epoch: Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
    """
    text = str(timestamp or "")
    if not text.endswith("Z") or "T" not in text:
        return 0.0
    date, _, clock = text[:-1].partition("T")
    try:
        year, month, day = (int(part) for part in date.split("-"))
        hours, minutes, seconds = (float(part) for part in clock.split(":"))
    except ValueError:
        return 0.0
    year -= month <= 2
    era_year = year % 400
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    day_of_era = era_year * 365 + era_year // 4 - era_year // 100 + day_of_year
    days = year // 400 * 146097 + day_of_era - 719468
    found = days * 86400 + hours * 3600 + minutes * 60 + seconds
    return found if math.isfinite(found) else 0.0
