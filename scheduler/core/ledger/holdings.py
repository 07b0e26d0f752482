"""One pod's claim on devices: reserved or bound."""

from dataclasses import dataclass

from scheduler.core.model.placements import Placement
from scheduler.core.model.pods import Pod


@dataclass(frozen=True, slots=True)
class Holding:
    """A pod and its place; not `bound` means reserved.

    `expires` (seconds since the epoch) ends a reservation that nobody confirms; None: no limit.
    """

    pod: Pod
    placement: Placement
    bound: bool
    expires: float | None = None
