"""The pods of a trace as they come in one pass through it, at the pace that a load asks for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scheduler.core.model.amounts import MILLI
from scheduler.core.model.requests import Request


@dataclass(frozen=True, slots=True)
class Piece:
    """One pod: when it comes after the beginning, and what it takes, once it has it; seconds."""

    at: float
    request: Request
    seconds: float

    @property
    def work(self) -> float:
        """GPU-seconds; 0 for a request by memory, which counts by the card it lands on."""
        return self.request.total_milli / MILLI * self.seconds


def paced(pieces: Sequence[Piece], *, gpus: float, load: float) -> tuple[tuple[Piece, ...], float]:
    """Return a pass, in the order of arrival, at that load, and the seconds that it takes.

    All times of arrival are multiplied by one number: a pass takes the time in which the GPUs, all
    in use, could do 1 ÷ `load` of its work. The next one begins as long after the last piece as
    pieces come after each other on average.
    """
    seconds = math.fsum(piece.work for piece in pieces) / load / gpus
    span = pieces[-1].at - pieces[0].at
    pace = seconds * (1 - 1 / len(pieces)) / span if span > 0 else 0.0
    return tuple(replace(piece, at=piece.at * pace) for piece in pieces), seconds
