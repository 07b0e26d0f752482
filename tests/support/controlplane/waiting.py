"""Waiting for something to become true, with a limit and a reason."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def eventually(
    look: Callable[[], Found | None], seconds: float = 20.0, *, what: str = "", every: float = 0.05
) -> Found:
    """Return what `look` finds as soon as it is neither None nor False; TimeoutError after a while.

    An AssertionError in `look` counts as "not yet", so that plain asserts can be waited for.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            found, last = look(), None
        except AssertionError as error:
            found, last = None, error
        if found is not None and found is not False:
            return found
        if time.monotonic() >= end:
            raise TimeoutError(f"not within {seconds} s: {what or last or look}") from last
        time.sleep(every)
