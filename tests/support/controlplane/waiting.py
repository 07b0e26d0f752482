"""Waiting for something to become true, with a limit and a reason."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

SLACK = 3.0
"""Limits say what an idle machine needs at most; a busy one gets so many times as long."""


def eventually(
    look: Callable[[], Found | None], seconds: float = 20.0, *, what: str = "", every: float = 0.05
) -> Found:
    """Return what `look` finds as soon as it is neither None nor False; else TimeoutError.

    Nothing but these two is "not yet": an empty list is an answer.

    An AssertionError in `look` counts as "not yet", so that plain asserts can be waited for.
    """
    limit = seconds * SLACK
    end = time.monotonic() + limit
    while True:
        try:
            found, last = look(), None
        except AssertionError as error:
            found, last = None, error
        if found is not None and found is not False:
            return found
        if time.monotonic() >= end:
            raise TimeoutError(f"not within {limit:g} s: {what or last or look}") from last
        time.sleep(every)


def stays(
    look: Callable[[], object], seconds: float, *, what: str = "", every: float = 0.2
) -> None:
    """Look for so long again and again; AssertionError as soon as it isn't so any more."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert look(), f"it isn't so any more: {what or look}"
        time.sleep(every)
