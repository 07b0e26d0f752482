"""Waits between tries, so that many who lost one server don't come back at one moment."""

import random


class Backoff:
    """Waits that double from `first` to `most` seconds, each shortened by chance by up to half."""

    def __init__(self, first: float, most: float, rng: random.Random) -> None:
        self._first, self._most, self._rng = first, most, rng
        self._tries = 0

    def next(self) -> float:
        """Seconds to wait before the next try."""
        # The exponent is bounded: a server that is away for a week must not overflow a float.
        longest = min(self._most, self._first * 2.0 ** min(self._tries, 30))
        self._tries += 1
        return longest * self._rng.uniform(0.5, 1.0)

    @property
    def fresh(self) -> bool:
        """Whether none was taken since the beginning or the last reset."""
        return self._tries == 0

    def reset(self) -> None:
        """Begin again with the shortest."""
        self._tries = 0
