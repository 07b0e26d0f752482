"""Budgets: GPU-hours that a tenant may use in a period of the calendar, in UTC."""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

DAY = 86_400
HOUR = 3_600


class Period(StrEnum):
    """After which a budget starts anew: at midnight, on Mondays, or on the first of the month."""

    DAY = "Day"
    WEEK = "Week"
    MONTH = "Month"


@dataclass(frozen=True, slots=True)
class Budget:
    """So many GPU-hours in each period, for a tenant and all below it."""

    gpu_hours: Fraction
    period: Period = Period.MONTH

    @property
    def gpu_seconds(self) -> float:
        """The same in GPU-seconds."""
        return float(self.gpu_hours * HOUR)


def start_of(period: Period, at: float) -> float:
    """Return when the period began in which `at` is, both in seconds since the epoch."""
    return float(_first_day(period, int(at // DAY)) * DAY)


def end_of(period: Period, at: float) -> float:
    """Return when the next one begins, in seconds since the epoch."""
    # No period is longer than 31 days, and none so short that this would pass over one whole.
    length = {Period.DAY: 1, Period.WEEK: 7, Period.MONTH: 31}[period]
    first = _first_day(period, int(at // DAY))
    return float(_first_day(period, first + length) * DAY)


def _first_day(period: Period, day: int) -> int:
    """The first day of a period, counted from 1970-01-01, which was a Thursday."""
    match period:
        case Period.DAY:
            return day
        case Period.WEEK:
            return day - (day + 3) % 7
        case Period.MONTH:
            return day - _day_of_month(day) + 1


def _day_of_month(day: int) -> int:
    """Return 1 to 31. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days."""
    # Years begin in March there, so that the day that some of them lack is the last one.
    of_era = (day + 719_468) % 146_097
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    return of_year - (153 * month + 2) // 5 + 1
